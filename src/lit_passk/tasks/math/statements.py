"""Where a text without a box says its answer: after the last "the answer is", in tags, or in its last formula."""

from __future__ import annotations

import re
from dataclasses import replace

from lit_passk.tasks.math.answers import Answer, Formula, Relation, Sequence, Words
from lit_passk.tasks.math.asides import set_apart
from lit_passk.tasks.math.phrases import in_symbols, sentence_in_symbols
from lit_passk.tasks.math.reading import readings
from lit_passk.tasks.math.units import unit_of

_ANCHOR = re.compile(
    r"(?i:\banswers?\b)(?:[^.\n:=]|\.(?=\d)){0,100}?(?:\b(?:is|are|was|be|equals)\b(?:\s*:)?|:|=)[\s*]*|\#{4}"
    r"|(?:答案|答え|정답)\s*(?:是|为|は|은|는)?\s*:?"
)
_TAG = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL | re.IGNORECASE)
_SENTENCE_END = re.compile(r"\.(?=\s|\Z|\*)|\n|\bI hope\b|</")
_FORMULA = re.compile(
    r"\$\$(?P<a>.+?)\$\$|\\\[(?P<b>(?:(?!(?<!\\)\\\[).)+?)\\\]|\\\((?P<c>(?:(?!(?<!\\)\\\().)+?)\\\)"
    # a dollar sign before a price opens no formula: what closes one has no digit behind it
    r"|(?<!\\)\$(?=\S)(?P<d>(?:[^$\\\n]|\\.)+?)\$(?!\d)|(?<!\\)\$ (?P<e>(?:[^$\\\n]|\\.)+?) \$",
    re.DOTALL,
)
_WORD_RUN = r"(?:sin|cos|tan|log|ln|exp|sqrt|pi|or|and|infinity)(?![A-Za-z])"
_RUN = re.compile(
    rf"(?:\\(?:text|mathrm|mbox|operatorname)\s*\{{[^{{}}]*\}}|\\[A-Za-z]+|\\.|{_WORD_RUN}"
    r"|(?<![A-Za-z'])[A-Za-z](?![A-Za-z'])|(?<=\d)[A-Za-z]{2}(?![A-Za-z])"
    r"|[^\sA-Za-z\\#<>?\"“”\u3040-\u9fff\uac00-\ud7af]|[<>=]|[ \t])+"
)
_TEXT = re.compile(r"\\(?:text|mathrm|mbox)\s*\{[^{}]*\}")
_LINKS = re.compile(r"(?:\b(?:and|or)\b|\\text\s*\{\s*(?:and|or)\s*\}|[\s,;.*&:])*")
_PROSE = re.compile(
    r"\W*[A-Za-z]{2,}\s+[A-Za-z]{2,}\s|.*\b(?:get|got|gives?|is|are|was|were)\b(?!\s+(?:at|greater|less|more)\b)|\W*[A-Za-z]+'[a-z]+\s",
    re.DOTALL,
)
_VERB = re.compile(r"\b(?:is|are|gives|giving|equals|totals)\b")  # the answer is the sum of 3 and 9, which is 12
_METRIC = re.compile(r"^([\d.,/ ]*\d)\s+(?:m|s|g|h|l|L|N|J|W|V|A|K)(?:\s?/\s?(?:s|h))?(?:\s?\^\s?\{?[23]\}?|[²³])?$")
_UNIT = re.compile(r"(?<=[\d})\]%])\s+[A-Za-z][A-Za-z ]*$")
_NOT = re.compile(r"^not\b.{1,60}?\bbut(?: rather)?\b\s*")
_REFUSED = re.compile(r",\s(?:and\s)?not\s[^\n.,;]{1,60}(?=\.?\s*\Z)")  # There are 12 ways, not 13
_OBJECT = (  # what a text can deny: a formula, a box, a letter of a choice, a number
    r"(?:\$[^$\n]{1,200}\$|\\\(.{1,200}?\\\)|\\boxed\s{0,9}\{[^{}]{0,200}\}|\(?[A-H]\)?"
    r"|[-+]?(?:\d|\\[a-zA-Z])(?:[^\s.,;:!?]|[.,](?=\d)){0,60})(?![\w'])"
)
_IS_NOT = r"(?:\A\W{0,9}not|\b(?:is|are|was|were)(?:n't|\s+(?:\w+ly\s+)?not)|\b(?:cannot|can't|can\s+not)\s+be)"
_DENIED = re.compile(
    # The answer is not 42
    rf"(?i:{_IS_NOT})\s+[*_]{{0,3}}{_OBJECT}[*_]{{0,3}}(?:\s+n?or\s+{_OBJECT})*(?=[\s.,;:!?]|\Z)(?!,?\s+but\b)"
    # The sum is $\\boxed{42}$, not $\\boxed{43}$
    rf"|(?P<instead>(?:,|[(—–]|\s(?=rather|instead))\s*(?i:(?:and\s+)?(?:\w+ly\s+)?(?:not|rather\s+than|instead\s+of))"
    rf"\s+{_OBJECT}(?=[\s.,;:!?)]|\Z)(?!,?\s+but\b))"
    # 42 is not the answer
    rf"|(?<!\S){_OBJECT}\s+(?i:(?:is|was)(?:n't|\s+not))\s+(?:the\s+|a\s+)?(?:\w+\s+)?(?:answer|solution|correct|right)\b"
)
_CONNECTIVE = re.compile(
    r"\A(?:(?:(?:therefore|thus|hence|so|then|consequently|finally|in\s+conclusion|as\s+a\s+result|it\s+follows\s+that"
    r"|this\s+means|which\s+means|we\s+(?:conclude|see|find))\b(?:\s+that\b)?|(?:since|because|as|by)\s[^,\n]{1,200}(?=,))"
    r",?\s*)+",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"(?<=[.!?;])\s+|\n|,\s+(?=(?:so|therefore|thus|hence|and|which)\b)")
