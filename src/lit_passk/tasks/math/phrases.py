r"""Words that stand for mathematics: relations, sets, numbers, dates, "no solution"."""

from __future__ import annotations

import re

_NUMBERS = r"(?:all\s+|any\s+)?(?:the\s+)?(?:real\s+)?(?:numbers|reals|values)\s+(?:that\s+are\s+)?"
_PHRASES = [
    (rf"{_NUMBERS}(?:greater|more|larger)\s+than\s+or\s+equal\s+to", r" x \\ge "),
    (rf"{_NUMBERS}less\s+than\s+or\s+equal\s+to", r" x \\le "),
    (rf"{_NUMBERS}(?:greater|more|larger)\s+than", " x > "),
    (rf"{_NUMBERS}less\s+than", " x < "),
    (r"(?:the\s+set\s+of\s+|(?:all|any)\s+)(?:the\s+)?(?:positive\s+integers|natural\s+numbers)", r" \\mathbb{N} "),
    (r"(?:the\s+set\s+of\s+|(?:all|any)\s+)(?:the\s+)?integers", r" \\mathbb{Z} "),
    (r"the\s+(?:point|vector|interval|line|ordered\s+(?:pair|triple))\s*(?=\}?\s*[(\[\\$])", " "),
    (r"all\s+(?:the\s+)?real(?:\s+numbers?|s)?|(?:the\s+)?(?:set\s+of\s+)?real\s+numbers", r" \\mathbb{R} "),
    (r"(?:the\s+)?(?:empty|null)\s+set", r" \\emptyset "),
    (r"\s(?:except(?:\s+for)?|excluding|other\s+than|not\s+equal\s+to)\s", r" \\setminus "),
    (r"is\s+(?:greater|more)\s+than\s+or\s+equal\s+to|is\s+at\s+least", r" \\ge "),
    (r"is\s+less\s+than\s+or\s+equal\s+to|is\s+at\s+most", r" \\le "),
    (r"is\s+(?:greater|more)\s+than", " > "),
    (r"is\s+less\s+than", " < "),
    (r"\bunion\b", r" \\cup "),
    (r"\bplus\s+or\s+minus\b", r" \\pm "),
    (r"(?:diverges|tends|goes|approaches|converges)\s+to\s*(?=\}?\s*[\d\\+-])", " "),
    (r"(?<=\{)\s*(?!(?:\w+\s+)*(?:not|no)\s)(?:[a-z]+\s+){1,8}(?:is|are|equals)\s*:?\s*(?=\}\s*[\d\\$([+-])", " "),
    (r"(?:the\s+)?(?:final\s+)?answer\s*(?:is\b|:)\s*", " "),
    (
        r"(?:(?:因此|所以)[,\s]*)?(?:最终|最后)?的?(?:答案|结果)(?:是|为|等于)?\s*:?\s*|一共有?|总共有?|共有?|大?约为?",
        " ",
    ),
    (r"或者?", r" \\text{ or } "),
    (r"(?<=[\d$)}])\s*[和与]\s*(?=[\d$({\\-])", r" \\text{ and } "),
    (r"(?<=text\{)\s*(?:oder|ou)\s*(?=\})", " or "),
    (r"(?<=text\{)\s*(?:[和与且]|以及|und|et|\s[ye]\s)\s*(?=\})", " and "),
]
_PHRASE = [
    (re.compile(rf"\\(?:text|mbox|mathrm)\s*\{{\s*(?:{p})\s*\}}|(?:{p})", re.IGNORECASE), r) for p, r in _PHRASES
]
_SENTENCES = [  # that are the whole answer
    (
        r"(?:there\s+(?:is|are)\s+)?(?:no|zero)\s+(?:such\s+|real\s+|integer\s+|valid\s+|possible\s+)*solutions?(?:\s+exists?)?"
        r"|none|(?:(?:it|(?:the|this)\s+(?:\w+\s+)?(?:equation|inequality|system|problem))\s+)?has\s+no\s+(?:real\s+)?solutions?"
        r"|无(?:实数)?解",
        r"\\emptyset ",
    ),
    (
        r"(?:(?:it|(?:the|this|such\s+an?)\s+(?:\w+\s+)?\w+)\s+)?(?:does\s+not|doesn't)\s+exist|d\.?n\.?e\.?|不存在",
        r"\\text{nonexistent}",
    ),
    (r"undefined|(?:is\s+)?not\s+defined", r"\\text{undefined}"),
    (r"infinitely\s+many(?:\s+solutions?)?|infinite|infinitely|无穷多?个?", r"\\infty "),
    (r"(?:a\s+)?half", r"\\frac{1}{2}"),
    (  # an even function
        r"(?:it\s+(?:is|was)\s+)?(?:an?\s+)?(?!(?:no|one|two|three|any|all|each|every|the)\b)([a-z]{3,})"
        r"\s+(?:function|triangle|quadrilateral|number|integer|sequence|series|matrix)",
        r"\\text{\1}",
    ),
    (r"(?:negative|minus)\s+infinity", r"-\\infty "),
    (r"(?:positive|plus)\s+infinity", r"\\infty "),
    (r"(?:12\s+)?noon", r"12:00 \\text{pm}"),
    (r"(?:12\s+)?midnight", r"12:00 \\text{am}"),
    (  # The series diverges
        r"(?:it|this|(?:the\s+)?(?:\w+\s+)?(?:series|sequence|integral|limit|sum|product))\s+(?:is\s+)?"
        r"(diverge|converge|undefined|infinite)(?:s|nt)?",
        r"\\text{\1}",
    ),
    (r"(diverge|converge)(?:s|nt)", r"\\text{\1}"),
    (r"it\s+(?:is|was|will\s+be)\s+(?:an?\s+|on\s+(?:an?\s+)?)?([a-z]{3,})", r"\\text{\1}"),
    (r"(?:player\s+)?([a-z]+)\s+wins(?:\s+the\s+game)?|player\s+([a-z])", r"\\text{\1\2}"),
    (r"(\d+)\s+(?:in|out\s+of)\s+(\d+)", r"\\frac{\1}{\2}"),
    (r"(\d+)\s*,?\s*(?:with\s+)?(?:an?\s+)?(?:r|remainder)(?:\s+of)?\s*(\d+)", r"\\text{\1 remainder \2}"),
    (r"(\d+)(?:\s*\^)?(?:\s*\{)?\s*(?:st|nd|rd|th)\s*\}?", r"\1"),
    (r"(-?[\w.]+|\\frac\{\d+\}\{\d+\})\s+to\s+(-?[\w.]+)", r"\1:\2"),
]
_SENTENCE = [(re.compile(pattern, re.IGNORECASE), replacement) for pattern, replacement in _SENTENCES]
_UNWRAPPED = re.compile(r"\\(?:text(?:bf|it|rm)?|mbox|mathrm|mathbf)\s*\{([^{}]*)\}")

