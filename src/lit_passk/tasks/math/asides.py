r"""The end of a text without a box: what is said in words there, and what is said beside the answer."""

from __future__ import annotations

import re

from lit_passk.tasks.math.phrases import in_symbols

_CHANCE = re.compile(r"(?<![\d.,])(\d{1,9})\s+(?:in|out\s+of)\s+(\d{1,9})[\s.!*]*\Z")  # the probability is 1 in 4
_COUNTED_LIST = re.compile(  # There are exactly 3 such numbers: 1, 2, 4
    r"\b[Tt]here\s+(?:is|are)\s+(?:(?:only|exactly|a\s+total\s+of)\s+)?[$*]{0,3}(\d{1,9})"
    r"[$*]{0,3}\s[a-zA-Z -]{1,80}:[^\n]+\Z"
)
_THERE_ARE = re.compile(
    r"\bthere\s+(?:is|are|exists?)\s+(?:(?:only|exactly|just|a\s+total\s+of)\s+([a-z-]{3,})"
    r"|\*\*([a-z-]{3,})\*\*|([a-z-]{3,})(?=\s+such\s))(?:\s+[a-z-]+){1,8}[\s.!]*\Z",
    re.IGNORECASE,
)
_BECAUSE = re.compile(  # x = 3, because -3 is too small
    r"(?<=[\w$)}\]*]),?\s(?:because|since)\s(?![^\n]*\b(?:so|thus|hence|therefore|then|giv\w+|we|get|must|answer)\b)"
    r"(?:[^\n.]|\.(?=\d)){1,200}\.?\s*\Z"
)
_ASIDE = re.compile(  # $\frac{1}{3}$ (about 0.33)
    r"\s*\((?:approximately|approx\.?|about|roughly|around|or|≈|\$?\\approx)\s?[^()\n]{1,60}\)(?=[\s.!*]*\Z)"
)
_HAS_VALUE = re.compile(r"\d|\$|\\")
_CLAUSE = re.compile(r"(?<=[.!?;])\s|\n")


def set_apart(end: str) -> tuple[list[str], str | None]:
    r"""What the end of a text says in words, and the end without a reason or an approximation behind its answer.

    None in place of the rest where the words say all.

    Example:
        >>> set_apart("So the chance is 1 in 4."), set_apart("So x = 3, because -3 is too small.")
        ((['\\frac{1}{4}'], None), ([], 'So x = 3'))
        >>> set_apart("There are seven such numbers.")
        (['7'], 'There are seven such numbers.')

    """
    if chance := _CHANCE.search(end):
        return [rf"\frac{{{chance[1]}}}{{{chance[2]}}}"], None
    counts = _COUNTED_LIST.search(end) or _THERE_ARE.search(end)
    counted = [number] if counts and (number := in_symbols(next(filter(None, counts.groups())))).isdigit() else []
    for pattern in (_BECAUSE, _ASIDE):
        match = pattern.search(end)
        before = end[: match.start()] if match else ""
        if before.count("{") == before.count("}") and _HAS_VALUE.search(_CLAUSE.split(before)[-1]):
            return counted, before
    return counted, end