_COUNTED = re.compile(r"\b(?:is|are|equals)\s+(?:only\s+|exactly\s+|just\s+)?([a-z-]{3,})", re.IGNORECASE)
_REASON = re.compile(r",?\s(?:since|because|as|so|which|where|when|for|but|given)\s")
_EMPHASISED = re.compile(r"\*\*([A-Za-z][A-Za-z' -]{1,60})\*\*[.!\s]*\Z")
_MAX_TEXT = 100_000
_MAX_RUN = 2_000


def tagged(text: str) -> str | None:
    """What the last ``<answer>`` holds, None without one."""
    found = _TAG.findall(text)
    return found[-1].strip() if found and found[-1].strip() else None


def without_denied(text: str) -> str:
    """A text without what it says to be no answer.

    Example:
        >>> without_denied("The answer is not 42. It is 43."), without_denied("The answer is not 42 but 43.")
        ('The answer is not so. It is 43.', 'The answer is not 42 but 43.')

    """
    return _DENIED.sub(lambda denied: "" if denied["instead"] else "is not so", text)


def concluded(text: str) -> str | None:
    r"""What the last clause of a text says in words alone, in symbols: "Therefore there is no solution" is a set.

    Example:
        >>> concluded("It is negative, so there are no real solutions."), concluded("So x = 2.")
        ('\\emptyset ', None)
        >>> concluded("Hence the number of roots is five.")
        '5'

    """
    last = _CONNECTIVE.sub("", _CLAUSE_END.split(text[-_MAX_RUN:].strip())[-1].strip(" .*!"))
    if said := sentence_in_symbols(last):
        return said
    counted = _COUNTED.search(last)
    number = in_symbols(counted[1]) if counted and counted.end() == len(last) else ""
    return number if number.isdigit() else None


def stated(text: str) -> str | None:
    """What follows the last "the answer is", up to the end of the sentence or line, or the bold words at the end."""
    for anchor in reversed(list(_ANCHOR.finditer(text[-_MAX_TEXT:]))):
        rest = text[-_MAX_TEXT:][anchor.end() :].lstrip(" \n\t*:=_`")
        sentence = _sentence(rest)
        if sentence:
            return sentence
    emphasised = _EMPHASISED.search(text[-_MAX_RUN:])
    return emphasised[1] if emphasised else None


def _sentence(rest: str) -> str:
    """The first sentence; a full stop within a formula ends none."""
    rest = rest[:_MAX_RUN]
    place = 0
    formulas = [match.span() for pattern in (_FORMULA, _TEXT) for match in pattern.finditer(rest)]
    while end := _SENTENCE_END.search(rest, place):
        inside = next((span for span in formulas if span[0] <= end.start() < span[1]), None)
        if inside is None and not re.search(r"\b[apAP]\.m$|\b[apAP]$", rest[: end.start()]):
            return rest[: end.start()].strip()
        place = inside[1] if inside else end.end()
    return rest.strip()


def formulas(sentence: str) -> list[str]:
    """What a sentence can say, the likeliest first.

    Example:
        >>> formulas("$5$ and $6$, since $5 < 6$"), formulas("72 clips"), formulas("what Natalia sold, 72 in all")
        (['5,6'], ['72'], ['72'])

    """
    sentence = _NOT.sub("", sentence.strip().strip("*_`\"' ").strip())
    if sentence.endswith("}") and sentence.count("}") > sentence.count("{"):  # of {"answer": 17}
        sentence = sentence[:-1].rstrip("\"' ")
    found = list(_FORMULA.finditer(sentence))
    if found:
        return [_linked(sentence, found)]
    for part in (_REASON.split(sentence)[0], sentence):
        if _readable(part):
            if (bare := without_unit(part)) != part:
                return [part if _measured(readings(part)[0]) else bare]
            if part.endswith("!") and "\\" not in part:  # a factorial, or joy
                return [part, part.rstrip("!")]
            return [part, *([] if "\\" in part else _METRIC.findall(part))]  # "24 m^2" in plain text is an area
    return (_runs(_VERB.split(sentence)[-1]) or _runs(sentence))[:1]


