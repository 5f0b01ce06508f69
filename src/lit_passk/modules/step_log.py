"""What is logged of an RL step, and shown to strategies that go by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from lit_passk.advantages.base import with_parts
from lit_passk.modules.part_metrics import part_metrics
from lit_passk.modules.signal import signal_metrics
from lit_passk.modules.step_metrics import step_metrics
from lit_passk.types import RolloutBatch

if TYPE_CHECKING:
    from lit_passk.modules.passk import PassKRLModule


def log_step(
    module: PassKRLModule, rollouts: RolloutBatch, advantages: Tensor, sums: dict[str, Tensor]
) -> dict[str, float]:
    """Log what the step was, and show it to strategies that go by it (``Switch``); every rank must call this.

    Args:
        module: The module, with the step counted.
        rollouts: This rank's completions.
        advantages: Theirs, shape ``(N,)``.
        sums: Of this rank's updates; see ``step_metrics``.

    Returns:
        All that describes the step, whether or not this is one that is written (``trainer.log_every_n_steps``).
    """
    breakdown = getattr(module.trainer.datamodule, "breakdown", None)  # type: ignore[attr-defined]
    described = step_metrics(rollouts, advantages, sums, breakdown)
    described |= part_metrics([*rollouts.groups, *rollouts.not_trained], breakdown)
    described |= signal_metrics(rollouts, advantages)
    metrics = {f"train/{name}": value for name, value in described.items()}
    for part in with_parts(module.advantage):
        part.observe(metrics)
    module.log("step", float(module.rl_step))  # the axis of every logger, for what is logged beside it too
    every = module.trainer.log_every_n_steps  # type: ignore[attr-defined]
    if every > 0 and module.rl_step % every == 0:  # Lightning takes long over numbers it will not write
        module.log_dict(metrics)
        module.log("train/lr", module.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]
    module.log("rl_step", float(module.rl_step), prog_bar=True, logger=False)
    module.log("reward", metrics["train/reward"], prog_bar=True, logger=False)
    return metrics
