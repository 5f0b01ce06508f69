"""What all strategies with a k share: its check against the group size."""

from __future__ import annotations

import warnings

from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, GroupSizeWarning, check_rewards, to_float64
from lit_passk.errors import Refusal


class GroupsOfK(AdvantageStrategy):
    """Base of the strategies that look at groups of ``k`` of a prompt's G completions.

    Args:
        k: Completions in a group, from 1 to ``rollout.group_size``.
    """

    def __init__(self, k: int = 4) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise Refusal(f"{type(self).__name__} needs an integer k >= 1, but got k = {k!r}.")
        self.k = k

    def check_group_size(self, group_size: int) -> None:
        """Raise a ValueError where ``k > group_size``."""
        if self.k > group_size:
            raise Refusal(
                f"{type(self).__name__}(k={self.k}) needs rollout.group_size >= {self.k}, but got {group_size}. "
                "Raise rollout.group_size or lower k."
            )

    def warn_single_group(self, group_size: int) -> None:
        """Warn where ``k == group_size`` and the advantages are relative to other groups: there are none."""
        if self.k == group_size:
            warnings.warn(
                f"{type(self).__name__}(k={self.k}) with rollout.group_size = {group_size} sees a single group of k "
                "completions: its Pass@k advantages are always zero. Raise rollout.group_size or lower k.",
                GroupSizeWarning,
                stacklevel=3,
            )

    def warn_one_disjoint_group(self, group_size: int) -> None:
        """Warn where groups may not overlap and fewer than two of them fit."""
        if self.k < group_size < 2 * self.k:
            warnings.warn(
                f"{type(self).__name__}(k={self.k}) forms a single group out of rollout.group_size = {group_size}: its "
                f"advantages are always zero. Raise rollout.group_size to {2 * self.k} or more, or lower k.",
                GroupSizeWarning,
                stacklevel=3,
            )

    def refuse_single_group(self, group_size: int) -> None:
        """Raise a ValueError where ``k == group_size`` and no group of k leaves a completion out."""
        if self.k == group_size:
            raise Refusal(
                f"{type(self).__name__}(k={self.k}) compares groups with a completion to groups without it and needs "
                f"rollout.group_size >= {self.k + 1}, but got {group_size}. Raise rollout.group_size or lower k."
            )

    def read_rewards(self, rewards: Tensor) -> Tensor:
        """Check the rewards, shape ``(P, G)``; return them in float64 on the CPU."""
        check_rewards(rewards)
        self.check_group_size(rewards.shape[1])
        return to_float64(rewards)
