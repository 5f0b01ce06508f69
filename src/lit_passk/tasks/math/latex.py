r"""LaTeX as models and data sets write it, cut into tokens: every way to write one thing gives the same tokens."""

from __future__ import annotations

import re
from typing import NamedTuple

from lit_passk.tasks.math.spelling import written_out


class Token(NamedTuple):
    r"""One piece of a formula.

    ``kind`` is "number" (``3.5``), "letter" (a variable), "command" (``\pi``, ``\sin``), "word" (running text) or
    "sign" (everything else); ``spaced`` says whether a space stood before it.
    """

    kind: str
    text: str
    spaced: bool = False


_ALIASES = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "leq": "le", "geq": "ge",
    "leqslant": "le", "geqslant": "ge", "lt": "<", "gt": ">", "neq": "ne", "varnothing": "emptyset", "ast": "*",
    "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]", "lparen": "(", "rparen": ")", "lvert": "|",
    "rvert": "|", "vert": "|", "lVert": "|", "rVert": "|", "bigcup": "cup", "bigcap": "cap", "land": "and",
    "lor": "or", "wedge": "and", "vee": "or", "dots": "ldots", "cdots": "ldots", "varepsilon": "epsilon",
    "varphi": "phi", "vartheta": "theta", "arcsinh": "arsinh", "arccosh": "arcosh", "arctanh": "artanh",
    "backslash": "setminus", "centerdot": "cdot", "infinity": "infty", "tg": "tan",
    "sfrac": "frac", "nicefrac": "frac", "asin": "arcsin", "acos": "arccos", "atan": "arctan",
    "ctg": "cot", "arctg": "arctan", "arcctg": "arccot", "degree": "circ",
    "imath": "i", "simeq": "approx", "sim": "approx", "doteq": "approx", "colon": ":", "lg": "log",
    "R": "mathbb R", "Z": "mathbb Z", "N": "mathbb N", "Q": "mathbb Q",
    "overrightarrow": "vec", "bar": "overline", "pmod": "mod", "bmod": "mod", "lnot": "neg",
    "rightarrow": "to", "Rightarrow": "to", "implies": "to", "longrightarrow": "to", "Longrightarrow": "to",
    "iff": "leftrightarrow",
    "Leftrightarrow": "leftrightarrow", "longleftrightarrow": "leftrightarrow", "Longleftrightarrow": "leftrightarrow",
    "widehat": "hat", "widetilde": "tilde",
}  # fmt: skip
_DROPPED = {
    "displaystyle", "textstyle", "limits", "nolimits", "boxed", "fbox", "framebox", "rm", "bf", "it", "mathstrut",
    "strut", "quad", "qquad", "enspace", "thinspace", "left", "right", "middle", "big", "Big", "bigg", "Bigg", "bigl",
    "bigr", "Bigl", "Bigr", "mathbf", "mathit", "boldsymbol", "bm", "mathcal", "mathsf", "mathfrak", "noindent",
    "hfill", "pounds", "protect", "underline", "emph", "mathop", "tiny", "small", "normalsize", "large", "Large",
    "LARGE", "huge", "Huge", "checkmark", "cent", "ensuremath",
}  # fmt: skip
FUNCTIONS = {
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "arcsec", "arccsc", "sinh",
    "cosh", "tanh", "coth", "arsinh", "arcosh", "artanh", "cis", "ln", "log", "exp", "gcd", "lcm", "max", "min", "sgn",
}  # fmt: skip
_SPELLED = {"pi": "pi", "infty": "infty", "infinity": "infty", "inf": "infty", "oo": "infty", "sqrt": "sqrt"} | {
    name: name for name in ("alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda", "sigma", "omega")
}
_LINKS = {"or", "and", "union"}
_MATRICES = {"matrix", "pmatrix", "bmatrix", "Bmatrix", "smallmatrix", "array", "vmatrix"}
SHORT_WORDS = set("yes no not odd one two six ten all any the is are to of at by on if for red day men".split())  # noqa: SIM905
BARE_UNITS = {
    "cm", "mm", "km", "kg", "mg", "ml", "mL", "lb", "lbs", "ft", "oz", "hr", "hrs", "min", "sec", "mph", "kph", "rpm",
    "deg", "rad", "Hz", "kHz", "MHz", "eV", "keV", "MeV", "GeV", "kJ", "nm", "pc", "kpc", "Mpc", "AU",
    "USD", "EUR", "GBP", "INR", "CNY", "RMB", "JPY", "erg", "mol", "Pa", "kPa", "mi", "yd", "sq", "cu", "per",
    "pm", "am", "pct",
}  # fmt: skip
"""Abbreviations that need no ``\\text{}`` after a number; single letters are variables."""
_HALF_DAYS = {"am", "pm"}
_NUMERATOR = re.compile(r"(?:^|[=+*(-])\s*\\[dt]?frac\s*\{$")  # where no number stands before the fraction

