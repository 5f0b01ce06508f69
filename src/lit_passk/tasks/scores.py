"""The border where a task's scores enter: plain values of Python, or one sentence that names the task."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.tasks.base import Task
from lit_passk.tasks.records import plain_text, shown
from lit_passk.types import CompletionText, Problem, Score


class BadScore(Refusal):
    """A task returned what is no score; its ``score`` has to be mended."""


def score_of(task: Task, problem: Problem, completion: CompletionText | str) -> Score:
    """Have a task score one completion.

    What means the same as a plain value becomes one: scalars of numpy and torch, 0 and 1 as ``correct``, a number as
    ``answer``, NaN as no answer. With an ``error`` set, `reward` and `correct` say nothing and become 0 and False.

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
    if not isinstance(given, Score):
        raise BadScore(
            f"`{type(task).__name__}.score` must return Score(reward=..., correct=...), but returned {shown(given)} "
            f"for problem {problem.id!r}."
        )
    answer = _answer(task, problem, given.answer)
    if given.error is not None:
        return Score(reward=0.0, correct=False, answer=answer, error=str(given.error))
    reward, correct = _number(given.reward), _truth(given.correct)
    if reward is None:
        needed = "a finite number, and Score(error=...) for a completion that cannot be scored"
        raise BadScore(_refused(task, problem, "reward", needed, given.reward))
    if correct is None:
        raise BadScore(_refused(task, problem, "correct", "True or False", given.correct))
    return Score(reward=reward, correct=correct, answer=answer)


def _answer(task: Task, problem: Problem, given: Any) -> str | None:
    answer = _plain(given)
    if answer is None or (isinstance(answer, float) and math.isnan(answer)):  # nothing was found
        return None
    infinite = isinstance(answer, float) and math.isinf(answer)
    text = str(answer) if infinite or isinstance(answer, str | Fraction) else plain_text(answer)
    if text is None:
        raise BadScore(_refused(task, problem, "answer", "a text, a number or None", given))
    return text


def _refused(task: Task, problem: Problem, field: str, needed: str, given: Any) -> str:
    return (
        f"`{type(task).__name__}.score` must return a Score whose {field} is {needed}, but returned "
        f"{field}={shown(given)} for problem {problem.id!r}."
    )


def _plain(value: Any) -> Any:
    """A scalar of numpy or torch as Python's own; anything else as it is."""
    try:
        return value.item()
    except (AttributeError, TypeError, ValueError, RuntimeError):  # no such method, or more than one element
        return value


def _number(value: Any) -> float | None:
    number = _plain(value)
    if not isinstance(number, bool | int | float | Decimal | Fraction):
        return None
    try:
        return float(number) if math.isfinite(number) else None
    except OverflowError:
        return None


def _truth(value: Any) -> bool | None:
    truth = _plain(value)
    return bool(truth) if isinstance(truth, bool | int | float) and truth in (0, 1) else None
