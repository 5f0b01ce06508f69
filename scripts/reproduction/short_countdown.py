"""Countdown for a policy of a few tokens: four digits and a target in, a sum of them out."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Literal

from lit_passk.tasks import CountdownTask
from lit_passk.tasks.puzzles.expressions import value_of
from lit_passk.types import Problem

SPLITS = {"val": range(0, 1), "test": range(1, 2), "train": range(2, 10)}  # tenths of all digits with a target
TARGETS = range(10, 100)


class ShortCountdown(CountdownTask):
    r"""Four digits from 1 to 9 and a target from 10 to 99 that ``+``, ``-`` and ``*`` reach without parentheses.

    A problem belongs to the split that its digits (in any order) and target say, so no split holds a problem of another
    one in another order.

    Args:
        num_problems: How many, all different.
        split: ``train``, ``val`` or ``test``.
        seed: Chooses the problems within the split.

    Example:
        >>> task = ShortCountdown(num_problems=3, split="test")
        >>> task[0].prompt, task.demonstration(0)
        ('6 2 8 4=12\n', '<answer>2-4+8+6</answer>')
        >>> task.score(task[0], "<answer>6+2*8-4</answer>").correct
        False

    """

    def __init__(
        self, num_problems: int = 1000, split: Literal["train", "val", "test"] = "train", seed: int = 0
    ) -> None:
        self.use_all = True
        rng = random.Random(f"countdown-{seed}")
        found: dict[str, tuple[str, str]] = {}  # prompt: answer, demonstration
        while len(found) < num_problems:
            digits = [rng.randint(1, 9) for _ in range(4)]
            signs = [rng.choice("+-*") for _ in range(3)]
            demonstration = "".join(a + b for a, b in zip(map(str, digits), [*signs, ""], strict=True))
            target = int(value_of(demonstration)[0])  # type: ignore[index]
            if target in TARGETS and _tenth(digits, target) in SPLITS[split]:
                rng.shuffle(digits)
                answer = json.dumps({"nums": digits, "target": target})
                found.setdefault(f"{' '.join(map(str, digits))}={target}\n", (answer, demonstration))
        self.problems = [
            Problem(id=prompt.strip(), prompt=prompt, answer=answer) for prompt, (answer, _) in found.items()
        ]
        self.demonstrations = [demonstration for _, demonstration in found.values()]

    def demonstration(self, index: int) -> str:
        """The sum that the problem was made from."""
        return f"<answer>{self.demonstrations[index]}</answer>"


def _tenth(digits: list[int], target: int) -> int:
    text = f"{sorted(digits)}={target}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % 10
