"""Checkpoints to resume from."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn

from lit_passk.checkpointing.files import partial_path, random_states, remove
from lit_passk.checkpointing.run_folder import FolderLock, check_own, check_writable, checkpoint_folder
from lit_passk.distributed import world_size
from lit_passk.errors import Refusal
from lit_passk.modules.callback_checks import averages_weights

if TYPE_CHECKING:
    from lit_passk.modules import PassKRLModule

log = logging.getLogger(__name__)

_NAME = re.compile(r"step=\d+\.ckpt")


class ResumeCheckpoint(Checkpoint):
    """Writes ``<trainer.default_root_dir>/checkpoints/step=<RL steps>.ckpt`` every so many RL steps and at the end.

    ``fit --ckpt_path last`` goes on from the last one that is whole. A run that ends early writes one more, of its last
    whole RL step: after a signal, and in one process after any error that leaves that step's weights as they were. The
    folder is this run's alone: one that holds the checkpoints of another run, or that another process trains into, is
    refused. To keep the best by a metric as well, add Lightning's ``ModelCheckpoint`` to ``trainer.callbacks``.

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
        self.at_rest = False
        """Whether weights and optimizer are those after the last whole RL step."""
        self._rest: dict[str, Any] = {}
        self._rest_step = -1  # which step that is

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Agree on the folder, lock it and clear away what a killed run was in the middle of writing."""
        self.folder = checkpoint_folder(trainer.strategy.broadcast(trainer.default_root_dir))
        if stage == "fit" and not is_trial(trainer):
            self._on_rank_0(trainer, self._take_folder)

    def on_train_start(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Refuse to go on in the folder of another run; only now is it known what was restored."""
        if not is_trial(trainer):
            self._on_rank_0(trainer, lambda: check_own(self.folder.parent, trainer.ckpt_path))
        self.at_rest = True

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
        """From here to the end of the step there is nothing to go on from."""
        self.at_rest = False

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: PassKRLModule, *args: Any) -> None:  # type: ignore[override]
        """Save when it is time, or leave it to the validation that follows: the checkpoint then has its metrics."""
        self._due = self._due or pl_module.rl_step % self.every == 0
        if self._due and not _validation_follows(trainer):
            self._save(trainer, pl_module)
        self._come_to_rest(trainer, pl_module)
        if _validation_follows(trainer):
            _validate_again(self._rest["loops"]["fit_loop"])

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Count the batches of this validation alone: see ``_validate_again``."""
        if trainer.state.fn == TrainerFn.FITTING:
            trainer.fit_loop.epoch_loop.val_loop.batch_progress.total.reset()
            if averages_weights(trainer):  # it has others than the ones to go on from
                self.at_rest = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Save what was due before the validation."""
        if trainer.state.fn == TrainerFn.FITTING:
            if self._due:
                self._save(trainer, pl_module)
            self._come_to_rest(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Save before averaged weights take the place of the trained ones, at the end of the run."""
        if averages_weights(trainer):
            self._save(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Save the end of the run."""
        self._save(trainer, pl_module)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Leave the folder to others."""
        self._leave_folder()

    def on_exception(self, trainer: L.Trainer, pl_module: PassKRLModule, exception: BaseException) -> None:  # type: ignore[override]
        """Save the last whole RL step, if it can still be had; leave the folder to others."""
        together = world_size() == 1 or getattr(exception, "together", False)
        is_new = pl_module.rl_step == self._rest_step != self._last_step and not is_trial(trainer)
        if self.at_rest and together and is_new:
            try:
                path = self._save(trainer, pl_module, self._rest)
                log.warning("RL step %d is in %s: go on from there by `--ckpt_path last`.", pl_module.rl_step, path)
            except Exception as error:  # the run ends for a reason of its own, which must be seen
                log.warning("RL step %d could not be saved: %s", pl_module.rl_step, error)
        self._leave_folder()

    def state_dict(self) -> dict[str, Any]:
        """Which checkpoints are there, so that a resumed run goes on removing old ones."""
        return {"saved": [path.name for path in self._saved]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state, wherever the folder lies now; a run that branched off has none of them."""
        # What a file that others wrote lists is removed one day: names of checkpoints alone, and no way out (`..`).
        names = [name for saved in state_dict["saved"] if _NAME.fullmatch(name := Path(str(saved)).name)]
        self._saved = [path for name in names if (path := self.folder / name).exists()]

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
        check_writable(self.folder)
        for path in self.folder.glob(partial_path(Path("*.ckpt")).name):
            remove(path)

    def _leave_folder(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _come_to_rest(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:
        """Keep what moves on while the next step is sampled: where loops and data stand, random numbers."""
        self._rest = {"loops": copy.deepcopy(trainer._checkpoint_connector._get_loops_state_dict())}
        if world_size() == 1:  # several ranks stop between steps alone, where theirs are the same
            self._rest["random_states"] = random_states()
        self._rest_step = pl_module.rl_step
        self.at_rest = True

    def _save(self, trainer: L.Trainer, pl_module: PassKRLModule, rest: dict[str, Any] | None = None) -> Path | None:
        if is_trial(trainer) or pl_module.rl_step == self._last_step:
            return None
        self.at_rest = False  # a signal waits until the file is whole
        path = self.folder / f"step={pl_module.rl_step}.ckpt"  # as `_NAME` has it
        self._saved = [*(p for p in self._saved if p != path), path]
        checkpoint = trainer._checkpoint_connector.dump_checkpoint() | (rest or {})
        trainer.strategy.save_checkpoint(checkpoint, path)
        trainer.strategy.barrier("a checkpoint")
        self._last_step, self._due = pl_module.rl_step, False
        while self.keep is not None and len(self._saved) > self.keep:  # the new one is whole by now
            trainer.strategy.remove_checkpoint(self._saved.pop(0))
        return path


def is_trial(trainer: L.Trainer) -> bool:
    """Whether a run only tries its code out (``fast_dev_run``): it leaves nothing behind."""
    return bool(getattr(trainer, "fast_dev_run", False))


def _validation_follows(trainer: L.Trainer) -> bool:
    """Whether a validation with something to validate on comes before the next training batch."""
    fetcher = trainer.fit_loop._data_fetcher
    assert fetcher is not None
    return trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher) and sum(trainer.num_val_batches) > 0


def _validate_again(loop: dict[str, Any]) -> None:
    """Make the state of a training loop after a step that of one whose validation has just begun.

    Lightning takes a validation that follows a restored step for done, unless it had begun; it then runs from its first
    batch, as the state of a loader without a seed says nothing.
    """
    for progress in (loop["epoch_loop.batch_progress"]["total"], loop["epoch_loop.batch_progress"]["current"]):
        progress["completed"] = progress["processed"]
    nothing = {"ready": 0, "started": 0, "processed": 0, "completed": 0}
    loop["epoch_loop.val_loop.batch_progress"] |= {"current": nothing, "total": nothing | {"ready": 1, "started": 1}}
