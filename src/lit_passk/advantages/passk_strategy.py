"""What all strategies of Pass@k Training share: k, and which completions are correct."""

from __future__ import annotations

from torch import Tensor

from lit_passk.advantages.base import read_correct
from lit_passk.advantages.groups_of_k import GroupsOfK
from lit_passk.types import GroupContext


class PassKStrategy(GroupsOfK):
    """Base of the strategies that reward groups of ``k`` completions; they look at ``correct`` alone, never at rewards.

    Args:
        k: Completions that are rewarded together, from 1 to ``rollout.group_size``.
    """

    def check_group_size(self, group_size: int) -> None:
        """Raise a ValueError where ``k > group_size``; warn where ``k == group_size``, where all advantages are 0."""
        super().check_group_size(group_size)
        self.warn_single_group(group_size)

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
        self.read_rewards(rewards)
        return read_correct(self, rewards, context)