def last_formulas(text: str) -> list[str]:
    """The last formula or number of a text that states no answer, with those that "and" or a comma links to it."""
    text = _REFUSED.sub("", text[-_MAX_TEXT:]).strip()
    begin = max(0, len(text) - _MAX_RUN)
    said, rest = set_apart(text[begin:])
    if rest is None:
        return said
    exact = _last_formulas(text[:begin] + rest) if rest != text[begin:] else []
    return said + (exact or _last_formulas(text))


def _last_formulas(text: str) -> list[str]:
    found = list(_FORMULA.finditer(text))
    if len(text) < _MAX_RUN and not found and "\n" not in text and _readable(text):
        return [text]
    hidden = _FORMULA.sub(lambda match: "\n" * len(match[0]), text)
    runs = [(match.end(), run) for match in _RUN.finditer(hidden) for run in [_run(match[0])] if run]
    if runs and (not found or runs[-1][0] > found[-1].end()):
        return [runs[-1][1]]
    if not found:
        return []
    together, last = _linked(text, found), _linked(text, found[-1:])
    return [together] if _LINKS.fullmatch(hidden) else [last, together]


def _linked(sentence: str, found: list[re.Match[str]]) -> str:
    """The first formulas with nothing but "and" and commas between them; the last ones after words."""
    ordered = found if _LINKS.fullmatch(sentence[: found[0].start()]) else found[::-1]
    chosen = [ordered[0]]
    for match in ordered[1:]:
        first, second = sorted((chosen[-1], match), key=lambda formula: formula.start())
        if not _LINKS.fullmatch(sentence[first.end() : second.start()]):
            break
        chosen.append(match)
    chosen.sort(key=lambda formula: formula.start())
    percent = "\\%" if re.match(r"\s*(?:\\?%|percent)", sentence[chosen[-1].end() :]) else ""
    contents = [next(group for group in match.groups() if group is not None).strip() for match in chosen]
    joined = contents[0]
    for content, before, match in zip(contents[1:], chosen, chosen[1:], strict=False):
        link = r" \text{ or } " if re.search(r"\bor\b", sentence[before.end() : match.start()]) else ","
        joined += (" " if joined.endswith(("+", "-", "=", "*", "/")) else link) + content
    return joined + percent


def _runs(text: str) -> list[str]:
    return [run for match in _RUN.finditer(text) if (run := _run(match[0]))]


def _run(text: str) -> str | None:
    """A run of mathematical characters without what ends a clause; None where there is no number or command."""
    text = text.strip(" \t\n,;")
    if len(text) > _MAX_RUN:
        return None
    text = re.sub(
        r"^(?:[\s*]|[,.;:)!'-](?!\d)|\b(?:and|or|a|A|I)\b)+|(?:[\s,.;:(*'=]|\b(?:and|or|a|A|I)\b)+$", "", text
    )
    text = text.strip()
    if not re.search(r"\d|\\[a-zA-Z]", text):
        return None
    if not _readable(text):  # as much of its end as can be read
        pieces = re.split(r"\s+|,\s", text)
        return next((piece for piece in reversed(pieces) if re.search(r"\d", piece) and _readable(piece)), None)
    return text


def _readable(text: str) -> bool:
    if not text or len(text) > _MAX_RUN or _PROSE.match(text):
        return False
    return not _has_words(readings(text)[0])


def without_unit(part: str) -> str:
    """The number of "72 clips" or "12 cm", which is one answer with 72 where votes are counted."""
    bare = _UNIT.sub("", part)
    return bare if bare != part and readings(bare)[0] == _unitless(readings(part)[0]) else part


def _unitless(answer: Answer) -> Answer:
    if isinstance(answer, Relation):
        return replace(answer, sides=(*answer.sides[:-1], _unitless(answer.sides[-1])))
    return replace(answer, unit=()) if isinstance(answer, Formula) else answer


def _measured(answer: Answer) -> bool:
    """Whether it has a unit that can be converted."""
    last = answer.sides[-1] if isinstance(answer, Relation) else answer
    return isinstance(last, Formula) and unit_of(last.unit) is not None


def _has_words(answer: Answer) -> bool:
    if isinstance(answer, Sequence):
        return answer.opening != "unit" and any(_has_words(item) for item in answer.items)
    return isinstance(answer, Words)
