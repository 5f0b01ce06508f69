"""RL steps on disk, to be run again by ``lit-passk replay``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L

from lit_passk.callbacks.resume import is_trial
from lit_passk.errors import Refusal
from lit_passk.modules.saved_steps import Place, save_step, save_weights
from lit_passk.types import PromptBatch

if TYPE_CHECKING:
    from lit_passk.modules import PassKRLModule


class SaveForReplay(L.Callback):
    """Keeps RL steps in ``<trainer.default_root_dir>/replay``, each with the weights that it began with.

    A run that has to stop keeps its last step by itself.

    Args:
        steps: RL steps, counted from 1 as in the logs.
    """

    def __init__(self, steps: Sequence[int]) -> None:
        if not steps or min(steps) < 1:
            raise Refusal(f"SaveForReplay needs RL steps, counted from 1, but got {list(steps)}.")
        self.steps = set(steps)

    def on_train_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: PassKRLModule,  # type: ignore[override]
        batch: PromptBatch,
        batch_idx: int,
    ) -> None:
        """Write the weights, before the step changes them."""
        if pl_module.rl_step + 1 in self.steps and not is_trial(trainer):
            save_weights(pl_module, Place(Path(trainer.default_root_dir), pl_module.rl_step + 1))

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: PassKRLModule,  # type: ignore[override]
        outputs: Mapping[str, Any],  # type: ignore[override]
        batch: PromptBatch,
        batch_idx: int,
    ) -> None:
        """Write the step, with what it came to."""
        if pl_module.rl_step in self.steps and not is_trial(trainer):
            place = Place(Path(trainer.default_root_dir), pl_module.rl_step)
            save_step(pl_module, batch.rollouts, outputs["advantages"], place, "it was asked for", outputs["metrics"])
