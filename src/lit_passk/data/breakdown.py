"""Into which groups a training task's problems fall, so that what a step did can be logged for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lightning.pytorch.utilities import rank_zero_warn

from lit_passk.tasks.base import Task
from lit_passk.tasks.mixture import Mixture
from lit_passk.types import Problem

MOST_SOURCES = 64


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The tasks of a mixture and the sources of problems, the same on every rank."""

    names: Sequence[str]
    """``<task>`` for each task of a mixture, ``source/<source>`` for each ``Problem.source``."""
    of_problem: Sequence[Sequence[int]]
    """By index in the training task: which of ``names`` a problem counts in."""


def breakdown_of(task: Task, problems: Sequence[Problem]) -> Breakdown | None:
    """Group the problems of a training task; None where there is nothing to tell apart.

    Args:
        task: The task.
        problems: All its problems, by index.
    """
    sources = sorted({problem.source for problem in problems if problem.source is not None})
    if len(sources) > MOST_SOURCES:
        rank_zero_warn(
            f"The problems of `data.train` name {len(sources)} sources, the first of them {sources[0]!r}: more than "
            f"{MOST_SOURCES} are not logged one by one."
        )
        sources = []
    tasks = list(task.tasks) if isinstance(task, Mixture) else []
    names = [*tasks, *(f"source/{source}" for source in sources)]
    if not names:
        return None
    number = {name: i for i, name in enumerate(names)}
    source_numbers = {source: number[f"source/{source}"] for source in sources}
    of_problem: list[list[int]] = [[] for _ in problems]
    if isinstance(task, Mixture):
        for name, span in task.spans.items():
            for index in span:
                of_problem[index].append(number[name])
    for index, problem in enumerate(problems):
        if problem.source in source_numbers:
            of_problem[index].append(source_numbers[problem.source])
    return Breakdown(names, of_problem)
