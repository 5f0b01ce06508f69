"""Final answers as votes: one spelling for each, and how many different ones there are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import torch

from lit_passk.functional.pass_hat_k import pass_hat_k

_LONGEST_ANSWER = 1000  # characters
_WRAPPED = re.compile(
    r"^(?:\\(?:boxed|text|textbf|mathrm|mathbf|mbox)\s*\{(.*)\}|\$+(.*?)\$+|\\\((.*)\\\)|\\\[(.*)\\\])$", re.DOTALL
)
_SPACING = re.compile(r"\\[,;:! ]|\\quad|~|\s+|\\left(?![a-z])|\\right(?![a-z])")
_UNIT = re.compile(r"(?:\\?%|\^?\\circ|\^\{\\circ\}|°)$")
_FRACTION = re.compile(r"^([+-]?)(?:\\frac\{(-?\d+)\}\{(\d+)\}|(\d+)/(\d+))$")
_DECIMAL = re.compile(r"^[+-]?(?=\.?\d)(?:\d{1,3}(?:,\d{3})+|\d*)(?:\.\d*)?$")
_MOST_DIGITS = 1000
"""Beyond, a number is its spelling: Python refuses to turn texts of 4,300 digits into numbers."""
_CHOICE = re.compile(r"^\(?([A-Za-z])\)?$")


@lru_cache(maxsize=1 << 16)
def normalize_answer(answer: str) -> str:
    r"""Bring a final answer into one spelling, so that equal answers vote together.

    Not a verifier. It undoes typography (math delimiters, wrappers such as ``\text{}``, spacing, digit grouping, a
    trailing percent or degree sign or full stop, the case of plain words) and writes rational numbers one way:
    ``\dfrac{2}{4}``, ``1/2`` and ``0.50`` are one answer, ``x+1`` and ``1+x`` stay two.

    Example:
        >>> [normalize_answer(a) for a in (r"$\dfrac{2}{4}$", "0.50", "1,000", r"\text{Yes}.", "(B)", "( 1, x )")]
        ['1/2', '1/2', '1000', 'yes', 'b', '(1,x)']

    """
    text = unicodedata.normalize("NFKC", answer).replace("\N{MINUS SIGN}", "-").strip()
    while True:
        text = text if text.endswith("..") else text.removesuffix(".").rstrip()
        wrapped = _WRAPPED.match(text)
        inner = next((group for group in wrapped.groups() if group is not None), "") if wrapped else ""
        if wrapped is None or not _balanced(inner):
            break
        text = inner.strip()
    text = _SPACING.sub("", text).replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = _UNIT.sub("", re.sub(r"\\frac(\d)(\d)", r"\\frac{\1}{\2}", text))
    if choice := _CHOICE.match(text):
        return choice[1].casefold()
    return _rational(text) or (text.casefold() if text.isalpha() else text)


def number_answers(answers: Sequence[str | None]) -> list[int]:
    """Number the different answers of one problem in the order in which they come up; -1 for none.

    Answers are equal when ``normalize_answer`` says so; texts too long for a final answer (a program), when they are
    the same to the letter.

    Example:
        >>> number_answers(["1/2", "7", None, "0.50", ""])
        [0, 1, -1, 0, 2]

    """
    numbers: dict[str, int] = {}
    return [-1 if answer is None else numbers.setdefault(_spelling(answer), len(numbers)) for answer in answers]


def _spelling(answer: str) -> str:
    return answer if len(answer) > _LONGEST_ANSWER else normalize_answer(answer)


def distinct_at_k(votes: Sequence[int], k: int) -> float:
    """Expected number of different answers among ``k`` completions drawn without replacement.

    Each answer is missed with chance C(n - m, k) / C(n, k), m being how often it was given, so the estimate has no
    bias and does not depend on n (rarefaction, Hurlbert 1971).

    Args:
        votes: How many of the n completions gave each different answer, positive integers.
        k: Completions drawn, at most n.

    Returns:
        A number from 1 to ``k``.

    Raises:
        ValueError: If ``k`` exceeds the number of votes.

    Example:
        >>> [round(distinct_at_k([2, 1, 1], k), 4) for k in (2, 4)]
        [1.8333, 3.0]

    """
    counts = torch.tensor(votes, dtype=torch.int64)
    total = int(counts.sum())
    return float((1 - pass_hat_k(total - counts, total, k)).sum())


def answer_diversity(votes: Sequence[int]) -> float:
    """Chance that two different completions of a problem give different answers, in ``[0, 1]``.

    Args:
        votes: How many of the n >= 2 completions gave each different answer, positive integers.

    Raises:
        ValueError: With fewer than two votes.

    Example:
        >>> [round(answer_diversity(votes), 4) for votes in ([4], [1, 1, 1], [2, 1, 1])]
        [0.0, 1.0, 0.8333]

    """
    return distinct_at_k(votes, 2) - 1


def _balanced(text: str) -> bool:
    """Whether no brace in ``text`` closes one that was opened before it."""
    depth = 0
    for character in text.replace("\\{", "").replace("\\}", ""):
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def _rational(text: str) -> str | None:
    """``text`` as a reduced fraction or integer, None when it is neither, or of more digits than an answer has."""
    if len(text) > _MOST_DIGITS:
        return None
    if match := _FRACTION.match(text):
        sign, *parts = match.groups()
        numerator, denominator = (int(part) for part in parts if part is not None)
        return None if denominator == 0 else str(Fraction(-numerator if sign == "-" else numerator, denominator))
    return str(Fraction(text.replace(",", ""))) if _DECIMAL.match(text) else None
