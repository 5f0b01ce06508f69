"""Strategies that only an experiment wants."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk import AdvantageStrategy, GroupContext
from lit_passk.advantages import GRPO
from lit_passk.functional.random import derive_seed, uniform


class UnitScale(AdvantageStrategy):
    """Another strategy's advantages, divided by their root mean square over the groups at hand.

    What is left of two strategies that are scaled so is how they share out the push, not how large it is.

    Args:
        strategy: Whose advantages.
    """

    def __init__(self, strategy: AdvantageStrategy) -> None:
        self.strategy = strategy

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32."""
        advantages = self.strategy(rewards, context)  # (P, G)
        size = advantages.double().square().mean().sqrt()
        return advantages if size == 0 else (advantages / size).float()

    def check_group_size(self, group_size: int) -> None:
        """Ask the strategy."""
        self.strategy.check_group_size(group_size)

    def check_run(self, max_steps: int) -> None:
        """Ask the strategy."""
        self.strategy.check_run(max_steps)

    def min_wrong(self, step: int, max_steps: int) -> int:
        """Ask the strategy."""
        return self.strategy.min_wrong(step, max_steps)


class NoisyGRPO(AdvantageStrategy):
    """GRPO on rewards some of which are wrong: a wrong completion is paid 1 by chance (arXiv 2508.10751, section 3.2).

    Args:
        share: Chance of a wrong completion to be paid.
        seed: Of the noise, which is a function of seed, step and problem.
    """

    def __init__(self, share: float = 0.1, seed: int = 0) -> None:
        self.share = share
        self.seed = seed

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32."""
        assert context is not None
        seeds = torch.tensor([derive_seed(self.seed, "noise", context.step, i) for i in context.problem_ids.tolist()])
        draws = torch.stack([uniform(seeds, i) for i in range(rewards.shape[1])], dim=1)  # (P, G)
        return GRPO()(torch.where(draws < self.share, 1.0, rewards), context)
