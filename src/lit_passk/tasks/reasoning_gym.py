"""The procedural puzzles of the reasoning-gym package, by the name of their task."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any

from lit_passk.errors import CannotRun, Refusal
from lit_passk.tasks.base import Task
from lit_passk.types import Problem, Score

INSTRUCTION = "Give your final answer between <answer> and </answer> tags."
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


class ReasoningGymTask(Task):
    """One of reasoning-gym's generators with the verifier that belongs to it.

    The reward is the generator's own score, which is between 0 and 1 where it gives credit for a part; a completion is
    correct when that score is 1. The answer is what the last answer tag holds.

    Args:
        name: A task of reasoning-gym, such as ``chain_sum`` or ``countdown``.
        size: How many problems.
        seed: Chooses the problems.
        config: The generator's own settings, such as ``{"min_terms": 3}``.
        instruction: Follows the question on a line of its own; empty for none.

    Raises:
        RuntimeError: If reasoning-gym is not installed.
        ValueError: If it has no such task or setting.
    """

    use_workers = True

    def __init__(
        self,
        name: str,
        size: int = 500,
        seed: int = 0,
        config: Mapping[str, Any] | None = None,
        instruction: str = INSTRUCTION,
    ) -> None:
        if size < 1:
            raise Refusal(f"ReasoningGymTask needs size >= 1, but got {size}.")
        try:
            factory = importlib.import_module("reasoning_gym.factory")
        except ImportError:
            raise CannotRun(
                "ReasoningGymTask needs the reasoning-gym package, which is not installed: pip install reasoning-gym."
            ) from None
        if name not in factory.DATASETS:
            raise Refusal(f"reasoning-gym has no task {name!r}. It has {', '.join(sorted(factory.DATASETS))}.")
        try:
            self.dataset = factory.create_dataset(name, size=size, seed=seed, **(config or {}))
        except (AssertionError, TypeError, ValueError) as error:  # how its generators refuse a setting
            raise Refusal(f"reasoning-gym's {name!r} refused config={dict(config or {})}: {error}") from error
        self.name = name
        self.instruction = instruction

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Problem:
        if not 0 <= index < len(self):
            raise IndexError(f"Problem {index} of {len(self)}.")
        entry = self.dataset[index]
        return Problem(
            id=f"{self.name}-{index}",
            prompt=f"{entry['question']}\n{self.instruction}" if self.instruction else entry["question"],
            answer=str(entry["answer"]),
            metadata={"entry": entry},
        )

    def score(self, problem: Problem, completion: str) -> Score:
        """Let the generator score what the last answer tag holds."""
        tags = _ANSWER.findall(completion)
        if not tags:
            return Score(reward=0.0, correct=False)
        answer = tags[-1].strip()
        reward = float(self.dataset.score_answer(answer, problem.metadata["entry"]))
        return Score(reward=reward, correct=reward >= 1, answer=answer)
