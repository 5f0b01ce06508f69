"""The arithmetic the advantage strategies share: group normalisation and the analytic Pass@k advantage."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from lit_passk.functional.pass_at_k import fail_at_k_table

Std = Literal["population", "bessel", "none"]
"""What a centred reward is divided by: the standard deviation with 1/N (the paper), with 1/(N - 1), or nothing."""


def check_std(std: str) -> None:
    """Raise a ValueError unless ``std`` is one of ``population``, ``bessel``, ``none``."""
    if std not in get_args(Std):
        raise ValueError(f"`std` must be one of {', '.join(get_args(Std))}, but got {std!r}.")


def bessel_factor(group_size: int, k: int, std: Std) -> float:
    """Population over Bessel standard deviation of M = C(G, k) groups: sqrt((M - 1) / M) for ``bessel``, else 1."""
    num_groups = math.comb(group_size, k)
    return math.sqrt((num_groups - 1) / num_groups) if std == "bessel" else 1.0


def normalize_groups(rewards: Tensor, std: Std = "population") -> Tensor:
    """Subtract each row's mean and divide by its standard deviation (arXiv 2508.10751, eqs. 1-3).

    Args:
        rewards: Shape ``(..., G)``, float64.
        std: ``population`` divides by N inside the root, ``bessel`` by N - 1, ``none`` leaves the centred reward.

    Returns:
        Shape ``(..., G)``, float64; a row of equal rewards gives exact zeros.

    Example:
        >>> normalize_groups(torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64))
        tensor([[ 1.7321, -0.5774, -0.5774, -0.5774]], dtype=torch.float64)

    """
    if rewards.numel() == 0:
        return rewards.clone()
    centred = rewards - rewards.mean(dim=-1, keepdim=True)  # (..., G)
    # Equality of the rewards themselves, not std > 0: the mean of equal floats can be off by an ulp, and dividing that
    # by an equally small std would give advantages of size 1.
    flat = rewards.amax(dim=-1, keepdim=True) == rewards.amin(dim=-1, keepdim=True)  # (..., 1)
    if std != "none":
        ddof = 1 if std == "bessel" else 0
        count = max(rewards.shape[-1] - ddof, 1)
        centred = centred / (centred.square().sum(dim=-1, keepdim=True) / count).sqrt()
    return torch.where(flat, 0.0, centred)


def analytic_advantage(correct: Tensor, k: int, std: Std = "population") -> Tensor:
    """The mean advantage a completion gets over all C(G, k) groups of k (arXiv 2508.10751, eqs. 8-15).

    With c correct and q = C(G - c, k) / C(G, k), the share of groups without one, eqs. 14 and 15 are the same as
    ``A_pos = sqrt(q / (1 - q))`` and ``A_neg = -c / (G - c) * A_pos``, and 0 where q is 0 or 1: no difference of nearly
    equal numbers is ever taken, and the group sums to zero.

    Args:
        correct: 1 where a completion is correct, else 0, shape ``(P, G)``, any number type, G at least ``k``.
        k: Completions per group.
        std: What the group rewards are divided by; ``none`` gives ``A_pos = q``.

    Returns:
        Shape ``(P, G)``, float64.

    Example:
        >>> analytic_advantage(torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0]]), k=2)
        tensor([[ 1.0000, -0.3333, -0.3333, -0.3333],
                [ 0.4472,  0.4472, -0.4472, -0.4472]], dtype=torch.float64)

    """
    group_size = correct.shape[1]
    num_correct = correct.sum(dim=1, keepdim=True).to(torch.int64)  # (P, 1)
    share_failing = fail_at_k_table(group_size, k).to(correct.device)[num_correct]  # (G + 1,) -> (P, 1)
    differs = (share_failing > 0) & (share_failing < 1)
    positive = share_failing
    if std != "none":
        positive = (share_failing / torch.where(differs, 1 - share_failing, 1.0)).sqrt()
        positive = positive * bessel_factor(group_size, k, std)
    negative = -num_correct * positive / (group_size - num_correct).clamp(min=1)
    return torch.where(differs, torch.where(correct > 0, positive, negative), 0.0)  # (P, G)
