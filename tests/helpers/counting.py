"""A task that a random policy solves about half the time, so that a few steps have advantages."""

from __future__ import annotations

import time

from lit_passk.tasks.base import Task
from lit_passk.types import Problem, Score

LETTERS = ["U", "D", "L", "R"]


class MoreUps(Task):
    """Write more U than D; completions that start with R cannot be scored, so groups are ragged.

    Args:
        num_problems: Number of problems; their prompts differ.
        hang_on: Id of a problem whose scoring never ends; needs a worker.
    """

    def __init__(self, num_problems: int, hang_on: str | None = None) -> None:
        self.num_problems = num_problems
        self.hang_on = hang_on
        self.use_workers = hang_on is not None

    def __len__(self) -> int:
        return self.num_problems

    def __getitem__(self, index: int) -> Problem:
        if not 0 <= index < self.num_problems:
            raise IndexError(index)
        digits = [LETTERS[(index // 4**i) % 4] for i in range(3)]
        return Problem(id=str(index), prompt="".join(digits[: 2 + index % 2]), answer="")

    def score(self, problem: Problem, completion: str) -> Score:
        if problem.id == self.hang_on:
            time.sleep(3600)
        if completion.startswith("R"):
            return Score(reward=0.0, correct=False, error="starts with R")
        correct = completion.count("U") > completion.count("D")
        return Score(reward=float(correct), correct=correct, answer=completion)
