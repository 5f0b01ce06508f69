r"""Letters that stand for all numbers of a kind: ``k\pi, k \in \mathbb{Z}``, ``kx`` "for any real k", sets of such."""

from __future__ import annotations

import re

_GAP = r"(?:,|\s|\\q?quad|\\[,; ])"
_FREE = r"(?<!\w)[a-zA-Z]\s*(?:\\in(?![a-z])|∈)\s*"
_REMARK = r"\\text\s*\{[\s,(]*(?:where|since|for|when|if|because|with)\b"
_INDEX = r",\s*(?:\\q?quad\s*)?[klmnN]\s*(?:\\geq?(?:slant)?(?![a-z])|>=?|≥)\s*\d+\s*$"
_CONDITION = re.compile(rf"{_REMARK}|{_FREE}(?:\\math|\\?[ZN]\b|ℤ)|{_INDEX}")  # 2n+1 \text{ where } n \in \mathbb{Z}
_SET = r"(?:\\math(?:bb|bf|rm)\s*\{?\s*[ZNQRC]\s*\}?|\\?[ZNQRC]|[ℤℕℚℝℂ])(?:[\^_]\{?[\w*+]\}?)?"
_KIND = (
    r"(?:arbitrary|real|complex|rational|natural|positive|negative|non-?negative|non-?zero|whole|integers?|constants?"
    r"|numbers?|values?|of)"
)
_EVERY = r"(?:any|all|every|some|each|an\s+arbitrary|an\s+integer|integers?|constants?)"
_FOR_ALL = re.compile(
    rf"(?P<said>.*?[^,\s(\\{{])(?:{_GAP}|(?:\\left)?\\?[({{])*(?:"
    rf"(?:(?:where|for|with)\s+)?(?<![\w\\])(?P<member>[a-zA-Z])\s*(?:\\in(?![a-z])|∈)\s*{_SET}"
    rf"|(?:where|for|with)\s+{_EVERY}\s+(?:{_KIND}\s+)*(?P<every>[a-zA-Z])(?:\s*(?:\\in(?![a-z])|∈)\s*{_SET})?"
    rf"|(?:where|for|with)\s+(?P<kind>[a-zA-Z])\s+(?:is|being)\s+(?:an?\s+|any\s+|some\s+)*(?:{_KIND}\s*)+"
    r")(?:[\s).}\\]|\\right)*",
    re.DOTALL,
)
_MAX_LENGTH = 300
_BUILT = re.compile(
    r"\s*(?:\\left\s*)?\\\{(?P<member>.+?)(?:\\mid|\\colon|[|:∣])(?P<condition>.+?)(?:\\right\s*)?\\\}\s*", re.DOTALL
)
_ALL_OF = re.compile(rf"\s*{_FREE}{_SET}\s*")
_EQUATION = re.compile(rf"\s*[a-zA-Z]\s*=(?P<said>.+?),\s*(?P<all>{_FREE}{_SET})\s*", re.DOTALL)


def for_all(reference: str) -> tuple[str, str] | None:
    r"""What a reference says of all numbers of a kind, and the letter of these.

    Example:
        >>> for_all(r"k\pi, k \in \mathbb{Z}"), for_all(r"kx \text{ for any real } k"), for_all("x^2, x > 0")
        (('k\\pi', 'k'), ('kx', 'k'), None)

    """
    if len(reference) > _MAX_LENGTH:
        return None
    match = _FOR_ALL.fullmatch(re.sub(r"\\text\s*\{([^{}]*)\}|\$", r"\1", reference))
    if match is None:
        return None
    said, letter = match["said"], match["member"] or match["every"] or match["kind"]
    inside = letter in re.sub(r"\\[a-zA-Z]+", "", said)  # not in "x = 0, y \in \mathbb{R}", where y is free
    return (said, letter) if inside and said.strip() != letter else None


def without_condition(answer: str) -> str | None:
    """What stands before "where n is whole", None where nothing does or there is no condition."""
    match = _CONDITION.search(answer)
    said = answer[: match.start()].rstrip("\\,;:( \t\n") if match and "\\begin" not in answer else ""
    return said or None


def listed(text: str) -> str:
    r"""A set of all values of an expression as the expression.

    Example:
        >>> listed(r"\{k\pi : k \in \mathbb{Z}\}"), listed(r"\{x \mid x = k\pi, k \in \mathbb{Z}\}")
        ('k\\pi , k \\in \\mathbb{Z}', ' k\\pi, k \\in \\mathbb{Z}')

    """
    match = _BUILT.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        return text
    if _ALL_OF.fullmatch(match["condition"]) and len(match["member"].strip()) > 1:
        return f"{match['member']},{match['condition']}"
    equation = _EQUATION.fullmatch(match["condition"])
    return f"{equation['said']}, {equation['all']}" if equation and match["member"].strip()[1:2] in {"", " "} else text
