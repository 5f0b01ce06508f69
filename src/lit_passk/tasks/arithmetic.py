"""Products of two small numbers: a task a small pretrained model half knows, scored in microseconds."""

from __future__ import annotations

import random
import re
from typing import Literal

from lit_passk.errors import Refusal
from lit_passk.functional.random import derive_seed
from lit_passk.tasks.base import Task
from lit_passk.types import Problem, Score

SMALLEST, LARGEST = 3, 19
SPLITS = {"val": range(0, 3), "train": range(3, 10)}  # tenths of the unordered pairs
TEMPLATE = "What is {a} * {b}?"
_NUMBER = re.compile(r"(?<!\d)-?\d[\d,]*(?:\.\d+)?")


class ArithmeticTask(Task):
    """Products a * b of factors from 3 to 19, in both orders.

    A problem belongs to the split that its unordered pair of factors says (70 % train, 30 % val): 12 * 7 is never
    trained on when 7 * 12 is validated.

    Args:
        split: ``train`` or ``val``.
        num_problems: How many, in an order of their own that mixes large and small; None takes all.
        template: Prompt text; ``{a}`` and ``{b}`` are replaced by the factors.

    Example:
        >>> task = ArithmeticTask(split="val", num_problems=20)
        >>> problem = task[0]
        >>> problem.prompt
        'What is 5 * 11?'
        >>> task.score(problem, f"Easy: it must be {problem.answer}.").correct
        True

    """

    def __init__(
        self, split: Literal["train", "val"] = "train", num_problems: int | None = None, template: str = TEMPLATE
    ) -> None:
        if split not in SPLITS:
            raise Refusal(f"ArithmeticTask needs split to be one of {sorted(SPLITS)}, but got {split!r}.")
        if "{a}" not in template or "{b}" not in template:
            raise Refusal(f"ArithmeticTask needs a template that holds '{{a}}' and '{{b}}', but got {template!r}.")
        factors = range(SMALLEST, LARGEST + 1)
        pairs = [(a, b) for a in factors for b in factors if _tenth(a, b) in SPLITS[split]]
        random.Random(f"arithmetic-{split}").shuffle(pairs)
        if num_problems is not None and not 0 < num_problems <= len(pairs):
            raise Refusal(f"ArithmeticTask has 1 to {len(pairs)} problems in {split!r}, but got {num_problems=}.")
        self.template = template
        self.pairs = pairs[:num_problems]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Problem:
        a, b = self.pairs[index]
        prompt = self.template.replace("{a}", str(a)).replace("{b}", str(b))
        return Problem(id=f"{a}*{b}", prompt=prompt, answer=str(a * b))

    def score(self, problem: Problem, completion: str) -> Score:
        """Compare the last number of the completion with the product."""
        answer = last_number(completion)
        correct = answer == problem.answer
        return Score(reward=float(correct), correct=correct, answer=answer)

    def demonstration(self, index: int) -> str:
        """The equation, with its result at the end."""
        a, b = self.pairs[index]
        return f"{a} * {b} = {a * b}"


def last_number(text: str) -> str | None:
    """Return the last number of a text without digit grouping and trailing zeros, None when there is none.

    Example:
        >>> last_number("12 * 90 = 1,080.0."), last_number("no idea")
        ('1080', None)

    """
    numbers = _NUMBER.findall(text)
    if not numbers:
        return None
    whole, _, fraction = numbers[-1].replace(",", "").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _tenth(a: int, b: int) -> int:
    """Which tenth of the unordered pairs this one falls in, 0 to 9."""
    return derive_seed("arithmetic", min(a, b), max(a, b)) % 10