_POLAR = re.compile(r"\W*(yes|no|true|false)(?:\W*|\s*\**[,;:.(!–—](.*))", re.IGNORECASE | re.DOTALL)

_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_DATES = [
    (re.compile(rf"{_MONTH}\s+{_DAY}(?:,?\s+(\d{{4}}))?", re.IGNORECASE), (1, 2, 3)),
    (re.compile(rf"{_DAY}\s+(?:of\s+)?{_MONTH}(?:,?\s+(\d{{4}}))?", re.IGNORECASE), (2, 1, 3)),
]

_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_PARTS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4} | {
    name + plural: number
    for number, name in enumerate("third fourth fifth sixth seventh eighth ninth tenth".split(), start=3)  # noqa: SIM905
    for plural in ("", "s")
}
_ARTICLE = re.compile(r"(?:an?|the|all(?: the)?) ([a-z]{3,}(?: [a-z]+){0,5})", re.IGNORECASE)
_MAX_WORDS = 100


def in_symbols(text: str) -> str:
    r"""An answer with the words that stand for mathematics replaced by it.

    Example:
        >>> in_symbols(r"\text{forty-two}"), in_symbols("March 5th, 2024"), in_symbols("No real solutions")
        ('42', '\\text{mar 5 2024}', '\\emptyset ')

    """
    for phrase, latex in _PHRASE:
        text = phrase.sub(latex, text)
    if len(text) > _MAX_WORDS:
        return text
    bare = _UNWRAPPED.sub(r"\1", text).strip(" .*")
    if said := sentence_in_symbols(bare):
        return said
    for date, (month, day, year) in _DATES:
        if match := date.fullmatch(bare):
            return f"\\text{{{match[month].lower()} {int(match[day])} {match[year] or ''}".rstrip() + "}"
    if match := _ARTICLE.fullmatch(bare):
        return f"\\text{{{match[1]}}}"
    return _number(bare.lower()) or text


def sentence_in_symbols(sentence: str) -> str | None:
    """What a sentence without marks around it says as a whole, such as "there is no solution"."""
    for pattern, latex in _SENTENCE:
        if match := pattern.fullmatch(sentence):
            return match.expand(latex)
    return None


def polar(text: str) -> str | None:
    r"""The yes, no, true or false with which an answer begins, None where it begins with something else or says two.

    Example:
        >>> polar(r"\text{Yes, such a set exists}"), polar("no solution"), polar("True, False")
        ('yes', None, None)

    """
    match = _POLAR.fullmatch(_UNWRAPPED.sub(r"\1", text))
    return None if match is None or _POLAR.fullmatch(match[2] or "") else match[1].lower()


def _number(words: str) -> str | None:
    """A number or fraction in English words."""
    sign = "-" if words.startswith(("minus ", "negative ")) else ""
    names = [name for name in re.split(r"[\s-]+", words) if name and name not in {"and", "minus", "negative"}]
    if not names or not all(name.isalpha() for name in names):
        return None
    if len(names) > 1 and names[-1] in _PARTS:
        above = 1 if names[:-1] == ["a"] else _whole(names[:-1])
        return None if above is None else f"{sign}\\frac{{{above}}}{{{_PARTS[names[-1]]}}}"
    whole = _whole(names)
    return None if whole is None else f"{sign}{whole}"


def _whole(names: list[str]) -> int | None:
    total, group, room = 0, 0, 100  # the next word has to be less than ``room``
    for name in names:
        if name in _SMALL or name in _TENS:
            value = _SMALL.index(name) if name in _SMALL else 10 * _TENS.index(name) + 20
            if value >= room:
                return None
            group, room = group + value, 10 if value >= 20 else 1
        elif name == "hundred" and 0 < group < 100:
            group, room = group * 100, 100
        elif name in _SCALES and group > 0:
            total, group, room = total + group * _SCALES[name], 0, 100
        else:
            return None
    return total + group
