"""Max@k: the analytic Pass@k advantage for rewards of any value."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.groups_of_k import GroupsOfK
from lit_passk.functional.order_statistics import statistic_advantage, statistic_weights
from lit_passk.functional.passk_advantage import Std, check_std
from lit_passk.types import GroupContext


class MaxAtK(GroupsOfK):
    """Mean advantage of a completion over all groups of k, each rewarded by its best member, whatever the rewards.

    With S running over all C(G, k) groups of k of the G completions::

        mu    = E[max r(S)]                               max@k
        sigma = std of max r(S)
        A_i   = (E[max r(S) | i in S] - mu) / sigma

    The same as ``PassKAnalytic`` on rewards of 0 and 1; use it where rewards are graded (the share of passed tests, a
    length penalty). It looks at rewards alone, never at who is correct. A group sums to zero. Adding a constant to all
    rewards changes nothing, nor does a positive factor unless ``std`` is ``none``. ``k = 1`` is GRPO. O(G log G) per
    prompt.

    Scale: for a mean over completions, as GRPO's. ``std: none`` times k / (G - k) is, summed over the completions, the
    unbiased gradient of max@k (``OrderStatistic``).

    Edge cases: zeros where the G - k + 1 best rewards are equal (then all groups have the same best), so always for
    k = G, which warns; k > G is refused.

    References:
        - Chen et al., Pass@k Training, arXiv 2508.10751, eqs. 8-15: the case of rewards of 0 and 1.
        - For any reward known from code only; the golden test is the enumeration of all groups in rationals.

    Args:
        k: Completions per group, from 1 to ``rollout.group_size``.
        std: Divide by the standard deviation of max r(S) over the M groups with 1/M (``population``), with 1/(M - 1)
            (``bessel``), or not at all (``none``).

    Example:
        >>> MaxAtK(k=2)(torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.9, 0.5, 0.5, 0.0]]))
        tensor([[ 1.0000, -0.3333, -0.3333, -0.3333],
                [ 1.0000, -0.3333, -0.3333, -0.3333]])

    """

    def __init__(self, k: int = 4, std: Std = "population") -> None:
        super().__init__(k)
        check_std(std)
        self.std: Std = std

    def check_group_size(self, group_size: int) -> None:
        """Raise a ValueError where ``k > group_size``; warn where ``k == group_size``, where all advantages are 0."""
        super().check_group_size(group_size)
        self.warn_single_group(group_size)

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from any rewards of shape ``(P, G)``."""
        values = self.read_rewards(rewards)
        advantages = statistic_advantage(values, statistic_weights("max", self.k), self.std)
        return advantages.to(rewards.device, torch.float32)
