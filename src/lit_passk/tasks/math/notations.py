r"""Notations of other countries, schools and packages, rewritten as the one that the reader knows."""

from __future__ import annotations

import re

_GAP = r"(?:\s|~|\\[,;:! ])"
_ATOM = r"(?:\{\s*(\w+)\s*\}|(\w))"
_BEFORE = r"(?:\{\s*\}|(?:^|(?<=[=+\-*/(,])))\s*"  # an index that belongs to what follows
_COUNT = r"(?<![a-zA-Z\\_^{])(?:\\(?:mathrm|text)\s*\{\s*)?"
# at least 3 things of which some are chosen, or n: C_1^2 is the square of a constant
_LOW_AND_HIGH = r"\s*_\s*(?:\{\s*([3-9]|\d\d+|\d*n)\s*\}|([3-9n]))\s*\^\s*(?:\{\s*(\d+|n)\s*\}|(\d|n))"
_CELL = r"[^\[\](),;]+[,;][^\[\](),;]+"  # two ends of an interval
_RATE = (  # units that are no quotient of variables
    r"(?:(?:[kcm]m|[km]g|[km]J|k?N|m[lL]|k?W|k?Pa|rad|rev|mol)/(?:[kcm]?m|k?g|m?s|h|hr|min|K|m?L|mol|C)"
    r"|m/s|m/min|m/hr?|N/[mC]|J/[sK]|V/m|g/(?:mol|c?m|m?L))"
)
_TEXT = r"\\(?:text|mathrm|mbox)\s*"

_HIGH_AND_LOW = r"\s*\^\s*(?:\{\s*(\d+|n)\s*\}|(\d|n))\s*_\s*(?:\{\s*([3-9]|\d\d+|\d*n)\s*\}|([3-9n]))"

