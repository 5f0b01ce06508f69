"""The one interface a new idea has to fill in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

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

    def parts(self) -> Sequence[AdvantageStrategy]:
        """The strategies that this one hands over to, as ``Schedule`` does; most have none."""
        return ()

    def observe(self, metrics: Mapping[str, float]) -> None:  # noqa: B027
        """Hear what was logged of an RL step, after it: names with ``train/``, values the same on every rank.

        A strategy that remembers something of it keeps that in its ``state_dict``.
        """

    def state_dict(self) -> dict[str, Any]:
        """What the strategy remembers from one RL step to the next: plain values, kept in checkpoints."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Take back what ``state_dict`` gave."""


def with_parts(strategy: AdvantageStrategy) -> list[AdvantageStrategy]:
    """A strategy and all those within it, each once.

    Example:
        >>> from lit_passk.advantages import GRPO, RLOO, Schedule
        >>> [type(part).__name__ for part in with_parts(Schedule([GRPO(), RLOO()], boundaries=[5]))]
        ['Schedule', 'GRPO', 'RLOO']

    """
    found = {id(strategy): strategy}
    for part in strategy.parts():
        found |= {id(inner): inner for inner in with_parts(part)}
    return list(found.values())


def leaves(strategy: AdvantageStrategy) -> list[AdvantageStrategy]:
    """Those of ``with_parts`` that hand over to no other: what computes advantages itself."""
    return [part for part in with_parts(strategy) if not part.parts()]


def check_rewards(rewards: Tensor) -> None:
    """Raise a ValueError unless ``rewards`` is a finite ``(P, G)`` matrix."""
    if rewards.ndim != 2:
        raise ValueError(f"`rewards` must have shape (P, G), one row per group, but got {tuple(rewards.shape)}.")
    if not torch.isfinite(rewards.to(torch.float64)).all():
        raise ValueError("`rewards` must be finite, but holds NaN or infinity.")


def to_float64(rewards: Tensor) -> Tensor:
    """``rewards`` in float64 on the CPU: the arithmetic is small, and not every accelerator has float64."""
    return rewards.detach().to("cpu", torch.float64)


def read_correct(strategy: AdvantageStrategy, rewards: Tensor, context: GroupContext | None) -> Tensor:
    """Which completions are correct: what the context says, or without one the rewards, if they are 0 and 1.

    Args:
        strategy: Who asks, for the message.
        rewards: Shape ``(P, G)``.
        context: Its ``correct`` counts; without it the rewards must say it.

    Returns:
        Shape ``(P, G)``, float64 of 0 and 1, on the CPU.

    Raises:
        ValueError: If ``context.correct`` has another shape, or without a context if a reward is neither 0 nor 1.
    """
    check_rewards(rewards)
    if context is not None:
        if context.correct.shape != rewards.shape:
            raise ValueError(
                f"`context.correct` must have the shape of `rewards`, {tuple(rewards.shape)}, "
                f"but got {tuple(context.correct.shape)}."
            )
        return to_float64(context.correct)
    correct = to_float64(rewards)
    other = (correct != 0) & (correct != 1)
    if other.any():
        raise ValueError(
            f"{type(strategy).__name__} counts correct completions. Without a context `rewards` must be 0 or 1, but "
            f"one is {float(correct[other][0]):g}. Pass a GroupContext with `correct`, or train on the best graded "
            "reward of k with MaxAtK."
        )
    return correct


def read_logprob_mean(strategy: AdvantageStrategy, rewards: Tensor, context: GroupContext | None) -> Tensor:
    """Mean log-probability of each completion's tokens, shape ``(P, G)``, float64, on the CPU.

    Raises:
        ValueError: Without a context, or when its ``logprob_mean`` has another shape than the rewards.
    """
    check_rewards(rewards)
    if context is None:
        raise ValueError(
            f"{type(strategy).__name__} goes by the log-probabilities of the completions, but was called without a "
            "context. Pass a GroupContext with `logprob_mean` (a training run does)."
        )
    if context.logprob_mean.shape != rewards.shape:
        raise ValueError(
            f"`context.logprob_mean` must have the shape of `rewards`, {tuple(rewards.shape)}, "
            f"but got {tuple(context.logprob_mean.shape)}."
        )
    return to_float64(context.logprob_mean)
