"""Prompts weighed by what they can still add to pass@k (Bayesian boundary gating, arXiv 2606.15455)."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, GroupSizeWarning, read_correct, to_float64
from lit_passk.errors import Refusal
from lit_passk.functional.boundary import boundary_utility_table
from lit_passk.functional.passk_advantage import Std, check_std, normalize_groups
from lit_passk.types import GroupContext


class BayesianBoundary(AdvantageStrategy):
    """GRPO times the slope of pass@k, averaged over what the prompt's solve rate may be after G attempts.

    After m of G completions were correct, with a uniform prior, the solve rate is ``p ~ Beta(m + 1, G - m + 1)``::

        u(m) = E[k (1 - p)^(k - 1)] = k * prod_{j=1}^{k-1} (G - m + j) / (G + 1 + j)
        w(m) = u(m) / u(1),  and 0 where u(m) < threshold * (G + 1)
        A_i  = w(m) * (r_i - mean) / std                      m >= 1
        A_i  = -w(0)                                          m = 0

    ``G + 1`` is the sum of u over all m, so the gate closes prompts that hold less than a share ``threshold`` of it. A
    prompt that was not solved at all teaches by REINFORCE with a reward of -1 for each completion, as GRPO would give
    it nothing; that its weight is w(0) as well is this library's reading, the paper's body was not at hand (equations 8
    and 9 were taken from a public reproduction).

    Use it when pass@k matters at a k far above what can be sampled for training: k may exceed ``rollout.group_size``,
    which no unbiased estimator can. At the default k of 16 a prompt solved 3 times of 8 has a weight below 0.1.

    Scale: for a mean over completions, as GRPO's.

    Edge cases: groups with a correct completion sum to zero, others to ``-G w(0)``; all-correct ones get zeros. No
    utility is above k: groups of more than about ``k / threshold`` are all below the gate, which warns.

    References:
        - arXiv 2606.15455, eqs. 8 and 9; k of 16, threshold of 0.01.

    Args:
        k: Attempts of the pass@k that matters, at least 1; above ``rollout.group_size`` as well.
        threshold: Share of the total utility below which a prompt is left out, in ``[0, 1)``.
        std: What the centred rewards are divided by, as in ``GRPO``.

    Example:
        >>> BayesianBoundary(k=4)(torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
        tensor([[ 0.5000,  0.5000, -0.5000, -0.5000],
                [-1.7500, -1.7500, -1.7500, -1.7500]])

    """

    def __init__(self, k: int = 16, threshold: float = 0.01, std: Std = "population") -> None:
        check_std(std)
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise Refusal(f"BayesianBoundary needs an integer k >= 1, but got k = {k!r}.")
        if not 0 <= threshold < 1:
            raise Refusal(f"BayesianBoundary needs a threshold in [0, 1), but got {threshold}.")
        self.k = k
        self.threshold = threshold
        self.std: Std = std

    def check_group_size(self, group_size: int) -> None:
        """Warn where every prompt is below the gate."""
        if not (self._gated(group_size) > 0).any():
            warnings.warn(
                f"BayesianBoundary(k={self.k}, threshold={self.threshold}) closes its gate on every group of "
                f"rollout.group_size = {group_size}: its advantages are always zero. Lower the threshold or the group "
                "size.",
                GroupSizeWarning,
                stacklevel=2,
            )

    def _gated(self, group_size: int) -> Tensor:
        """The weight for 0 to G correct completions, shape ``(G + 1,)``."""
        utility = boundary_utility_table(group_size, self.k)
        return torch.where(utility >= self.threshold * (group_size + 1), utility / utility[min(1, group_size)], 0.0)

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from rewards and ``context.correct``, shape ``(P, G)``."""
        correct = read_correct(self, rewards, context)
        self.check_group_size(correct.shape[1])
        num_correct = correct.sum(dim=1, keepdim=True).long()  # (P, 1)
        weight = self._gated(correct.shape[1])[num_correct]  # (G + 1,) -> (P, 1)
        base = normalize_groups(to_float64(rewards), self.std)  # (P, G)
        return torch.where(num_correct == 0, 0.0 - weight, weight * base).to(rewards.device, torch.float32)
