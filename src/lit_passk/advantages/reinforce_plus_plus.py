"""Rewards normalised over the whole batch (REINFORCE++, arXiv 2501.03262)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, check_rewards, to_float64
from lit_passk.types import GroupContext


class ReinforcePlusPlus(AdvantageStrategy):
    """Batch-relative advantage: ``A_i = (r_i - mean) / std`` over all completions of all prompts of the step.

    Mean and population standard deviation are those of ``context.batch``, over all ranks, each completion counted once
    whatever its length. Without it, outside a training run, the rewards at hand are the batch. A group does not sum to
    zero: a prompt that is always solved is rewarded. All zeros when every reward of the batch is the same.

    Use it when groups are small, or prompts are to be compared with each other: a prompt that is always solved is still
    reinforced.

    Example:
        >>> ReinforcePlusPlus()(torch.tensor([[1.0, 1.0], [0.0, 0.0]])).round(decimals=4)
        tensor([[ 1.,  1.],
                [-1., -1.]])

    """

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from any rewards of shape ``(P, G)``."""
        check_rewards(rewards)
        values = to_float64(rewards)
        if values.numel() == 0:
            return values.to(rewards.device, torch.float32)
        if context is not None and context.batch is not None:
            mean, std = context.batch.reward_mean, context.batch.reward_std
        else:
            mean, std = float(values.mean()), float(values.std(correction=0))
        # A spread below the resolution of float32 rewards is rounding.
        advantages = torch.zeros_like(values) if std <= 1e-7 * abs(mean) else (values - mean) / std
        return advantages.to(rewards.device, torch.float32)
