"""Groups of k paid for their best, their median, their worst, any weights (OrderGrad, arXiv 2606.06096)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.groups_of_k import GroupsOfK
from lit_passk.functional.order_statistics import read_weights, statistic_advantage
from lit_passk.types import GroupContext


class OrderStatistic(GroupsOfK):
    """Unbiased gradient of the expected order statistic of k completions, exactly centred.

    With ``L(S) = sum_j w_j R_(j)`` the weighted rewards of a group S of k in ascending order::

        q_i = E[L(S) | i in S]        over the groups of k with completion i
        v_i = E[L(S) | i not in S]    over the groups of k of the other G - 1
        A_i = (k / G) (q_i - v_i)

    Times the gradients of the completions' log-probabilities and summed, it has the gradient of E[L] of k new
    completions as its mean. The source has other names for the statistics (ReMax, ReMin, TopM, BotM, Median,
    LowerTailMean), and its lists of weights begin with the best reward. O(G log G) per prompt.

    The same up to a factor: ``max`` is ``MaxAtK(std="none")`` times k / (G - k), which for rewards of 0 and 1 is
    ``PassKAnalytic(std="none")``; and the difference that i makes in the place of another completion j, averaged over
    all j and all k - 1 companions (the swap-centred form). ``mean`` for any k, and everything at ``k = 1``, is ``RLOO``
    divided by G.

    Use it when you can say which of k answers should be good: the best (``max``, pass@k for rewards of 0 and 1), most
    of them (``median``), all (``min``), or the bad ones less bad (``cvar:q``). It looks at rewards alone.

    Advantages are for a sum over the completions, so G times smaller than those for a mean. A group sums to zero; equal
    rewards get equal advantages. k = G is refused: no group of k leaves a completion out. With ``max`` zeros where the
    G - k + 1 best rewards are equal.

    Args:
        k: Completions per group, from 1 to ``rollout.group_size`` - 1.
        statistic: ``max``, ``min``, ``mean``, ``median`` (of an even k the mean of the two middle rewards), ``top:m``
            or ``bottom:m`` (mean of the m best or worst of k), ``cvar:q`` (mean of the worst ``ceil(q k)``), or a list
            of k weights, of the worst reward first.

    Example:
        >>> rewards = torch.tensor([[0.0, 0.5, 1.0]])
        >>> OrderStatistic(k=2)(rewards)
        tensor([[-0.1667, -0.1667,  0.3333]])
        >>> OrderStatistic(k=2, statistic=[0.5, 0.5])(rewards)
        tensor([[-0.2500,  0.0000,  0.2500]])

    """

    def __init__(self, k: int = 4, statistic: str | list[float] = "max") -> None:
        super().__init__(k)
        self.statistic = statistic
        self.weights = read_weights(statistic, k)

    def check_group_size(self, group_size: int) -> None:
        """Raise a ValueError where ``k >= group_size``."""
        super().check_group_size(group_size)
        self.refuse_single_group(group_size)

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from any rewards of shape ``(P, G)``."""
        values = self.read_rewards(rewards)
        group_size = values.shape[1]
        advantages = statistic_advantage(values, self.weights) * (self.k / (group_size - self.k))
        return advantages.to(rewards.device, torch.float32)
