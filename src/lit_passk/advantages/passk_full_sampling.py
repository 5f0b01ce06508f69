"""Pass@k Training by full sampling: disjoint groups in the order of sampling (arXiv 2508.10751, section 2.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.group_advantage import GroupAdvantage
from lit_passk.advantages.passk_strategy import PassKStrategy
from lit_passk.types import GroupContext


class PassKFullSampling(PassKStrategy):
    """Every k completions in a row are one group, rewarded by its best member; all members get the group's advantage.

    Algorithm 1: ``floor(G / k)`` groups, group reward by eq. 5, normalised over the groups by eqs. 1-3 (population
    standard deviation). Completions left over by G mod k get 0. The result depends on the order of the completions.
    A prompt whose groups are all correct or all wrong gets zeros, which is frequent when there are few groups.

    Use it when the paper's first variant is to be reproduced; few groups make most prompts silent, so else take
    ``PassKAnalytic``.

    Args:
        k: Completions per group; 2k or more completions are needed for an advantage other than 0.

    Example:
        >>> PassKFullSampling(k=2)(torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0]])).round(decimals=4)
        tensor([[ 1.,  1., -1., -1.,  0.]])

    """

    def __init__(self, k: int = 4) -> None:
        super().__init__(k)
        self._general = GroupAdvantage("max", k, groups="disjoint")

    def check_group_size(self, group_size: int) -> None:
        """As in the base; also warn where fewer than two groups of k fit in ``group_size``."""
        super().check_group_size(group_size)
        self.warn_one_disjoint_group(group_size)

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from ``context.correct`` or rewards of 0 and 1, shape ``(P, G)``."""
        correct = self.read_correct(rewards, context)
        return self._general.compute(correct, context).to(rewards.device, torch.float32)
