"""Strategies and callbacks that only an experiment wants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning as L
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


class TokenBudget(L.Callback):
    """Ends a training with the step in which it has sampled so many completion tokens, and says what it was.

    ``budget.json`` in the run's folder then holds the tokens, the RL steps and the mean share of the groups trained on
    that had an advantage.

    Args:
        tokens: How many.
    """

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.sampled = self.steps = 0
        self.with_advantage = 0.0

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count a step's tokens, those of groups that are not trained on too."""
        groups = (*batch.rollouts.groups, *batch.rollouts.not_trained)
        self.sampled += sum(len(completion.token_ids) for group in groups for completion in group.completions)
        self.steps += 1
        self.with_advantage += outputs["metrics"]["train/with_advantage"]
        trainer.should_stop = trainer.should_stop or self.sampled >= self.tokens

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Say what it was."""
        said = {"tokens": self.sampled, "steps": self.steps, "with_advantage": self.with_advantage / self.steps}
        (Path(trainer.default_root_dir) / "budget.json").write_text(json.dumps(said))

    def state_dict(self) -> dict[str, float]:
        """For a training that is interrupted."""
        return {"sampled": self.sampled, "steps": self.steps, "with_advantage": self.with_advantage}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on counting."""
        self.sampled, self.steps = int(state["sampled"]), int(state["steps"])
        self.with_advantage = state["with_advantage"]
