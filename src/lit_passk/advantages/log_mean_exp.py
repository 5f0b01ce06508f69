"""Between the mean and the maximum of a group: the log-mean-exp of its rewards (DecompRL, arXiv 2607.02390)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, check_rewards, to_float64
from lit_passk.errors import Refusal
from lit_passk.functional.log_mean_exp import log_mean_exp_advantage
from lit_passk.types import GroupContext


class LogMeanExp(AdvantageStrategy):
    """What a completion adds to the exponentially weighted mean of its group's rewards.

    Over the G rewards r of a prompt::

        f(r) = beta log mean_j exp(r_j / beta)
        A_i  = f(r) - f(r without i)

    As beta falls to 0, f becomes the maximum and A_i that of ``LeaveOneOutMaxK``; as it grows, f becomes the mean and
    A_i that of ``RLOO`` divided by G. O(G) per prompt.

    Use it when the best of the group should be pulled up, but more smoothly than by a maximum: a prompt that is hardly
    ever solved weighs more than one that mostly is, and none is left out but those whose rewards are all equal. It
    looks at rewards alone. The source takes a beta of 0.3 with 16 completions and 0.1 with 48.

    Advantages are for a sum over the completions: summed, they have the gradient of E[f] of G completions as their
    mean. A group does not sum to zero; equal rewards give zeros. beta is in units of the reward: twice the rewards want
    twice the beta, and none above 0 overflows. A single completion (G = 1) is refused.

    Args:
        beta: Temperature, above 0, in units of the reward.

    Example:
        >>> LogMeanExp()(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        tensor([[ 0.6146, -0.0765, -0.0765, -0.0765]])

    """

    def __init__(self, beta: float = 0.3) -> None:
        if not 0 < beta < math.inf:
            raise Refusal(f"LogMeanExp needs a finite beta above 0, but got {beta}.")
        self.beta = beta

    def check_group_size(self, group_size: int) -> None:
        """Raise a ValueError where a completion has no companion."""
        if group_size < 2:
            raise Refusal(f"LogMeanExp needs rollout.group_size >= 2, but got {group_size}. Raise rollout.group_size.")

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from any rewards of shape ``(P, G)``, G at least 2."""
        check_rewards(rewards)
        self.check_group_size(rewards.shape[1])
        return log_mean_exp_advantage(to_float64(rewards), self.beta).to(rewards.device, torch.float32)
