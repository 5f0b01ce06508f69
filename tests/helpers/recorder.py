"""Writes down what a run did, rank by rank, for tests that compare runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import torch

from lit_passk.sharding import full_tensors


class Recorder(L.Callback):
    """``steps-<rank>.pt``: rollouts of each step; ``weights.pt``: the policy at the end, whole.

    Args:
        folder: Where to write.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.steps: list[dict[str, Any]] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        rollouts = pl_module.rollouts or self._rollouts
        sizes = rollouts.group.bincount(minlength=len(rollouts.indices)).tolist()
        rows = [r.tolist() for r in torch.arange(len(rollouts.group)).split(sizes)]
        self.steps.append(
            {
                int(index): [rollouts.completion_ids[i].tolist() for i in rows[p]]
                for p, index in enumerate(rollouts.indices)
            }
            | {f"advantage-{int(index)}": self._advantages[rows[p]] for p, index in enumerate(rollouts.indices)}
        )

    def setup(self, trainer: L.Trainer, pl_module: Any, stage: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Rollouts are cleared at the end of a batch, and advantages are nobody's attribute: look over the shoulder.
        step = pl_module._update

        def update(rollouts: Any, advantages: Any, *args: Any) -> Any:
            self._rollouts, self._advantages = rollouts, advantages.clone()
            return step(rollouts, advantages, *args)

        pl_module._update = update

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        torch.save(self.steps, self.folder / f"steps-{trainer.global_rank}.pt")
        weights = {name: tensor.clone() for name, tensor in full_tensors(pl_module.policy.model)}
        if trainer.is_global_zero:
            torch.save({"weights": weights, "metrics": dict(trainer.callback_metrics)}, self.folder / "run.pt")
