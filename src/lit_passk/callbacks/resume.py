"""Checkpoints to resume from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn

from lit_passk.checkpointing.files import partial_path, remove
from lit_passk.checkpointing.run_folder import FolderLock, check_own, checkpoint_folder
from lit_passk.errors import Refusal

if TYPE_CHECKING:
    from lit_passk.modules import PassKRLModule


class ResumeCheckpoint(Checkpoint):
    """Writes ``<trainer.default_root_dir>/checkpoints/step=<RL steps>.ckpt`` every so many RL steps and at the end.

    ``fit --ckpt_path last`` goes on from the last one that is whole. The folder is this run's alone: one that holds the
    checkpoints of another run, or that another process trains into, is refused. To keep the best by a metric as well,
    add Lightning's ``ModelCheckpoint`` to ``trainer.callbacks``.

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
        self._lock: FolderLock | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Agree on the folder, lock it and clear away what a killed run was in the middle of writing."""
        self.folder = checkpoint_folder(trainer.strategy.broadcast(trainer.default_root_dir))
        if stage == "fit" and not is_trial(trainer):
            self._on_rank_0(trainer, self._take_folder)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Refuse to go on in the folder of another run; only now is it known what was restored."""
        if not is_trial(trainer):
            self._on_rank_0(trainer, lambda: check_own(self.folder.parent, trainer.ckpt_path))

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: PassKRLModule, *args: Any) -> None:  # type: ignore[override]
        """Save when it is time, or leave it to the validation that follows: the checkpoint then has its metrics."""
        self._due = self._due or pl_module.rl_step % self.every == 0
        if self._due and not _validation_follows(trainer):
            self._save(trainer, pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Save what was due before the validation."""
        if self._due and trainer.state.fn == TrainerFn.FITTING:
            self._save(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Save the end of the run."""
        self._save(trainer, pl_module)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Leave the folder to others."""
        self._leave_folder()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave the folder to others."""
        self._leave_folder()

    def state_dict(self) -> dict[str, Any]:
        """Which checkpoints are there, so that a resumed run goes on removing old ones."""
        return {"saved": [path.name for path in self._saved]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state, wherever the folder lies now; a run that branched off has none of them."""
        self._saved = [path for name in state_dict["saved"] if (path := self.folder / Path(name).name).exists()]

    def _on_rank_0(self, trainer: L.Trainer, check: Callable[[], None]) -> None:
        """Let the rank that writes decide, and all refuse together."""
        refusal = None
        if trainer.is_global_zero:
            try:
                check()
            except Refusal as error:
                refusal = str(error)
        if (refusal := trainer.strategy.broadcast(refusal)) is not None:
            raise Refusal(refusal)

    def _take_folder(self) -> None:
        if self._lock is None:
            self._lock = FolderLock(self.folder.parent / "run.lock", f"The folder {str(self.folder.parent)!r}")
        for path in self.folder.glob(partial_path(Path("*.ckpt")).name):
            remove(path)

    def _leave_folder(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _save(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:
        if is_trial(trainer) or pl_module.rl_step == self._last_step:
            return
        self._last_step, self._due = pl_module.rl_step, False
        path = self.folder / f"step={pl_module.rl_step}.ckpt"
        self._saved = [*(p for p in self._saved if p != path), path]
        trainer.save_checkpoint(path)
        while self.keep is not None and len(self._saved) > self.keep:  # the new one is whole by now
            trainer.strategy.remove_checkpoint(self._saved.pop(0))


def is_trial(trainer: L.Trainer) -> bool:
    """Whether a run only tries its code out (``fast_dev_run``): it leaves nothing behind."""
    return bool(getattr(trainer, "fast_dev_run", False))


def _validation_follows(trainer: L.Trainer) -> bool:
    """Whether a validation with something to validate on comes before the next training batch."""
    fetcher = trainer.fit_loop._data_fetcher
    assert fetcher is not None
    return trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher) and sum(trainer.num_val_batches) > 0
