"""A context made up around who is correct: for examples, and for asking a strategy what it would do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lit_passk.types import BatchStats, GroupContext


def trial_context(correct: Tensor, **known: Any) -> GroupContext:
    """A context in which what is given holds and the rest is plain, the same for every completion.

    Args:
        correct: Shape ``(P, G)``, any number type.
        **known: Fields of ``GroupContext``. Of ``entropy`` and ``logprob_mean`` one is minus the other, 1 nat where
            neither is given; completions have 10 tokens and are not truncated; the answer is 0 where correct and 1
            where wrong; ``batch`` is of these groups, paid 1 where correct.

    Example:
        >>> context = trial_context(torch.tensor([[1, 0]]), logprob_mean=torch.tensor([[-0.5, -2.0]]))
        >>> context.entropy, context.logprob_sum, context.answers  # exact: halves
        (tensor([[0.5000, 2.0000]]), tensor([[ -5., -20.]]), tensor([[0, 1]]))

    """
    right = correct.bool()  # (P, G), as all below
    known = {"num_tokens": torch.full(right.shape, 10), **known}
    if "entropy" not in known:
        known["entropy"] = -known.get("logprob_mean", -torch.ones(right.shape))
    known.setdefault("logprob_mean", -known["entropy"])
    solve_rate = right.double().mean() if right.numel() else torch.tensor(0.0)
    plain = {
        "problem_ids": torch.arange(len(right)),
        "correct": right,
        "logprob_sum": known["num_tokens"] * known["logprob_mean"],
        "truncated": torch.zeros_like(right),
        "answers": (~right).long(),
        "batch": BatchStats(
            reward_mean=float(solve_rate),
            reward_std=float((solve_rate * (1 - solve_rate)).sqrt()),
            prompt_entropy=known["entropy"].mean(dim=1),
        ),
    }
    return GroupContext(**{**plain, **known})
