"""Several tasks as one, to train on together: each with a weight and, where it needs them, its own prompt settings."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.rewards.base import RewardPart
from lit_passk.rewards.task import RewardedTask
from lit_passk.tasks.base import Task
from lit_passk.types import CompletionText, Problem, Score

RESERVED = ("loss", "reward", "rollout_correction", "source")
"""What is logged under ``train/<name>/`` already."""


@dataclass(frozen=True)  # no slots: jsonargparse reads the defaults from __dict__
class MixtureTask:
    """One task of a ``Mixture``.

    Args:
        task: Its problems and their verifier.
        weight: Its share of every step's prompts, as a part of the sum of all weights.
        system_prompt: System turn of its prompts; None takes ``data.system_prompt``.
        chat_template_kwargs: Variables of the chat template for its prompts, laid over ``data.chat_template_kwargs``.
        rewards: What its completions are paid for, as in ``data.rewards``, instead of those; None is the task's reward.
    """

    task: Task
    weight: float = 1.0
    system_prompt: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    rewards: dict[str, RewardPart] | None = None


class Mixture(Task):
    """Several tasks to train on in one run.

    Every step has prompts of each task by the weights: exactly in the long run, and in every run of steps to less than
    one prompt a task. Each task goes through its own prompts in epochs of its own, so a small task with a large weight
    comes round more often. What a step trained on is logged for each task under ``train/<name>/``.

    A problem's id is ``<name>/<its id in the task>``. Each task scores its own problems as it would alone; if one of
    them uses worker processes, all are scored there, under the longest of their time limits.

    In YAML::

        data:
          train:
            class_path: Mixture
            init_args:
              tasks:
                maze: {weight: 1, task: {class_path: MazeTask}}
                math: {weight: 3, task: {class_path: MathTask, init_args: {path: math.jsonl}}}

    Args:
        tasks: The tasks by name. Names are part of metrics' names: no '/' and no '.'.

    Raises:
        ValueError: If there is no task, a name cannot be used, a weight is negative or no number, all of them are 0, a
            task has no problems, or is a ``Mixture`` itself.

    Example:
        >>> from lit_passk.tasks import ArithmeticTask, MazeTask
        >>> mixture = Mixture({
        ...     "maze": MixtureTask(MazeTask(sizes=[5], num_problems=2), weight=3.0),
        ...     "products": MixtureTask(ArithmeticTask(num_problems=4)),
        ... })
        >>> len(mixture), [mixture[i].id.partition("/")[0] for i in range(6)]
        (6, ['maze', 'maze', 'products', 'products', 'products', 'products'])

    """

    def __init__(self, tasks: dict[str, MixtureTask]) -> None:
        check_names(tasks)
        for name, part in tasks.items():
            if not isinstance(part, MixtureTask):
                raise Refusal(f"Mixture needs MixtureTask(task, weight, ...) by name, but {name!r} is {part!r}.")
            if not math.isfinite(part.weight) or part.weight < 0:
                raise Refusal(f"Mixture needs weights of 0 or more, but {name!r} has {part.weight}.")
            if isinstance(part.task, Mixture):
                raise Refusal(f"A task of a Mixture may not be a Mixture, but {name!r} is: name its tasks in this one.")
            if len(part.task) == 0:
                raise Refusal(f"Mixture needs tasks with problems, but {name!r} has none.")
        if not any(part.weight for part in tasks.values()):
            raise Refusal(f"Mixture needs a weight above 0, but those of {', '.join(tasks)} are all 0.")
        self.tasks = {name: _paid(part) for name, part in tasks.items()}
        ends = list(accumulate(len(part.task) for part in tasks.values()))
        self.spans = {
            name: range(end - len(part.task), end) for (name, part), end in zip(tasks.items(), ends, strict=True)
        }
        """Indices of each task's problems in the mixture."""
        self._ends = ends
        self.use_workers = any(part.task.use_workers for part in self.tasks.values())
        self.secrets = [name for part in self.tasks.values() for name in part.task.secrets]
        self.scores_groups = any(part.task.scores_groups for part in self.tasks.values())

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Problem:
        name, own = self.locate(index)
        problem = self.tasks[name].task[own]
        return replace(problem, id=f"{name}/{problem.id}")

    def locate(self, index: int) -> tuple[str, int]:
        """The name of the task that a problem is from, and its index there."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        name = list(self.tasks)[bisect_right(self._ends, index)]
        return name, index - self.spans[name].start

    def score(self, problem: Problem, completion: CompletionText) -> Score:
        """Have the problem's own task score it, which sees the id that it gave."""
        task, own = self._own(problem)
        return task.score(own, completion)

    def score_group(
        self, problem: Problem, completions: Sequence[CompletionText], scores: Sequence[Score]
    ) -> Sequence[Score]:
        """Have the problem's own task go over the group, if it does that."""
        task, own = self._own(problem)
        return task.score_group(own, completions, scores) if task.scores_groups else scores

    def time_limit(self, timeout: float) -> float:
        """The longest of the tasks' limits."""
        return max(part.task.time_limit(timeout) for part in self.tasks.values())

    def _own(self, problem: Problem) -> tuple[Task, Problem]:
        """The task that a problem is from, and the problem as that task gave it."""
        name, _, own = problem.id.partition("/")
        return self.tasks[name].task, replace(problem, id=own)

    def warm_up(self) -> None:
        """Load what the tasks need."""
        for part in self.tasks.values():
            part.task.warm_up()

    def demonstration(self, index: int) -> str:
        """The demonstration of the problem's own task."""
        name, own = self.locate(index)
        return self.tasks[name].task.demonstration(own)


def paid_each(paid: RewardedTask) -> Task:
    """The same rewards for each task of a ``Mixture``, which stays one, but for those that have rewards already.

    Any other task is paid for as it is.
    """
    if not isinstance(paid.task, Mixture):
        return paid
    return Mixture(
        {
            name: part if isinstance(part.task, RewardedTask) else replace(part, task=paid.of(part.task))
            for name, part in paid.task.tasks.items()
        }
    )


def _paid(part: MixtureTask) -> MixtureTask:
    """The same with its rewards in the task, where it has any."""
    return part if part.rewards is None else replace(part, task=RewardedTask(part.task, part.rewards), rewards=None)


def check_names(tasks: Mapping[str, object]) -> None:
    """Refuse names that would not fit into those of metrics and problems."""
    if not tasks:
        raise Refusal("Mixture needs at least one task, but got none.")
    for name in tasks:
        if not name or "/" in name or "." in name:
            raise Refusal(f"Names of a Mixture's tasks may not be empty nor hold '/' or '.', but got {name!r}.")
        if name in RESERVED:
            raise Refusal(
                f"A task of a Mixture may not be called {name!r}: `train/{name}/` has other metrics. Call it something "
                "else."
            )
