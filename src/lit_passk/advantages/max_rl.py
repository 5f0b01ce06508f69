"""Maximum likelihood of being correct, by reinforcement learning (MaxRL, arXiv 2602.02710)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, check_rewards, read_correct, to_float64
from lit_passk.errors import Refusal
from lit_passk.functional.max_rl import truncated_log_table
from lit_passk.functional.passk_advantage import normalize_groups
from lit_passk.types import GroupContext


class MaxRL(AdvantageStrategy):
    """Centred rewards divided by their mean: the gradient of the log-probability of a correct answer.

    With G rewards of mean r::

        A_i = (r_i - r) / r                                                  truncation: null
        A_pos = sum_{j=1}^{T} G / (G - j) * C(G - c, j) / C(G, j)            truncation: T
        A_neg = -c / (G - c) * A_pos

    ``log p = -sum_j (1 - p)^j / j``, so its gradient is that of every pass@j, weighted by 1/j. A group of G can
    estimate the sum up to ``j = G - 1`` with a centred advantage, and that is the first line: on rewards of 0 and 1 it
    is without bias for this truncated objective, and equal to the second line at ``T = G - 1``. A smaller T stops
    earlier and weighs rare successes less; ``T = 1`` is RLOO. The released code adds 1e-6 to r, this does not. Its
    truncated weights (``maclaurin``) estimate the same gradients without being centred; the second line is the centred
    form.

    Use it when most prompts are hard and every one should count alike however rarely it is solved: a prompt that is
    solved once of G weighs most. Advantages reach ``G - 1``: lower the learning rate, or clip gradients as the source
    does (0.3).

    Scale: for a mean over completions, as GRPO's.

    Edge cases: a group sums to zero; equal rewards give zeros, so does a mean of 0. A negative reward is refused.

    References:
        - MaxRL, arXiv 2602.02710: the objective and the first line (there with 1e-6 added to r).

    Args:
        truncation: T, from 1 to ``rollout.group_size - 1``, counted on who is correct; None is the released form, on
            rewards, none of which may be negative.

    Example:
        >>> MaxRL()(torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]])).round(decimals=4)
        tensor([[ 3., -1., -1., -1.],
                [ 1.,  1., -1., -1.]])
        >>> MaxRL(truncation=2)(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        tensor([[ 2.0000, -0.6667, -0.6667, -0.6667]])

    """

    def __init__(self, truncation: int | None = None) -> None:
        whole = isinstance(truncation, int) and not isinstance(truncation, bool)
        if truncation is not None and not (whole and truncation >= 1):
            raise Refusal(f"MaxRL needs an integer truncation of at least 1, or none, but got {truncation!r}.")
        self.truncation = truncation

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from rewards that are not negative, shape ``(P, G)``."""
        check_rewards(rewards)
        self.check_group_size(rewards.shape[1])
        if self.truncation is None:
            return self._of_mean(to_float64(rewards)).to(rewards.device, torch.float32)
        correct = read_correct(self, rewards, context)
        group_size = correct.shape[1]
        num_correct = correct.sum(dim=1, keepdim=True)  # (P, 1)
        positive = truncated_log_table(group_size, self.truncation)[num_correct.long()]  # (G + 1,) -> (P, 1)
        negative = 0.0 - num_correct * positive / (group_size - num_correct).clamp(min=1)
        return torch.where(correct > 0, positive, negative).to(rewards.device, torch.float32)

    def check_group_size(self, group_size: int) -> None:
        """Raise a ValueError where ``truncation`` pass@j cannot be estimated."""
        if self.truncation is not None and self.truncation >= group_size:
            raise Refusal(
                f"MaxRL(truncation={self.truncation}) needs rollout.group_size > {self.truncation}, but got "
                f"{group_size}. Raise rollout.group_size, or lower truncation."
            )

    @staticmethod
    def _of_mean(rewards: Tensor) -> Tensor:
        if (rewards < 0).any():
            raise Refusal(
                f"MaxRL divides by the mean reward, so none may be negative, but one is {float(rewards.min()):g}. Use "
                "rewards of 0 and 1, or set `truncation`, which counts correct completions."
            )
        mean = rewards.mean(dim=1, keepdim=True)  # (P, 1)
        return normalize_groups(rewards, "none") / torch.where(mean > 0, mean, 1.0)
