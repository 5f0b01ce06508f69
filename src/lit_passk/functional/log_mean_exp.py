"""The logarithm of a mean of exponentials: between the mean and the maximum of a group's rewards."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus


def log_mean_exp_advantage(rewards: Tensor, beta: float) -> Tensor:
    """How much a completion raises ``beta log mean exp(r / beta)`` of its group: ``f(r) - f(r without i)``.

    With the softmax p of r / beta it is ``-beta log((1 - p_i) G / (G - 1))``. Where p_i is near 1 the others' share is
    taken from their own logarithm, else the difference of p_i and 1 / G from ``expm1``: neither is a difference of
    nearly equal numbers, so any beta > 0 will do.

    Args:
        rewards: Shape ``(P, G)``, float64, G at least 2.
        beta: Temperature, above 0.

    Returns:
        Shape ``(P, G)``, float64.

    Example:
        >>> log_mean_exp_advantage(torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64), beta=1.0).round(decimals=4)
        tensor([[ 0.4528, -0.1673, -0.1673]], dtype=torch.float64)

    """
    group_size = rewards.shape[1]
    if rewards.numel() == 0:
        return rewards.clone()
    best = rewards.amax(dim=1, keepdim=True)  # (P, 1)
    scaled = (rewards - best) / beta  # (P, G), at most 0
    missing = torch.expm1(scaled)  # (P, G) in [-1, 0]
    total = missing.sum(dim=1, keepdim=True)
    behind = (total - group_size * missing) / (group_size + total)  # (P, G) 1 - G p_i
    advantages = -torch.log1p(behind / (group_size - 1))
    # Only the unique best completion can hold more than half of the softmax.
    first = torch.zeros_like(rewards, dtype=torch.bool).scatter_(1, rewards.argmax(dim=1, keepdim=True), True)
    others = scaled.masked_fill(first, -torch.inf).logsumexp(dim=1, keepdim=True)  # (P, 1)
    leading = softplus(-others) + math.log1p(-1 / group_size)
    return beta * torch.where(first & (others < 0), leading, advantages)
