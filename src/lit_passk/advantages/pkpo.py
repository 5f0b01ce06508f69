"""Unbiased gradients of max@k with three baselines (PKPO, arXiv 2505.15201)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from lit_passk.advantages.groups_of_k import GroupsOfK
from lit_passk.errors import Refusal
from lit_passk.functional.order_statistics import gain_of_joining, statistic_advantage, statistic_weights
from lit_passk.functional.pass_at_k import max_at_k
from lit_passk.types import GroupContext

Variant = Literal["s", "sloo", "sloo_minus_one"]


class PKPO(GroupsOfK):
    """Pass-at-k policy optimisation: a completion gets the best reward of the groups it is in, minus a baseline.

    S runs over the groups of k that hold completion i::

        s               A_i = k/G E[max r(S)]
        sloo            A_i = k/G E[max r(S)] - k/(G - 1) (max@k of the other G - 1)
        sloo_minus_one  A_i = k/G E[max r(S) - max r(S without i)]

    Equations 19-21, 29 and 33-34 of the paper. Times the gradients of the completions' log-probabilities and summed,
    each has the gradient of max@k as its mean. O(G log G) per prompt.

    Use it when wrong answers should be left alone: ``sloo_minus_one`` is 0 for the k - 1 worst completions and never
    negative, so on rewards of 0 and 1 it reinforces correct completions and nothing else. ``OrderStatistic`` is the
    centred form. It looks at rewards alone. The paper trains with 16 completions and k of 1, 4 or 8, or with 8 until
    step 1500 and then 1 (``Schedule``).

    Advantages are for a sum over the completions, so G times smaller than those for a mean. A group does not sum to
    zero; with ``s`` and ``sloo`` even a prompt whose rewards are all equal has advantages. At k = G ``sloo`` has no
    baseline (it is ``s``) and ``sloo_minus_one`` is ``LeaveOneOutMaxK``. At k = 1 nothing is left of a group without i:
    ``sloo_minus_one`` is then the reward minus the mean of the others, divided by G, as the paper centres there; it
    needs G of at least 2. k > G is refused.

    Args:
        k: Completions per group, from 1 to ``rollout.group_size``.
        variant: ``s`` has no baseline, ``sloo`` and ``sloo_minus_one`` (the paper's best) are as above.

    Example:
        >>> rewards = torch.tensor([[1.0, 0.0, 0.0]])
        >>> PKPO(k=2)(rewards), PKPO(k=2, variant="sloo")(rewards)
        (tensor([[0.6667, 0.0000, 0.0000]]), tensor([[ 0.6667, -0.6667, -0.6667]]))

    """

    def __init__(self, k: int = 4, variant: Variant = "sloo_minus_one") -> None:
        super().__init__(k)
        if variant not in get_args(Variant):
            raise Refusal(f"`variant` must be one of {', '.join(get_args(Variant))}, but got {variant!r}.")
        self.variant: Variant = variant

    def check_group_size(self, group_size: int) -> None:
        """Raise a ValueError where ``k > group_size``, or where a completion has no other to be compared with."""
        super().check_group_size(group_size)
        if self.k == 1 and self.variant == "sloo_minus_one":
            self.refuse_single_group(group_size)

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from any rewards of shape ``(P, G)``."""
        return self._advantages(self.read_rewards(rewards)).to(rewards.device, torch.float32)

    def _advantages(self, rewards: Tensor) -> Tensor:
        group_size, k = rewards.shape[1], self.k
        if self.variant == "sloo_minus_one" and k > 1:
            return gain_of_joining(rewards, k) * (k / group_size)
        above_mean = statistic_advantage(rewards, statistic_weights("max", k))  # (P, G) E[max r(S) | i in S] - max@k
        if self.variant == "sloo_minus_one":
            return above_mean / (group_size - 1)
        mean = max_at_k(rewards, k)[:, None]  # (P, 1)
        share = (mean + above_mean) * (k / group_size)
        if self.variant == "s" or k == group_size:
            return share
        return share - (mean - above_mean * (k / (group_size - k))) * (k / (group_size - 1))
