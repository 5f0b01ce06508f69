"""What a completion does for the majority vote of k, exactly."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import torch
from torch import Tensor

from lit_passk.functional.majority import Votes, maj_at_k

_Answer = tuple[int, float]
"""How often an answer was given, and which share of those completions is correct."""


def vote_advantage(answers: Tensor, correct: Tensor, k: int) -> Tensor:
    """Mean vote over the groups of k with a completion, minus that over the groups of k without it.

    Completions with one answer have one advantage, ``G / k`` times what the mean vote of all groups is above that of
    the G - 1 others; so each prompt needs ``maj_at_k`` once for itself and once for every answer that is left out.

    Args:
        answers: Equal numbers for equal answers, -1 for none, shape ``(P, G)``, int64.
        correct: Shape ``(P, G)``, bool.
        k: Completions that vote, at most G - 1.

    Returns:
        Shape ``(P, G)``, float64.

    Example:
        >>> answers, correct = torch.tensor([[7, 7, 5, 4]]), torch.tensor([[True, True, False, False]])
        >>> vote_advantage(answers, correct, k=3).round(decimals=4)
        tensor([[ 0.4444,  0.4444, -0.4444, -0.4444]], dtype=torch.float64)

    """
    advantages = torch.zeros(answers.shape, dtype=torch.float64)
    for row, (given, credited) in enumerate(zip(answers.tolist(), correct.tolist(), strict=True)):
        counts = Counter(given)
        right = Counter(answer for answer, is_right in zip(given, credited, strict=True) if is_right)
        num_silent = counts.pop(-1, 0)
        credit = {answer: (count, right[answer] / count) for answer, count in counts.items()}
        of = _advantages(tuple(sorted(credit.values())), num_silent, k)
        advantages[row] = torch.tensor([of[credit.get(answer)] for answer in given], dtype=torch.float64)
    return advantages


@lru_cache(maxsize=1 << 12)
def _advantages(answers: tuple[_Answer, ...], num_silent: int, k: int) -> dict[_Answer | None, float]:
    """The advantage of a completion that gave such an answer, or none."""
    total = sum(count for count, _ in answers) + num_silent
    mean = _mean_vote(answers, num_silent, k)
    without: dict[_Answer | None, float] = {}
    if num_silent:
        without[None] = _mean_vote(answers, num_silent - 1, k)
    for answer in set(answers):
        count, credit = answer
        others = list(answers)
        others.remove(answer)
        left = [(count - 1, credit)] if count > 1 else []
        without[answer] = _mean_vote(tuple(sorted(others + left)), num_silent, k)
    # Below 1e-12 is what is left of two equal votes.
    differences = {answer: (mean - vote) * total / k for answer, vote in without.items()}
    return {answer: value if abs(value) > 1e-12 else 0.0 for answer, value in differences.items()}


@lru_cache(maxsize=1 << 14)
def _mean_vote(answers: tuple[_Answer, ...], num_silent: int, k: int) -> float:
    counts, credits = zip(*answers, strict=True) if answers else ((), ())
    return maj_at_k(Votes(counts, credits, num_silent), k)
