"""Is what a program printed what the data set says?"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple


class Verdict(NamedTuple):
    """Whether a program passes all of its tests, and if not, why."""

    passed: bool
    reason: str = ""


def same_output(printed: str, expected: str, tolerance: Sequence[float] | None) -> Verdict:
    r"""Compare two outputs word by word, whatever white space separates the words.

    Args:
        printed: What the program printed.
        expected: What the data set says.
        tolerance: Greatest absolute and relative difference of a number that is expected with a point or an exponent;
            whole numbers must be equal, and case is ignored. None compares the words as they are.

    Example:
        >>> same_output("1  2.0000001 yes", "1 2.0\nYES\n", tolerance=(1e-6, 1e-6)).passed
        True
        >>> same_output("1000000008", "1000000007", tolerance=(1e-6, 1e-6)).passed
        False

    """
    words, expected_words = printed.split(), expected.split()
    if len(words) != len(expected_words):
        return Verdict(False, f"printed {len(words)} words, expected {len(expected_words)}")
    for position, (word, wanted) in enumerate(zip(words, expected_words, strict=True)):
        if word != wanted and (tolerance is None or not _same_word(word, wanted, *tolerance)):
            return Verdict(False, f"word {position} is wrong")
    return Verdict(True)


def _same_word(word: str, wanted: str, absolute: float, relative: float) -> bool:
    if word.lower() == wanted.lower():
        return True
    try:
        number, wanted_number = float(word), float(wanted)
    except ValueError:
        return False
    if wanted.lstrip("+-").isdigit():
        return number == wanted_number and abs(wanted_number) < 2**53
    return abs(number - wanted_number) <= absolute + relative * abs(wanted_number)


def same_lines(printed: str, expected: str) -> Verdict:
    r"""Compare two outputs line by line as LiveCodeBench does: lines are equal, or their words are equal numbers.

    White space at both ends of a line or of the whole does not count.

    Example:
        >>> same_lines(" 1.50 2\nyes\n", "1.5 2.0\nyes").passed, same_lines("1\n2", "1 2").passed
        (True, False)

    """
    lines, expected_lines = ([line.strip() for line in text.strip().split("\n")] for text in (printed, expected))
    if len(lines) != len(expected_lines):
        return Verdict(False, f"printed {len(lines)} lines, expected {len(expected_lines)}")
    for position, (line, wanted) in enumerate(zip(lines, expected_lines, strict=True)):
        if line != wanted and not _same_numbers(line, wanted):
            return Verdict(False, f"line {position} is wrong")
    return Verdict(True)


def _same_numbers(line: str, wanted: str) -> bool:
    try:
        return [Decimal(word) for word in line.split()] == [Decimal(word) for word in wanted.split()]
    except InvalidOperation:  # a word is no number
        return False
