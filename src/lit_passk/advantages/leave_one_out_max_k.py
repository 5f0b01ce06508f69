"""What the best of k would lose without a completion: the k-sample objective (arXiv 2503.19595)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, check_rewards, to_float64
from lit_passk.errors import Refusal
from lit_passk.functional.order_statistics import gain_of_joining
from lit_passk.types import GroupContext


class LeaveOneOutMaxK(AdvantageStrategy):
    """What the best reward of a group would lose without this completion; all G completions are one group by default.

    With k = G, the source's case, and with fewer, averaged over all groups S of k that hold completion i::

        A_i = max_j r_j - max_{j != i} r_j                      k = G
        A_i = E[max r(S) - max r(S without i) | i in S]         k < G

    The same up to a factor: G / k times ``PKPO(k, variant="sloo_minus_one")`` (arXiv 2505.15201, eq. 33). O(G log G)
    per prompt.

    Use it when you compare with the source, or want the plainest form: with k = G only a unique best completion has an
    advantage, its lead over the second best. Where two are correct, rewards of 0 and 1 teach nothing. It looks at
    rewards alone.

    Advantages are for a sum over the k completions of a group: summed over all G completions and times k / G they have
    the gradient of max@k as their mean. Never negative. k = 1 is refused, nothing is left of a group without its only
    member; so is k > G.

    Args:
        k: Completions per group, from 2 to ``rollout.group_size``; None takes all of them (the source).

    Example:
        >>> rewards = torch.tensor([[0.0, 0.25, 0.75]])
        >>> LeaveOneOutMaxK()(rewards), LeaveOneOutMaxK(k=2)(rewards)
        (tensor([[0.0000, 0.0000, 0.5000]]), tensor([[0.0000, 0.1250, 0.6250]]))

    """

    def __init__(self, k: int | None = None) -> None:
        if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 2):
            raise Refusal(f"LeaveOneOutMaxK needs an integer k >= 2 (or None for all completions), but got k = {k!r}.")
        self.k = k

    def check_group_size(self, group_size: int) -> None:
        """Raise a ValueError where groups of k do not fit, or a completion would be alone."""
        least = 2 if self.k is None else self.k
        if group_size < least:
            raise Refusal(
                f"LeaveOneOutMaxK(k={self.k}) needs rollout.group_size >= {least}, but got {group_size}. "
                "Raise rollout.group_size or lower k."
            )

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from any rewards of shape ``(P, G)``."""
        check_rewards(rewards)
        group_size = rewards.shape[1]
        self.check_group_size(group_size)
        advantages = gain_of_joining(to_float64(rewards), group_size if self.k is None else self.k)
        return advantages.to(rewards.device, torch.float32)
