"""The border where a task's scores enter: plain values of Python, or one sentence that names the task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.tasks.base import Task
from lit_passk.tasks.columns import shown
from lit_passk.tasks.records import plain_text
from lit_passk.types import CompletionText, Problem, Score

_LARGEST = 3.4028234663852886e38
"""Of float32, in which training has its rewards."""


NOT_FINITE = "which is not finite in float32"
"""What the ``error`` of a completion ends with whose reward was NaN, infinite or too large."""


class BadScore(Refusal):
    """A task returned what is no score; its ``score`` has to be mended."""


class CannotScore(Exception):  # noqa: N818 - no bug of this package: its message is the reason
    """A completion cannot be scored; the message becomes ``Score.error`` as it is."""


def score_of(task: Task, problem: Problem, completion: CompletionText | str) -> Score:
    """Have a task score one completion.

    What means the same as a plain value becomes one: scalars of numpy and torch, 0 and 1 as ``correct``, a number as
    ``answer``, NaN as no answer. With an ``error`` set, `reward` and `correct` say nothing and become 0 and False. A
    reward, or a part of it, that is NaN, infinite or beyond float32 is no value to train on: it becomes an ``error``.

    Raises:
        BadScore: If the task returns anything else. What its ``score`` raises is raised as it is.

    Example:
        >>> import numpy as np
        >>> class Longest(Task):
        ...     __len__ = __getitem__ = None
        ...
        ...     def score(self, problem, completion):
        ...         return Score(reward=np.float32(0.5), correct=np.True_, answer=len(completion))
        >>> score_of(Longest(), Problem(id="1", prompt="?", answer=""), "word")  # exact: as given
        Score(reward=0.5, correct=True, answer='4', error=None)

    """
    given = task.score(problem, completion)  # type: ignore[arg-type]  # a task may be content with a plain text
    return _checked(given, f"`{type(task).__name__}.score`", problem)


def group_scores_of(
    task: Task, problem: Problem, completions: Sequence[CompletionText | str], scores: Sequence[Score]
) -> list[Score]:
    """Have a task go over the scores of a group; it is shown the completions that could be scored, if there are any.

    Raises:
        BadScore: If the task returns anything else than one score for each. What it raises is raised as it is.
    """
    rows = [row for row, score in enumerate(scores) if score.error is None]
    result = list(scores)
    if not rows:
        return result
    shown_ones: list[Any] = [completions[row] for row in rows]  # a task may be content with plain texts
    given = task.score_group(problem, shown_ones, [scores[row] for row in rows])
    where = f"`{type(task).__name__}.score_group`"
    if not isinstance(given, Sequence) or len(given) != len(rows):
        raise BadScore(
            f"{where} must return a list with one score for each of the {len(rows)} completions it was given, but "
            f"returned {shown(given)} for problem {problem.id!r}."
        )
    for row, score in zip(rows, given, strict=True):
        result[row] = _checked(score, where, problem)
    return result


def as_number(value: Any) -> float | None:
    """A number of Python, numpy or torch as a float, infinite where float32 has no such number; None for others."""
    number = _plain(value)
    if not isinstance(number, bool | int | float | Decimal | Fraction):
        return None
    try:
        as_float = float(number)
    except ValueError:  # Decimal's signalling NaN
        return math.nan
    except OverflowError:
        return math.inf if number > 0 else -math.inf
    return as_float if not math.isfinite(as_float) or abs(as_float) <= _LARGEST else math.copysign(math.inf, as_float)


def _checked(given: Any, where: str, problem: Problem) -> Score:
    """What a method returned, as plain values; ``where`` opens the message of every error."""
    if not isinstance(given, Score):
        raise BadScore(
            f"{where} must return Score(reward=..., correct=...), but returned {shown(given)} for problem "
            f"{problem.id!r}."
        )
    answer = _answer(given.answer, where, problem)
    if given.error is not None:
        return Score(reward=0.0, correct=False, answer=answer, error=str(given.error))
    reward, correct = as_number(given.reward), _truth(given.correct)
    if reward is None:
        needed = "a number, and Score(error=...) for a completion that cannot be scored"
        raise BadScore(_refused(where, problem, "reward", needed, given.reward))
    if correct is None:
        raise BadScore(_refused(where, problem, "correct", "True or False", given.correct))
    parts = _parts(given.parts, where, problem)
    numbers = {**{f"the part {name!r} of its reward": value for name, value in parts.items()}, "its reward": reward}
    for what, number in numbers.items():
        if not math.isfinite(number):
            error = f"{where}: {what} is {number}, {NOT_FINITE}"
            return Score(reward=0.0, correct=False, answer=answer, error=error)
    return Score(reward=reward, correct=correct, answer=answer, parts=parts)


def _parts(given: Any, where: str, problem: Problem) -> dict[str, float]:
    parts: dict[str, float] = {}
    if isinstance(given, Mapping):
        for name, value in given.items():
            if isinstance(name, str) and (number := as_number(value)) is not None:
                parts[name] = number
    if not isinstance(given, Mapping) or len(parts) < len(given):
        raise BadScore(_refused(where, problem, "parts", "numbers by name", given))
    return parts


def _answer(given: Any, where: str, problem: Problem) -> str | None:
    answer = _plain(given)
    if answer is None or (isinstance(answer, float) and math.isnan(answer)):  # nothing was found
        return None
    infinite = isinstance(answer, float) and math.isinf(answer)
    text = str(answer) if infinite or isinstance(answer, str | Fraction) else plain_text(answer)
    if text is None:
        raise BadScore(_refused(where, problem, "answer", "a text, a number or None", given))
    return text


def _refused(where: str, problem: Problem, field: str, needed: str, given: Any) -> str:
    return (
        f"{where} must return a Score whose {field} is {needed}, but returned {field}={shown(given)} for problem "
        f"{problem.id!r}."
    )


def _plain(value: Any) -> Any:
    """A scalar of numpy or torch as Python's own; anything else as it is."""
    try:
        return value.item()
    except (AttributeError, TypeError, ValueError, RuntimeError):  # no such method, or more than one element
        return value


def _truth(value: Any) -> bool | None:
    truth = _plain(value)
    return bool(truth) if isinstance(truth, bool | int | float) and truth in (0, 1) else None
