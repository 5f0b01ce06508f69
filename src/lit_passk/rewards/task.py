"""A task that pays by named parts, and still counts as correct what its verdict says."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.rewards.base import RewardPart, Verdict
from lit_passk.tasks.base import Task
from lit_passk.tasks.records import shown
from lit_passk.tasks.scores import BadScore, CannotScore, as_number, group_scores_of, score_of
from lit_passk.types import CompletionText, Problem, Score


class RewardedTask(Task):
    """A task whose reward is the weighted sum of named parts.

    Problems, ``correct`` and ``answer`` are the task's, so Pass@k counts what it always counts. The task's own reward
    is paid where the parts hold a ``Verdict``. A part that does not apply to a completion adds nothing to its sum;
    where none applies, the completion could not be scored.

    With parts that use worker processes (functions, patterns) the task is scored there too. What such a part raises
    leaves the completion unscored, or the group if the part is about the group.

    ``data.rewards`` wraps ``data.train`` in this; by its ``class_path`` it may stand wherever a task may::

        data:
          val:
            gsm8k:
              class_path: RewardedTask
              init_args:
                task: {class_path: MathTask, init_args: {path: gsm8k.jsonl}}
                rewards:
                  verdict: {class_path: Verdict}
                  short: {class_path: SoftOverlong, init_args: {max_tokens: 1024, buffer: 256, weight: 0.5}}

    Args:
        task: The problems, and the verdict on their completions.
        rewards: The parts by name. Names are part of metrics' names: no '/' and no '.'.

    Raises:
        ValueError: If there is no part, a name cannot be used, a weight is negative or no number, or all of them are 0.

    Example:
        >>> from lit_passk.rewards import Format, Verdict
        >>> from lit_passk.tasks import ArithmeticTask
        >>> task = RewardedTask(
        ...     ArithmeticTask(num_problems=1), {"verdict": Verdict(), "period": Format(pattern="[.]$", weight=0.5)}
        ... )
        >>> score = task.score(task[0], CompletionText("No idea."))
        >>> score.reward, score.correct, score.parts  # exact: halves
        (0.5, False, {'verdict': 0.0, 'period': 1.0})

    """

    def __init__(self, task: Task, rewards: dict[str, RewardPart]) -> None:
        _check(rewards)
        for part in rewards.values():
            part.check(task)
        self.rewards = dict(rewards)
        self._pay_for(task)
        if not any(isinstance(part, Verdict) for part in rewards.values()):
            warnings.warn(
                f"The rewards {', '.join(rewards)} of {type(task).__name__} hold no Verdict: being correct is not paid "
                "for by itself. Add `verdict: {class_path: Verdict}` if it is to be.",
                stacklevel=2,
            )

    def of(self, task: Task) -> RewardedTask:
        """The same rewards for another task, whose rows need not have what they look at."""
        other = copy(self)
        other._pay_for(task)
        return other

    def _pay_for(self, task: Task) -> None:
        self.task = task
        self.use_workers = task.use_workers or any(part.use_workers for part in self.rewards.values())
        self.secrets = [*task.secrets, *(name for part in self.rewards.values() for name in part.secrets)]
        # A verdict that is itself made over the group is known only then; so are the parts that look at it.
        self._late = {name for name, part in self.rewards.items() if part.needs_group or task.scores_groups}
        self.scores_groups = bool(self._late)

    def __len__(self) -> int:
        return len(self.task)

    def __getitem__(self, index: int) -> Problem:
        return self.task[index]

    def score(self, problem: Problem, completion: CompletionText) -> Score:
        """The task's verdict with the parts that look at one completion; paid by them, unless others follow."""
        verdict = score_of(self.task, problem, completion)
        if verdict.error is not None:
            return verdict
        values = {}
        for name, part in self.rewards.items():
            if name not in self._late:
                with _blamed(name):
                    value = part.value(problem, completion, verdict)
                values[name] = _number(name, part, problem, value)
        joined = self._joined(verdict, values)
        return joined if self.scores_groups else self._paid(joined)

    def score_group(
        self, problem: Problem, completions: Sequence[CompletionText], scores: Sequence[Score]
    ) -> list[Score]:
        """The parts that look at the group, and the sum of all."""
        result = list(scores)
        if self.task.scores_groups:
            result = group_scores_of(self.task, problem, completions, scores)
        rows = [row for row, score in enumerate(result) if score.error is None]
        if not rows:
            return result
        texts, verdicts = [completions[row] for row in rows], [result[row] for row in rows]
        values: list[dict[str, float | None]] = [{} for _ in rows]
        for name, part in self.rewards.items():
            if name in self._late:
                with _blamed(name):
                    given = part.group_values(problem, texts, verdicts)
                for row_values, value in zip(values, _listed(name, part, problem, given, len(rows)), strict=True):
                    row_values[name] = _number(name, part, problem, value)
        for row, row_values in zip(rows, values, strict=True):
            result[row] = self._paid(self._joined(result[row], row_values))
        return result

    def time_limit(self, timeout: float) -> float:
        """The task's own; one that watches the clock itself leaves the parts as much time as any completion has."""
        own = self.task.time_limit(timeout)
        return own + timeout if own > timeout else own

    def warm_up(self) -> None:
        """Load what the task and its parts need."""
        self.task.warm_up()
        for part in self.rewards.values():
            part.warm_up()

    def demonstration(self, index: int) -> str:
        """The task's."""
        return self.task.demonstration(index)

    def _joined(self, score: Score, values: dict[str, float | None]) -> Score:
        """A score with further parts; those that do not apply are left out."""
        if twice := score.parts.keys() & values.keys():
            raise BadScore(
                f"{type(self.task).__name__} names a part of its reward {min(twice)!r}, and so do its rewards: call it "
                "something else there."
            )
        return replace(score, parts={**score.parts, **{name: v for name, v in values.items() if v is not None}})

    def _paid(self, score: Score) -> Score:
        """A score with the weighted sum of the parts as its reward."""
        mine = {name: score.parts[name] for name in self.rewards if name in score.parts}
        if not mine:
            return replace(score, error=f"none of the rewards {', '.join(self.rewards)} applies")
        others = {name: value for name, value in score.parts.items() if name not in mine}
        terms = [self.rewards[name].weight * value for name, value in mine.items()]
        reward = math.fsum(terms) if all(map(math.isfinite, terms)) else math.nan  # which leaves it without a score
        return replace(score, reward=reward, parts={**others, **mine})


