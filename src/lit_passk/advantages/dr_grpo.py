"""GRPO without its divisor (Dr. GRPO, arXiv 2503.20783)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, check_rewards, to_float64
from lit_passk.functional.passk_advantage import normalize_groups
from lit_passk.types import GroupContext


class DrGRPO(AdvantageStrategy):
    """Centred rewards: ``A_i = r_i - mean``, so that prompts of any difficulty are weighted alike.

    The other half of Dr. GRPO, a constant loss denominator, is ``aggregation: constant`` of the loss.

    Use it when prompts that are hardly ever or nearly always solved should not be weighed up, as dividing by their
    small standard deviation does.

    Example:
        >>> DrGRPO()(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        tensor([[ 0.7500, -0.2500, -0.2500, -0.2500]])

    """

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from any rewards of shape ``(P, G)``."""
        check_rewards(rewards)
        return normalize_groups(to_float64(rewards), "none").to(rewards.device, torch.float32)
