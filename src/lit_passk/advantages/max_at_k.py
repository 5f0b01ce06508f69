"""The analytic Pass@k advantage for rewards of any value: max@k (arXiv 2508.10751, eqs. 8-15)."""

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

    It is ``PassKAnalytic`` on rewards of 0 and 1 and ``GRPO`` at ``k = 1``. The paper gives the equations for any
    reward and the closed form for 0 and 1; the closed form for any reward was first seen in code, without a paper, and
    is tested against the enumeration of all groups. O(G log G) per prompt.

    Use it when rewards are graded (the share of passed tests, a length penalty) and the best of k answers is what
    counts. It looks at rewards alone, never at who is correct. Adding a constant to all rewards changes nothing, nor
    does a positive factor unless ``std`` is ``none``.

    Advantages are for a mean over the completions. A group sums to zero. Zeros where the G - k + 1 best rewards are
    equal, as then all groups have the same best; so always for k = G, which warns; k > G is refused. With ``std: none``
    and times k / (G - k) their sum over the completions is an unbiased gradient of max@k (``OrderStatistic``).

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