def _check(rewards: dict[str, RewardPart]) -> None:
    """Refuse parts that cannot be added up, or not be named."""
    if not rewards:
        raise Refusal("Rewards need at least one part, but got none.")
    for name, part in rewards.items():
        if not isinstance(part, RewardPart):
            raise Refusal(f"Rewards are RewardParts by name, but {name!r} is {shown(part)}.")
        if not name or "/" in name or "." in name:
            raise Refusal(f"Names of rewards may not be empty nor hold '/' or '.', but got {name!r}.")
        if not math.isfinite(part.weight) or part.weight < 0:
            raise Refusal(
                f"Rewards need weights of 0 or more, but {name!r} has {part.weight}: a penalty is a part whose values "
                "are negative."
            )
    if not any(part.weight for part in rewards.values()):
        raise Refusal(f"Rewards need a weight above 0, but those of {', '.join(rewards)} are all 0.")


@contextmanager
def _blamed(name: str) -> Iterator[None]:
    """Name the part that raises: its completion cannot be scored."""
    try:
        yield
    except BadScore:
        raise
    except Exception as error:
        raise CannotScore(f"reward {name!r} raised {type(error).__name__}: {error}") from error


def _number(name: str, part: RewardPart, problem: Problem, value: Any) -> float | None:
    number = None if value is None else as_number(value)
    if value is not None and number is None:
        raise BadScore(
            f"Reward {name!r} ({part}) must give a number for every completion, or None where it does not apply, but "
            f"gave {shown(value)} for problem {problem.id!r}."
        )
    return number


def _listed(name: str, part: RewardPart, problem: Problem, values: Any, length: int) -> Sequence[Any]:
    values = values.tolist() if hasattr(values, "tolist") else values  # of numpy or torch
    if not isinstance(values, list | tuple) or len(values) != length:
        raise BadScore(
            f"Reward {name!r} ({part}) must give a list with one number for each of the {length} completions of the "
            f"group, but gave {shown(values)} for problem {problem.id!r}."
        )
    return values
