"""Writes down what a run did, for tests that compare runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import torch

from lit_passk.modules import compute_advantages
from lit_passk.policy.sharding import full_tensors


class Recorder(L.Callback):
    """``steps-<rank>.pt``: completions and advantages of each step by prompt; ``run.pt``: final weights and metrics.

    ``fed-<rank>.pt``: tokens of each micro-batch that this rank trained on.

    Args:
        folder: Where to write.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.steps: dict[int, dict[int, Any]] = {}
        self.fed: list[int] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        pl_module.policy.register_forward_pre_hook(self._count)

    def _count(self, policy: Any, args: Any) -> None:
        if torch.is_grad_enabled():
            self.fed.append(len(args[0].input_ids))

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        rollouts, step = batch.rollouts, pl_module.rl_step - 1
        advantages = compute_advantages(pl_module.advantage, rollouts, step, pl_module.max_rl_steps)
        sizes = rollouts.prompt_index.bincount(minlength=len(rollouts.indices)).tolist()
        rows = torch.arange(len(rollouts.prompt_index)).split(sizes)
        self.steps[step] = {
            int(index): ([rollouts.completion_ids[i].tolist() for i in rows[p]], advantages[rows[p]].tolist())
            for p, index in enumerate(rollouts.indices)
        }

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.steps, self.folder / f"steps-{trainer.global_rank}.pt")
        torch.save(self.fed, self.folder / f"fed-{trainer.global_rank}.pt")
        weights = {name: tensor.clone() for name, tensor in full_tensors(pl_module.policy.model)}
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if trainer.is_global_zero:
            torch.save({"weights": weights, "metrics": metrics}, self.folder / "run.pt")
