"""Exceeding Pass@k Training: more weight on prompts that are hardly ever solved (arXiv 2508.10751, eq. 17)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from lit_passk.advantages.passk_strategy import PassKStrategy
from lit_passk.errors import Refusal
from lit_passk.functional.passk_advantage import analytic_advantage
from lit_passk.types import GroupContext


class ExceedingPassK(PassKStrategy):
    """Analytic Pass@k advantages times a factor that falls with the number of correct completions.

    Eq. 17, with c correct completions: ``A' = f(c) * A_Pass@k``, ``f(c) = 4 / (10 log(c + 0.5))``, so that a prompt
    solved once counts most. A group sums to zero; a prompt without a correct completion gets zeros.

    Use it when a prompt that was solved once should count far more than any other, more than ``PassKAnalytic`` makes
    it.

    Args:
        k: Completions per group, from 1 to ``rollout.group_size``.
        log_base: Base of the logarithm, ``e`` or a number above 1. The paper does not state it; 10 in place of e scales
            all advantages by 2.303.

    Example:
        >>> ExceedingPassK(k=2)(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        tensor([[ 0.9865, -0.3288, -0.3288, -0.3288]])

    """

    def __init__(self, k: int = 4, log_base: Literal["e"] | float = "e") -> None:
        super().__init__(k)
        if log_base != "e" and not 1 < float(log_base) < math.inf:
            raise Refusal(f"`log_base` must be e or a number above 1, but got {log_base!r}.")
        self.log_base = log_base

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from ``context.correct`` or rewards of 0 and 1, shape ``(P, G)``."""
        correct = self.read_correct(rewards, context)
        scale = 1.0 if self.log_base == "e" else math.log(float(self.log_base))
        # Without a correct completion the advantages are 0, but the logarithm is negative: -0.0 would come out.
        factor = 0.4 * scale / (correct.sum(dim=1, keepdim=True).clamp(min=1) + 0.5).log()  # (P, 1)
        return (factor * analytic_advantage(correct, self.k)).to(rewards.device, torch.float32)
