"""REINFORCE with a leave-one-out baseline (RLOO, arXiv 2402.14740)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, check_rewards, to_float64
from lit_passk.errors import Refusal
from lit_passk.functional.passk_advantage import normalize_groups
from lit_passk.types import GroupContext


class RLOO(AdvantageStrategy):
    """Reward minus the mean reward of the other completions: ``A_i = r_i - mean_{j != i} r_j = G/(G-1) (r_i - mean)``.

    Needs two completions per prompt, or there is no baseline.

    Use it when the gradient of the expected reward itself is wanted, without bias, at any group size.

    Example:
        >>> RLOO()(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        tensor([[ 1.0000, -0.3333, -0.3333, -0.3333]])

    """

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from any rewards of shape ``(P, G)``, G at least 2."""
        check_rewards(rewards)
        group_size = rewards.shape[1]
        self.check_group_size(group_size)
        advantages = normalize_groups(to_float64(rewards), "none") * (group_size / (group_size - 1))
        return advantages.to(rewards.device, torch.float32)

    def check_group_size(self, group_size: int) -> None:
        """Raise a ValueError where a completion has no companion."""
        if group_size < 2:
            raise Refusal(f"RLOO needs rollout.group_size >= 2, but got {group_size}. Raise rollout.group_size.")
