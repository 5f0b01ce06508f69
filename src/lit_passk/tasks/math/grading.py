r"""Is the final answer of a completion the reference answer?

``text.py`` and ``statements.py`` find what was answered; ``characters.py``, ``quantified.py``, ``phrases.py``,
``spelling.py`` with ``notations.py``, and ``latex.py`` bring it into one notation; ``expressions.py`` (on
``symbols.py``, ``bound.py``, ``commands.py``), ``quantities.py``, ``lists.py`` and ``reading.py`` read it;
``equality.py`` compares it, with ``sampling.py`` (on ``evaluation.py``, ``calculus.py``), ``equations.py``,
``families.py``, ``regions.py``, ``pieces.py``, ``residues.py``, ``vectors.py`` and ``naming.py``. docs/grading.md says
where the verdicts differ from math-verify's, whose own verdicts ``math_verify_grade`` gives.
"""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from functools import lru_cache

from lit_passk.tasks.math.answers import Answer
from lit_passk.tasks.math.characters import plain_characters
from lit_passk.tasks.math.equality import same
from lit_passk.tasks.math.naming import renamed
from lit_passk.tasks.math.phrases import polar
from lit_passk.tasks.math.quantified import for_all, listed, without_condition
from lit_passk.tasks.math.reading import LABEL, readings
from lit_passk.tasks.math.spelling import escaped_once
from lit_passk.tasks.math.statements import (
    concluded,
    formulas,
    last_formulas,
    stated,
    tagged,
    without_denied,
    without_unit,
)
from lit_passk.tasks.math.text import boxed_answers, boxes, chosen_letter, concluding_answer, final_text, letter, plain

_WHOLE = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)")
_DECIMAL = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)\.\d*")
_CLOCK = re.compile(r"0?(\d{1,2})(?::([0-5]\d)|\s?o['’]?\s?clock)(?:\s?([ap])\.?m\.?)?", re.IGNORECASE)
_NUMERAL = re.compile(r"\(?([0-9A-F]+)\)?(?:_\{?(\d\d)\}?)?")
_LETTERS = re.compile(r"(?:\(?[A-H]\)?(?:[,;& ]|\band\b)*){2,}")
_ARTICLE = re.compile(r"^(?:an?|the) ")
_DELIMITED = re.compile(r"\\boxed|\$|\\\(|\\\[")
_PREFIXED = re.compile(r"0([box])_?([0-9a-f]+)", re.IGNORECASE)
_BASES = {"b": 2, "o": 8, "x": 16}
_MAX_DIGITS = 1000  # Python refuses to read numbers of several thousand digits, and some policies write them
_MAX_LENGTH = 5_000


def grade(reference: str, completion: str) -> tuple[bool, str | None]:
    r"""Judge one completion.

    Looked for in this order, after the last ``</think>`` and in the last ``<answer>`` if there is one: a closing "The
    final answer is ... I hope it is correct", the last box (several in a row, separated by nothing but commas or "and",
    are one answer), what follows the last "the answer is", a last clause in words ("there is no solution"), the last
    formula or number. What the text denies ("the answer is not 42") is none of these.

    Args:
        reference: The right answer, as a data set gives it: LaTeX without or with delimiters, a text that holds a box,
            or a GSM8K solution that ends in ``#### 42``.
        completion: What the policy wrote.

    Returns:
        Whether it is right, and the answer that was found, None when there is none.

    Example:
        >>> grade(r"\frac{1}{2}", r"Not \boxed{2}. We get \boxed{0.5}.")
        (True, '0.5')
        >>> grade("72", "She sold 48 + 24 = 72 clips. The answer is 70.")
        (False, '70')
        >>> grade("72", "I do not know.")
        (False, None)

    """
    text = plain_characters(final_text(completion))
    text = without_denied(tagged(text) or text)
    reference = reference_text(reference)
    said = concluding_answer(text)
    boxed = [] if said else boxed_answers(text)
    if right := letter(reference):
        closed = boxes(text)
        behind = text[closed[-1][1] :] if closed else ""
        given = chosen_letter(behind if boxed else text, boxed[0] if boxed else None)
        if given is None and boxed and "\\text" in reference and plain(boxed[0]).strip("()") == right.lower():
            given = right  # \text{(C)} is a choice and no variable
        if given is not None:
            return given == right, given
    elif labelled := LABEL.match(reference):  # "(B) 12"
        answer = boxed[0] if boxed else text.strip()
        if given := letter(answer):
            return given == labelled[1], given
        if boxed and (other := LABEL.match(answer)) and not _choose_the_same(labelled, other):
            return False, answer
    if boxed:
        right_word = _verdict(reference) is not None and polar(boxed[0]) == _verdict(reference)
        return right_word or any(equal(reference, answer) for answer in boxed), boxed[0]
    return _graded_text(reference, text, stated(said or text))


def _graded_text(reference: str, text: str, sentence: str | None) -> tuple[bool, str | None]:
    """Judge a text without a box; ``sentence`` is what follows "the answer is"."""
    if _verdict(reference) and (word := polar(sentence or text)):
        return word == _verdict(reference), word
    if sentence and _says(reference, sentence):
        return True, plain(sentence, keep_text=True)
    words = None if sentence else concluded(text)
    if words and (equal(reference, words) or not words.startswith("\\text")):
        return equal(reference, words), words
    answers = formulas(sentence) if sentence else []
    answers = answers or last_formulas(text)
    if not answers:
        return (True, text.strip()) if _says(reference, text) else (False, None)
    return any(equal(reference, answer) for answer in answers), plain(without_unit(answers[0]), keep_text=True)