_LOCAL_THOUSANDS = re.compile(
    r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,}(?![\d.])|(?<![\d'])\d{1,3}(?:'\d{3})+(?![\d'])|(?<!\w)\d{1,3}(?:_\d{3})+(?![\d_])"
)  # 1.234.567, 1'234'567, 1_234_567
_INDIAN_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,2}(?:,\d{2})+,\d{3}(?![\d,])")  # 12,34,567
_RULES: list[tuple[str, str]] = [
    # numbers
    (rf"(?<=[\d)}}]){_GAP}*[xX]{_GAP}*(?=10\s*(?:\^|\*\*))", r"\\times "),  # 1.6 x 10^{-19}
    (r"(?<=\d)\s+[xX]\s+(?=\d)", r" \\times "),  # 3 x 4 = 12
    (r"\\num\s*\{([^{}]*)\}", r"\1"),  # of the package siunitx
    (r"\\ang\s*\{([^{}]*)\}", r"\1^\\circ "),
    (r"\\(?:SI|qty)\s*\{([^{}]*)\}\s*\{[^{}]*\}", r"\1"),
    (r"\b(?:minus|negative)\s+(?=[\d\\.])", "-"),
    (r"\(\s*(\d+)\s*\)\s*_(?=\s*\{?\s*\d)", r"\1_"),  # (101)_2
    (r"^\s*(\d+)(?:st|nd|rd|th)\s*$", r"\1"),
    (r"(?<=\d)\s*\^\s*\{?\s*\\(?:text|mathrm)\s*\{\s*(?:st|nd|rd|th)\s*\}\s*\}?", ""),
    # units
    (
        r"(?<!\d)(\d{1,9})\s*\^\s*\{?\s*\\circ\s*\}?\s*(\d+)\s*(?:'(?!')|\^\s*\{?\s*\\prime\s*\}?)",
        r"(\1+\\frac{\2}{60})^\\circ ",
    ),
    (rf"(?<=[\d}}]){_GAP}+\\[dt]?frac\s*\{{(km|cm|mm|mi|ft|kg|mg|mL)\}}\s*\{{(h|hr|s|min|L|mL)\}}", r"\\text{ \1/\2}"),
    (  # 45^{\mathrm{o}}
        r"(?<=\d)\s*\^\s*(?:\{\s*)?(?:\\(?:text|mathrm|rm)\s*\{?\s*)?o(?![a-zA-Z])\s*\}{0,2}",
        r"^\\circ ",
    ),
    (r"(?<=\d)\s*(?:\^\s*\{?\s*\\circ\s*\}?|°)\s*[CFK](?![a-zA-Z])", r"^\\circ "),
    (rf"(?<=[\d}}]){_GAP}+({_RATE}(?:\^\{{?\d\}}?)?)\s*(?=$|[,;.])", r"\\text{ \1}"),
    (
        rf"(?<=[\d}}]){_GAP}*\\[dt]?frac\s*\{{\s*{_TEXT}\{{([^{{}}]*)\}}\s*\}}\s*\{{\s*{_TEXT}\{{([^{{}}]*)\}}[^{{}}]*\}}",
        r"\\text{ \1/\2}",
    ),
    (rf"(?<=\d){_GAP}+[kM]?\\Omega\s*(?=$|[,;.])", r"\\text{ ohm}"),
    (rf"(?<=\d){_GAP}+\\mu\s*(?:{_TEXT}\{{\s*\w+\s*\}}|[msgFCAVHL]\b)\s*(?=$|[,;.])", r"\\text{ micro}"),
    (r"\\AA(?![a-zA-Z])", r"\\text{ A}"),
    (r"^\s*(\d+(?:\.\d+)?)\s*'{1,2}\s*$", r"\1"),
    (r"(?<![a-zA-Z])(?:USD|EUR|GBP|INR|CNY|RMB|JPY|CAD|AUD|US\\?\$|Rs\.?)\s*(?=\\?\$?\d)", ""),
    # counting
    (rf"{_COUNT}C\s*\}}?{_LOW_AND_HIGH}", r"\\binom{\1\2}{\3\4}"),  # C_{10}^{3}
    (rf"{_COUNT}[AP]\s*\}}?{_LOW_AND_HIGH}", r"\\frac{(\1\2)!}{(\1\2-\3\4)!}"),
    (rf"{_COUNT}C\s*\}}?{_HIGH_AND_LOW}", r"\\binom{\3\4}{\1\2}"),
    (rf"{_COUNT}[AP]\s*\}}?{_HIGH_AND_LOW}", r"\\frac{(\3\4)!}{(\3\4-\1\2)!}"),
    (rf"{_BEFORE}[_^]\s*{_ATOM}\s*C\s*_\s*{_ATOM}", r"\\binom{\1\2}{\3\4}"),  # {}_5C_2, ^5C_2
    (rf"{_BEFORE}[_^]\s*{_ATOM}\s*P\s*_\s*{_ATOM}", r"\\frac{(\1\2)!}{(\1\2-\3\4)!}"),
    # vectors, roots, sets and intervals
    (
        r"\\(?:mathbf|boldsymbol|bm|hat|vec|widehat)\s*\{?\s*(?:\\(?:mathbf|boldsymbol|bm|hat|vec)\s*\{?\s*)?"
        r"\\?([ijk])(?![a-zA-Z]*\d)(?:math)?(?![a-zA-Z])\s*\}?\s*\}?",
        r"\\vec{\1}",
    ),
    (r"\\root\s*\{?\s*(\w+)\s*\}?\s*\\of(?![a-zA-Z])", r"\\sqrt[\1]"),
    (rf"\](?!\])({_CELL})\[", r"(\1)"),
    (rf"\[({_CELL})\[", r"[\1)"),
    (rf"\]({_CELL})\]", r"(\1]"),
    (r"\\mathbb\s*\{?\s*R\s*\}?\s*(?:\^|_)\s*\{?\s*(?:\+|>\s*0)\s*\}?", r"(0,\\infty)"),
    (r"\\mathbb\s*\{?\s*R\s*\}?\s*_\s*\{?\s*\\g(?:e|eq|eqslant)\s*0\s*\}?", r"[0,\\infty)"),
    (
        r"(\\mathbb\s*\{?\s*R\s*\}?)\s*(?:\^\s*\{?\s*(?:\*|\\ast|\\times)\s*\}?|_\s*\{?\s*\\ne(?:q)?\s*0\s*\}?)",
        r"\1\\setminus\\{0\\}",
    ),
    (r"\\mathbb\s*\{?\s*Z\s*\}?\s*(?:\^|_)\s*\{?\s*(?:\+|>\s*0)\s*\}?", r"\\mathbb{N}"),
    (r"(\\mathbb\s*\{?\s*[A-Z]\s*\}?)\s*-\s*(?=(?:\\left\s*)?\\\{)", r"\1\\setminus "),
    (r"(?<=[)\]])\s*-\s*(?=(?:\\left\s*)?\\\{)", r"\\setminus "),
    (r"\(\s*mod\s+(\w+)\s*\)", r"\\pmod{\1}"),
    (  # 2 \\angle 60^\\circ
        r"(?<![\w.}])((?:\d{1,20}(?:\.\d{1,20})?)?(?:\\sqrt\s*(?:\{\w{1,9}\}|\d))?)(?<=[\d}])\s*\\angle\s*(\(?-?(?:\d[\d.]*|\\frac\{[^{}]*\}\{[^{}]*\}|\\pi)[^,;=]*)$",
        r"\1\\operatorname{cis}(\2)",
    ),
    (r"(?<=\+)\s*\\(?:text|mathrm)\s*\{\s*(?:an?\s+)?(?:arbitrary\s+)?const(?:ant|\.)?\s*\}", " C"),
    (r"(?:\{\s*\})?\^\s*\{?\s*(\d+)\s*\}?\s*/\s*_\s*\{?\s*(\d+)\s*\}?", r"\\frac{\1}{\2}"),  # {}^1/_2
    # what lays formulas out
    (r"^\s*(?:``|''?)([^'`]+)'{1,2}\s*$", r"\1"),
    (r"(?<=[\w)}])\s*\?\s*$", ""),
    (r"\\+\s*$", ""),
    (r"(?<![\^{*])\s*\*{1,2}\s*$", ""),
    (r"^\s*&", ""),
    (r"&\s*(?=[=<>]|\\[gl]eq?(?![a-z]))", ""),
    (r"\\begin\s*\{cases\}((?:(?!\\begin|&)[\s\S])*)\\end\s*\{cases\}", r"\1"),
]  # fmt: skip
_COMPILED = [(re.compile(pattern), replacement) for pattern, replacement in _RULES]
_ALIGNED = re.compile(r"\\(?:begin|end)\s*\{(?:aligned|align\*?|gathered|gather\*?|split|equation\*?|eqnarray\*?)\}")
_ONE_BRACE = re.compile(
    r"\\left\s*\\(?:\{|lbrace)\s*\\begin\s*\{(array|aligned|gathered|matrix|split)\}(?:\s*\{[^{}]*\})?"
    r"((?:(?!\\begin)[\s\S])*?)\\end\s*\{\1\}\s*\\right\s*\."
)
_CHEMICAL = re.compile(r"\\ce\s*\{([^{}]{1,100})\}")  # of the package mhchem
_EMPHASIS = re.compile(r"\s*(\*\*|__|`|\*)(?=[^\s*`])([^*`]+)\1\s*")


def one_notation(text: str, thousands: bool = True) -> str:
    r"""The text in the notation of American textbooks.

    Example:
        >>> one_notation(r"]1;3]"), one_notation("1.234.567"), one_notation(r"{}_5C_2"), one_notation("**7**")
        ('(1;3]', '1234567', '\\binom{5}{2}', '7')

    """
    if marked := _EMPHASIS.fullmatch(text):
        text = marked[2]
    if "\\begin" in text:
        text = _ONE_BRACE.sub(r"\\begin{cases}\2\\end{cases}", text)
    if _ALIGNED.search(text):
        text = re.sub(r"\\\\\s*(?=\s*&?\s*=)", " ", _ALIGNED.sub(" ", text))
        text = text if "\\begin" in text else text.replace("&", " ")
    text = _CHEMICAL.sub(lambda ce: "\\mathrm{" + re.sub(r"(?<=[A-Za-z)])\d+", r"_\g<0>", ce[1]) + "}", text)
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    for groups in (_LOCAL_THOUSANDS, _INDIAN_THOUSANDS) if thousands else (_LOCAL_THOUSANDS,):
        text = groups.sub(lambda number: re.sub(r"\D", "", number[0]), text)
    return text
