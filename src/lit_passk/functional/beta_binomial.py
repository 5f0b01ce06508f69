"""Expectations over how many of a group's completions are correct, when the pass rate is known by its posterior."""

from __future__ import annotations

import torch
from torch import Tensor

_LARGE = 2.0**500


def beta_binomial_mean(values: Tensor, a: Tensor, b: Tensor) -> Tensor:
    r"""The mean of ``values[c]`` for :math:`p \sim \mathrm{Beta}(a, b)` and :math:`c \sim \mathrm{Binomial}(G, p)`.

    Neighbouring probabilities of the beta-binomial distribution have the ratio ``(G - c) (a + c) / ((c + 1) (b + G - c
    - 1))``, so nothing but products and quotients of positive numbers is taken: no logarithm, no cancellation, and no
    difference between CPUs.

    Args:
        values: One for each c from 0 to G, shape ``(G + 1,)``.
        a: Above 0, shape ``(n,)``.
        b: Above 0, shape ``(n,)``.

    Returns:
        Shape ``(n,)``, float64.

    Example:
        >>> one = torch.ones(1)
        >>> mean = beta_binomial_mean(torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0]), one, 3 * one)  # 4 draws at a rate of 1/4
        >>> round(float(mean), 4)
        1.0

    """
    values, a, b = (x.to(torch.float64) for x in (values, a, b))
    size = len(values) - 1
    term = torch.ones_like(a)  # (n,) in proportion to the probability of c
    total, weighted = term.clone(), values[0] * term
    for c in range(size):
        term = term * ((size - c) / (c + 1) * (a + c) / (b + size - c - 1))
        total, weighted = total + term, weighted + values[c + 1] * term
        scale = torch.ones_like(total).masked_fill(total > _LARGE, 1 / _LARGE)  # (n,) a common factor is free
        term, total, weighted = term * scale, total * scale, weighted * scale
    return weighted / total
