"""A task, and reward functions that do what the completion says, for worker processes that have to import this file."""

from __future__ import annotations

import os
import time

from lit_passk.tasks.base import Task
from lit_passk.types import Problem, Score


class Sums(Task):
    """Half a point for any number, one for the sum."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Problem:
        return Problem(id=str(index), prompt=f"{index} + {index}", answer=str(2 * index), metadata={"level": index})

    def score(self, problem: Problem, completion: str) -> Score:
        if completion == "?":
            return Score(reward=0.0, correct=False, error="unreadable")
        correct = completion == problem.answer
        return Score(reward=0.5 + 0.5 * correct, correct=correct, answer=completion)


def obey(completion: str) -> object:
    """Sleeps, exits, raises or returns what the completion says; anything else is worth 1."""
    word, _, rest = completion.partition(" ")
    if word == "sleep":
        time.sleep(float(rest))
    elif word == "exit":
        os._exit(int(rest))
    elif word == "raise":
        raise KeyError(rest)
    elif word == "return":
        return eval(rest)
    return 1.0


def obey_as_a_group(completions: list[str], scores: list) -> object:
    """The same for a group, by its first completion; ``only`` returns so many numbers."""
    if completions[0].startswith("only "):
        return [1.0] * int(completions[0].removeprefix("only "))
    return [obey(completion) for completion in completions]