_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|normal|sf|tt|up)?|mbox|hbox|mathrm|operatorname\*?|textcolor\s*\{\w+\})\s*\{((?:[^{}]|\{[^{}]*\})*)\}"
)
_NUMBER = r"\d+\.(?=[/*])|\d+(?:\.\d+)?(?:[eE][+-]?\d+(?![\w.]))?|\.\d+"
_TOKEN = re.compile(
    rf"(?P<space>\s+)|\\(?P<place>begin|end)\s*\{{(?P<environment>[a-zA-Z]+\*?)\}}(?:\s*\{{[lcr|]+\}})?|\\mathbb\s*\{{?\s*(?P<set>[A-Z])\s*\}}?|\\(?P<command>[a-zA-Z]+)\*?|(?P<row>\\\\(?:\s*\[-?[\d.]+\s*[a-z]{{2}}\])?)|\\(?P<gap>[,;:!\s])"
    rf"|\\(?P<escaped>.)|(?P<number>{_NUMBER})|(?P<run>[^\W\d_]+)|(?P<sign>\.\.\.|[<>=!]=|.)",
    re.DOTALL,
)
_SCRIPT = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|[^\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_WORD = re.compile(rf"(?P<space>\s+)|(?P<number>{_NUMBER})|(?P<run>[^\W\d_]+)|(?P<sign>\\?.)", re.DOTALL)


def tokenize(text: str, thousands: bool = True) -> list[Token]:
    r"""Cut a formula, or a text that holds formulas, into tokens.

    Args:
        text: LaTeX, plain text, or a mixture.
        thousands: Read ``1,234`` as one number; else the comma separates two. ``1{,}234`` is always one.

    Example:
        >>> [token.text for token in tokenize(r"\dfrac\pi2 \text{ cm}")]
        ['\\frac', '\\pi', '2', 'cm']
        >>> [token.text for token in tokenize(r"1,\!234 \leqslant x")]
        ['1234', '\\le', 'x']

    """
    text = written_out(text, thousands)
    tokens: list[Token] = []
    end = 0
    for match in _TEXT.finditer(text):
        tokens += _math_tokens(text[end : match.start()])
        tokens += _text_tokens(match[1], bool(tokens) and text[: match.start()].endswith(" "))
        end = match.end()
    return tokens + _math_tokens(text[end:])


def _text_tokens(text: str, spaced: bool) -> list[Token]:
    r"""The inside of a ``\text{}``: letters in it are words; a lone e or i is a constant, a function's name one."""
    if text.strip() in {"e", "i", "d"}:
        return [Token("letter", text.strip())]
    if (name := _ALIASES.get(text.strip(), text.strip())) in FUNCTIONS - BARE_UNITS:
        return [Token("command", "\\" + name)]
    if text.strip() in _SPELLED:
        return _letters(text.strip())
    text = re.sub(r"\\[,;:!]|\\ |~", " ", text)
    text = re.sub(r"\\(mu|Omega|AA)(?![a-zA-Z])", r"\1 ", text).replace("\\cdot", "*")  # of units
    if re.search(r"\\[a-zA-Z]", text):
        return _math_tokens(text)
    found = []
    for match in _WORD.finditer(text):
        if match["space"]:
            spaced = True
            continue
        kind = "word" if match["run"] else "number" if match["number"] else "sign"
        found.append(Token(kind, match[0].lstrip("\\"), spaced))
        spaced = False
    return found


def _math_tokens(text: str) -> list[Token]:
    found: list[Token] = []
    spaced = False
    for match in _TOKEN.finditer(text):
        if match["space"] or match["gap"] or match[0] == "~":
            spaced = True
            continue
        if match["place"]:
            matrix = match["environment"] in _MATRICES
            new = [Token("command", "\\" + match["place"] + ("" if matrix else match["environment"]))]
            if match["environment"] == "vmatrix" and match["place"] == "begin":
                new.insert(0, Token("command", "\\det"))
        elif match["command"]:
            new = _command(match["command"])
        elif match["run"]:
            if _is_factor(match):
                new = [Token("letter", letter) for letter in match["run"]]
            else:
                new = [token for run in _SCRIPT.findall(match["run"]) for token in _letters(run)]
        elif match["set"]:
            new = [Token("command", f"\\mathbb {match['set']}")]
        elif match["row"]:
            new = [Token("sign", "\\\\")]
        elif match["escaped"]:
            new = [Token("sign", match[0] if match["escaped"] in "{}" else match["escaped"].replace("|", "|"))]
        else:
            sign = {"...": "\\ldots", "<=": "\\le", ">=": "\\ge", "!=": "\\ne", "==": "="}.get(match[0], match[0])
            new = [Token("number" if match["number"] else "sign", sign)]
        if new:
            new[0] = new[0]._replace(spaced=spaced)
            spaced = False
        found += new
    return found


def _is_factor(run: re.Match[str]) -> bool:
    """Whether a short word or unit is a product: the at of ``v = at``, the mg of ``mg/k`` and ``-mg``."""
    if len(run[0]) != 2 or run[0] in _HALF_DAYS or run[0] not in BARE_UNITS | SHORT_WORDS:
        return False
    before, after = run.string[: run.start()].rstrip(), run.string[run.end() :].lstrip()
    if run[0] in BARE_UNITS:  # which stand behind a number
        return (before[-1:] in {*"=+-*(", ""} and after[:1] != ")") or bool(_NUMERATOR.search(before[-20:]))
    return before[-1:] in set("=+*/(^") or after[:1] in set("+*/^")


def _command(name: str) -> list[Token]:
    if name in _DROPPED:
        return []
    name = _ALIASES.get(name, name)
    if name in {"and", "or"}:
        return [Token("word", name)]
    if name == "i":
        return [Token("letter", "i")]
    if name in {"{", "}"}:
        return [Token("sign", "\\" + name)]
    return [Token("command", "\\" + name)] if name[0].isalpha() else [Token("sign", name)]


def _letters(run: str) -> list[Token]:
    """Letters that no command surrounds: a function's name, a word, or a product of variables."""
    if run in FUNCTIONS or run in _SPELLED:
        return [Token("command", "\\" + _SPELLED.get(run, run))]
    if run[0] > "\u3000" or run in {"II", "III"}:  # Chinese, Japanese, Korean; a numeral that is no product
        return [Token("word", run)]
    if run in _LINKS or run in BARE_UNITS or run in SHORT_WORDS or run == "No" or (len(run) > 3 and not run.isupper()):
        return [Token("word", run)]
    return [Token("letter", run)] if len(run) > 3 else [Token("letter", letter) for letter in run]


def spelled(tokens: list[Token]) -> str:
    """One spelling of the same tokens, whatever the spaces and the case of words."""
    return "".join(
        token.text.casefold() if token.kind == "word" else token.text
        for token in tokens
        if token.text not in {"{", "}"}
    )
