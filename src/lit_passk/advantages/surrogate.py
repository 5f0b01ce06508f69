"""Any function of the solve rate as the objective (arXiv 2510.23049)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, read_correct
from lit_passk.errors import Refusal
from lit_passk.types import GroupContext


class Surrogate(AdvantageStrategy):
    """Ascends ``F(p)``, p being how often a prompt is solved, from the derivative of F.

    With ``p = c / G`` of the completions correct::

        A_pos = (1 - p) * F'(p)        A_neg = -p * F'(p)        0 where c is 0 or G

    The policy gradient of ``F(p)`` is ``F'(p)`` times that of p, and this puts the observed share in p's place, so the
    bias falls with 1/G. Known members: ``F = p`` is ``DrGRPO``, ``F = log p`` (``F' = 1 / p``) is ``MaxRL``,
    ``F = 2 arcsin(sqrt(p))`` (``F' = 1 / sqrt(p (1 - p))``) is ``GRPO``. For pass@k, ``F' = k (1 - p)^(k - 1)``, use
    ``PassKAnalytic`` with ``std="none"``, which has no bias.

    Use it when you have an objective in mind and want to see what it does, in one line. In YAML the derivative is the
    path of a function, one of your own or of torch::

        advantage: {class_path: Surrogate, init_args: {derivative: torch.reciprocal}}

    Scale: for a mean over completions, as GRPO's.

    Edge cases: a group sums to zero; the derivative is not asked at solve rates of 0 and 1.

    References:
        - Thrampoulidis, Mahdavi and Deng, arXiv 2510.23049: advantages as objectives in the solve rate, and back.

    Args:
        derivative: ``F'``: takes solve rates strictly between 0 and 1, shape ``(G - 1,)``, float64, and returns the
            derivative at each, or one number for all.

    Raises:
        ValueError: When the derivative is not finite everywhere, or of another shape.

    Example:
        >>> Surrogate(derivative=lambda p: 1 / p)(torch.tensor([[1.0, 0.0, 0.0, 0.0]])).round(decimals=4)
        tensor([[ 3., -1., -1., -1.]])

    """

    def __init__(self, derivative: Callable[..., Any]) -> None:
        if not callable(derivative):
            raise Refusal(f"Surrogate needs a function as `derivative`, but got {derivative!r}.")
        self.derivative = derivative

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from ``context.correct`` or rewards of 0 and 1, shape ``(P, G)``."""
        correct = read_correct(self, rewards, context)
        solve_rate = correct.mean(dim=1, keepdim=True) if correct.shape[1] else correct  # (P, 1)
        weight = self._weights(correct.shape[1])[correct.sum(dim=1, keepdim=True).long()]  # (G + 1,) -> (P, 1)
        return (weight * (correct - solve_rate)).to(rewards.device, torch.float32)

    def _weights(self, group_size: int) -> Tensor:
        """The derivative for every number of correct completions, shape ``(G + 1,)``; the ends do not matter."""
        table = torch.zeros(group_size + 1, dtype=torch.float64)
        if group_size < 2:
            return table
        between = torch.arange(1, group_size, dtype=torch.float64) / group_size  # (G - 1,)
        values = torch.as_tensor(self.derivative(between), dtype=torch.float64, device="cpu")
        if values.ndim > 0 and values.shape != between.shape:
            raise Refusal(
                f"The `derivative` of Surrogate must return one value for each of {len(between)} solve rates, but "
                f"returned shape {tuple(values.shape)}."
            )
        table[1:-1] = values
        if not table.isfinite().all():
            bad = between[~table[1:-1].isfinite()][0]
            raise Refusal(f"The `derivative` of Surrogate is not finite at a solve rate of {float(bad):g}.")
        return table
