"""Exact arithmetic over groups of right and wrong answers: oracles for advantages."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction


def expectation(advantages: Callable[[int], tuple[Fraction, Fraction]], group_size: int, rate: Fraction) -> Fraction:
    """Expected gradient in the solve rate of a policy that is right with probability ``rate``, a mean over the group.

    Args:
        advantages: ``(A_pos, A_neg)`` for each number of right answers.
        group_size: Answers per group.
        rate: Strictly between 0 and 1.

    """
    total = Fraction(0)
    for c in range(group_size + 1):
        positive, negative = advantages(c)
        chance = math.comb(group_size, c) * rate**c * (1 - rate) ** (group_size - c)
        # The derivative of log p is 1 / p for a right answer and -1 / (1 - p) for a wrong one.
        total += chance * (c * positive / rate - (group_size - c) * negative / (1 - rate))
    return total / group_size


def normalized(group_size: int, num_correct: int) -> list[float]:
    """GRPO with the population standard deviation, from its definition; the right answers come first."""
    rewards = [Fraction(int(i < num_correct)) for i in range(group_size)]
    mean = sum(rewards) / group_size
    variance = sum((reward - mean) ** 2 for reward in rewards) / group_size
    return [float(reward - mean) / math.sqrt(variance) if variance else 0.0 for reward in rewards]