def _verdict(reference: str) -> str | None:
    """The yes, no, true or false of a reference that says nothing more than that and why, in words."""
    return None if re.search(r"\d|\\(?!text)|\$", reference) else polar(reference)


def _choose_the_same(right: re.Match[str], given: re.Match[str]) -> bool:
    """Whether two labels name one option, or stand before the first of several parts."""
    return right[1] == given[1] or any(LABEL.search(label.string[label.end() :]) for label in (right, given))


def _says(reference: str, sentence: str) -> bool:
    """Whether a sentence begins with the reference, word for word: "Yes, because ..."."""
    wanted = plain(reference)
    return wanted.replace(" ", "").isalpha() and wanted in {
        _ARTICLE.sub("", plain(part.strip("*\"' ")))
        for part in (sentence, re.split(r"[,;:(]|\*\*| because | since ", sentence)[0])
    }


def equal(reference: str, answer: str) -> bool:
    """Whether ``answer``, the content of a box, equals the reference."""
    reference, answer = (listed(_with_base(text)) for text in (reference, answer))
    settled = settle(reference, answer)
    if settled is not None:
        return settled
    if max(len(reference), len(answer)) > _MAX_LENGTH:
        return False
    free = every[1] if (every := for_all(reference)) else ""
    pairs = [(right, given) for right in _reference_readings(reference) for given in _answer_readings(answer)]
    return any(same(*pair) for pair in pairs) or any(
        same(pair[0], other) for pair in pairs for other in renamed(*pair, free)
    )


def _with_base(text: str) -> str:
    """``1011_2`` for ``0b1011``."""
    match = _PREFIXED.fullmatch(plain(text))
    return f"{match[2].upper()}_{{{_BASES[match[1].lower()]}}}" if match else text


def settle(reference: str, answer: str) -> bool | None:
    """Decide by spelling: True for the same one, True or False for two whole numbers or times, None for the rest."""
    right, given = plain(reference), plain(answer)
    if right == given:
        return bool(given)
    if max(len(right), len(given)) > _MAX_DIGITS:
        return None
    if _WHOLE.fullmatch(right) and _WHOLE.fullmatch(given):
        return int(right.replace(",", "")) == int(given.replace(",", ""))
    if all(_WHOLE.fullmatch(text) or _DECIMAL.fullmatch(text) for text in (right, given)) and (
        Fraction(right.replace(",", "")) == Fraction(given.replace(",", ""))
    ):
        return True
    if _LETTERS.fullmatch(right) and _LETTERS.fullmatch(given) and (right.isalpha() != given.isalpha()):  # A, C and AC
        return sorted(re.findall("[A-H]", right)) == sorted(re.findall("[A-H]", given))
    digits = _NUMERAL.fullmatch(right.replace(" ", "")), _NUMERAL.fullmatch(given.replace(" ", ""))
    if digits[0] and digits[1] and (digits[0][2] or digits[1][2]) and re.search("[A-Z]", right):  # 2A_{16}
        return digits[0][1] == digits[1][1] and (
            None in (bases := (digits[0][2], digits[1][2])) or bases[0] == bases[1]
        )
    times = _CLOCK.fullmatch(right), _CLOCK.fullmatch(given)
    if times[0] and times[1]:  # and no ratios, 4:30 that of 2:15
        halves = {half.lower() for half in (times[0][3], times[1][3]) if half}
        return len(halves) < 2 and (
            _minutes(times[0]) == _minutes(times[1])
            or (times[0][1], times[0][2] or "00") == (times[1][1], times[1][2] or "00")
        )
    return None


def _minutes(time: re.Match[str]) -> int:
    """Since midnight: 3:00 pm is 15:00."""
    hour = int(time[1]) % 12 + 12 * (time[3].lower() == "p") if time[3] else int(time[1])
    return 60 * hour + int(time[2] or 0)


def reference_text(reference: str) -> str:
    """The answer in a data set's answer column: what follows ``####``, or else all of it."""
    return plain_characters(escaped_once(reference.rpartition("####")[2]).strip())


@lru_cache(maxsize=16384)
def _reference_readings(reference: str) -> tuple[Answer, ...]:
    found = readings(reference)
    if every := for_all(reference):
        found += readings(every[0])
    if boxed := boxed_answers(reference):
        found += readings(boxed[0])
    elif _DELIMITED.search(reference):
        found += tuple(reading for formula in formulas(reference)[:1] for reading in readings(formula))
    return found


@lru_cache(maxsize=4096)
def _answer_readings(answer: str) -> tuple[Answer, ...]:
    said = without_condition(answer)
    return readings(answer) + (readings(said) if said else ())


def math_verify_grade(reference: str, completion: str) -> tuple[bool, str | None]:
    """What math-verify says on its own, with its default settings; a reference without delimiters is put in a box."""
    from math_verify import parse, verify  # takes a second to load, and comparison with published scores needs it alone

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that no time limit of its own is set: ours is
    reference = reference.rpartition("####")[2].strip()  # and nothing else is changed
    gold = parse(reference if _DELIMITED.search(reference) else f"\\boxed{{{reference}}}", parsing_timeout=None)
    answer = parse(completion, parsing_timeout=None)
    spelling = next((item for item in reversed(answer) if isinstance(item, str)), None)
    return verify(gold, answer, timeout_seconds=None), spelling
