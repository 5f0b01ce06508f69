"""Pass@k Training by full sampling: disjoint groups in the order of sampling (arXiv 2508.10751, section 2.2)."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from lit_passk.advantages.base import GroupSizeWarning
from lit_passk.advantages.passk_strategy import PassKStrategy
from lit_passk.functional.passk_advantage import normalize_groups
from lit_passk.types import GroupContext


class PassKFullSampling(PassKStrategy):
    """Every k completions in a row are one group, rewarded by its best member; all members get the group's advantage.

    Algorithm 1: ``floor(G / k)`` groups, group reward by eq. 5, normalised over the groups by eqs. 1-3 (population
    standard deviation). Completions left over by G mod k get 0. The result depends on the order of the completions.
    A prompt whose groups are all correct or all wrong gets zeros, which is frequent when there are few groups.

    Args:
        k: Completions per group; 2k or more completions are needed for an advantage other than 0.

    Example:
        >>> PassKFullSampling(k=2)(torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0]])).round(decimals=4)
        tensor([[ 1.,  1., -1., -1.,  0.]])

    """

    def check_group_size(self, group_size: int) -> None:
        """As in the base; also warn where fewer than two groups of k fit in ``group_size``."""
        super().check_group_size(group_size)
        if self.k < group_size < 2 * self.k:
            warnings.warn(
                f"PassKFullSampling(k={self.k}) forms a single group out of rollout.group_size = {group_size}: its "
                f"advantages are always zero. Raise rollout.group_size to {2 * self.k} or more, or lower k.",
                GroupSizeWarning,
                stacklevel=2,
            )

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from ``context.correct`` or rewards of 0 and 1, shape ``(P, G)``."""
        correct = self.read_correct(rewards, context)
        num_prompts, group_size = correct.shape
        num_groups = group_size // self.k
        used = num_groups * self.k
        group_rewards = correct[:, :used].reshape(num_prompts, num_groups, self.k).amax(dim=2)  # (P, groups)
        advantages = torch.zeros_like(correct)
        advantages[:, :used] = normalize_groups(group_rewards).repeat_interleave(self.k, dim=1)  # (P, used)
        return advantages.to(rewards.device, torch.float32)
