"""The one interface a new idea has to fill in."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from lit_passk.types import GroupContext


class GroupSizeWarning(UserWarning):
    """Groups of this size never get an advantage from this strategy."""


class AdvantageStrategy(ABC):
    """Turns the rewards of P groups of G completions into advantages.

    A strategy is a plain class: its constructor arguments are its configuration, and
    ``class_path: my_project.advantages.MyStrategy`` in a YAML file is all it takes to use one.

    Example:
        >>> class HardPromptsOnly(AdvantageStrategy):
        ...     def __init__(self, max_solve_rate: float = 0.5) -> None:
        ...         self.max_solve_rate = max_solve_rate
        ...
        ...     def __call__(self, rewards, context=None):
        ...         solve_rate = rewards.mean(dim=1, keepdim=True)
        ...         return torch.where(solve_rate <= self.max_solve_rate, rewards - solve_rate, 0.0)
        >>> HardPromptsOnly()(torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]]))
        tensor([[ 0.7500, -0.2500, -0.2500, -0.2500],
                [ 0.0000,  0.0000,  0.0000,  0.0000]])

    """

    @abstractmethod
    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Compute advantages; never mutates its inputs.

        Args:
            rewards: Shape ``(P, G)``, float; one row per group, complete on this rank.
            context: What is known besides the rewards; None when a strategy is used on its own.

        Returns:
            Advantages, shape ``(P, G)``, float32.
        """

    def check_group_size(self, group_size: int) -> None:  # noqa: B027 - optional hook, no strategy must fill it in
        """Raise a ValueError before training when groups of ``group_size`` cannot work with this strategy."""

    def check_run(self, max_steps: int) -> None:  # noqa: B027
        """Raise a ValueError before training when a run of ``max_steps`` RL steps (-1: unknown) cannot work."""

    def min_wrong(self, step: int, max_steps: int) -> int:
        """Minimum number of wrong completions, besides a correct one, for a group to get a non-zero advantage.

        Read by dynamic sampling.

        Args:
            step: RL step, from 0.
            max_steps: RL steps of the whole run, -1 when unknown.

        Returns:
            1, as in Pass@1 Training; k where groups of k are rewarded together.
        """
        return 1


def check_rewards(rewards: Tensor) -> None:
    """Raise a ValueError unless ``rewards`` is a finite ``(P, G)`` matrix."""
    if rewards.ndim != 2:
        raise ValueError(f"`rewards` must have shape (P, G), one row per group, but got {tuple(rewards.shape)}.")
    if not torch.isfinite(rewards.to(torch.float64)).all():
        raise ValueError("`rewards` must be finite, but holds NaN or infinity.")


def to_float64(rewards: Tensor) -> Tensor:
    """``rewards`` in float64 on the CPU: the arithmetic is small, and not every accelerator has float64."""
    return rewards.detach().to("cpu", torch.float64)
