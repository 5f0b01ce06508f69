"""What all strategies of Pass@k Training share: k, and which completions are correct."""

from __future__ import annotations

import warnings

from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, GroupSizeWarning, check_rewards, read_correct
from lit_passk.errors import Refusal
from lit_passk.types import GroupContext


class PassKStrategy(AdvantageStrategy):
    """Base of the strategies that reward groups of ``k`` completions; they look at ``correct`` alone, never at rewards.

    Args:
        k: Completions that are rewarded together, from 1 to ``rollout.group_size``.
    """

    def __init__(self, k: int = 4) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise Refusal(f"{type(self).__name__} needs an integer k >= 1, but got k = {k!r}.")
        self.k = k

    def check_group_size(self, group_size: int) -> None:
        """Raise a ValueError where ``k > group_size``; warn where ``k == group_size``, where all advantages are 0."""
        name = f"{type(self).__name__}(k={self.k})"
        if self.k > group_size:
            raise Refusal(
                f"{name} needs rollout.group_size >= {self.k}, but got {group_size}. "
                "Raise rollout.group_size or lower k."
            )
        if self.k == group_size:
            warnings.warn(
                f"{name} with rollout.group_size = {group_size} sees a single group of k completions: its Pass@k "
                "advantages are always zero. Raise rollout.group_size or lower k.",
                GroupSizeWarning,
                stacklevel=2,
            )

    def min_wrong(self, step: int, max_steps: int) -> int:
        """Return k: with fewer wrong completions every k of them hold a correct one."""
        return self.k

    def read_correct(self, rewards: Tensor, context: GroupContext | None) -> Tensor:
        """Check the inputs and return which completions are correct.

        Args:
            rewards: Shape ``(P, G)``.
            context: Its ``correct`` counts; without it the rewards must say it.

        Returns:
            Shape ``(P, G)``, float64 of 0 and 1, on the CPU.

        Raises:
            ValueError: If ``k > G``, or without a context if a reward is neither 0 nor 1.
        """
        check_rewards(rewards)
        self.check_group_size(rewards.shape[1])
        return read_correct(self, rewards, context)
