"""Checkpoints to resume from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn

from lit_passk.checkpointing.files import find_last, partial_path, remove
from lit_passk.errors import Refusal

if TYPE_CHECKING:
    from lit_passk.modules import PassKRLModule


class ResumeCheckpoint(Checkpoint):
    """Writes ``<trainer.default_root_dir>/checkpoints/step=<RL steps>.ckpt`` every so many RL steps and at the end.

    ``fit --ckpt_path last`` goes on from the newest one that is whole. To keep the best by a metric as well, add
    Lightning's ``ModelCheckpoint`` to ``trainer.callbacks``.

    Args:
        every: RL steps from one checkpoint to the next.
        keep: How many of the newest to keep; None keeps all.
    """

    best_model_path = ""  # Lightning asks the first checkpoint callback; "" makes it say that there is none

    def __init__(self, every: int = 50, keep: int | None = 1) -> None:
        if every < 1 or (keep is not None and keep < 1):
            raise Refusal(f"`checkpoint.every` and `checkpoint.keep` must be 1 or more, but got {every} and {keep}.")
        self.every = every
        self.keep = keep
        self._saved: list[Path] = []
        self._last_step = -1
        self._due = False

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Agree on the folder and clear away what a killed run was in the middle of writing."""
        self.folder = checkpoint_folder(trainer.strategy.broadcast(trainer.default_root_dir))
        if stage == "fit" and trainer.is_global_zero:
            for path in self.folder.glob(partial_path(Path("*.ckpt")).name):
                remove(path)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: PassKRLModule, *args: Any) -> None:  # type: ignore[override]
        """Save when it is time, or leave it to the validation that follows: the checkpoint then has its metrics."""
        self._due = self._due or pl_module.rl_step % self.every == 0
        fetcher = trainer.fit_loop._data_fetcher
        assert fetcher is not None
        if self._due and not trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher):
            self._save(trainer, pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Save what was due before the validation."""
        if self._due and trainer.state.fn == TrainerFn.FITTING:
            self._save(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Save the end of the run."""
        self._save(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """Which checkpoints are there, so that a resumed run goes on removing old ones."""
        return {"saved": [str(path) for path in self._saved]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state; the checkpoints of another run, branched off from here, stay untouched."""
        self._saved = [path for path in map(Path, state_dict["saved"]) if path.parent == self.folder]

    def _save(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:
        if getattr(trainer, "fast_dev_run", False) or pl_module.rl_step == self._last_step:
            return
        self._last_step, self._due = pl_module.rl_step, False
        path = self.folder / f"step={pl_module.rl_step}.ckpt"
        self._saved = [*(p for p in self._saved if p != path), path]
        trainer.save_checkpoint(path)
        while self.keep is not None and len(self._saved) > self.keep:  # the new one is whole by now
            trainer.strategy.remove_checkpoint(self._saved.pop(0))


def checkpoint_folder(root: str | Path | None) -> Path:
    """Where the checkpoints of a run lie, given ``trainer.default_root_dir``."""
    return (Path(root) if root is not None else Path.cwd()) / "checkpoints"


def last_checkpoint(root: str | Path | None) -> Path | None:
    """What ``--ckpt_path last`` is: the newest whole checkpoint of a run, None when there is none."""
    return find_last(checkpoint_folder(root))
