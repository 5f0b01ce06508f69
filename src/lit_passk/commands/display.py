"""What a training shows of itself on the terminal: Lightning's bar and summary, less what says nothing here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, ModelSummary, RichModelSummary, RichProgressBar
from lightning.pytorch.utilities import rank_zero_info

from lit_passk.modules import PassKRLModule


class PolicySize(ModelSummary):
    """One line in the place of Lightning's table of layers, which has one row here."""

    @staticmethod
    def summarize(
        summary_data: Any, total_parameters: int, trainable_parameters: int, *others: Any, **options: Any
    ) -> None:
        """Say how much there is to train; called on one rank."""
        rank_zero_info(f"{trainable_parameters:,} of {total_parameters:,} parameters are trained")


class StepBar(RichProgressBar):
    """Lightning's progress bar, without the number of a last epoch that there is none of, and without a version.

    It ends with the last RL step: Lightning's own takes ``max_steps`` for batches, and those that are left of a resumed
    run for all of them.
    """

    @property
    def total_train_batches(self) -> int | float:
        """RL steps of this epoch, those before a resumption included."""
        module, loop = self.trainer.lightning_module, self.trainer.fit_loop.epoch_loop
        if not isinstance(module, PassKRLModule) or module.max_rl_steps < 0:
            return super().total_train_batches
        done = loop.batch_progress.current.completed if loop.restarting else 0  # else of the epoch before
        return min(self.trainer.num_training_batches, done + module.max_rl_steps - module.rl_step)

    def _get_train_description(self, current_epoch: int) -> str:
        if self.trainer.max_epochs in (None, -1):
            return f"Epoch {current_epoch}".ljust(len(self.validation_description))
        return super()._get_train_description(current_epoch)

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """What stands beside the bar."""
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}


def show_plainly(trainer: L.Trainer, chosen: Callback | Sequence[Callback] | None) -> None:
    """Put these two in the place of those that Lightning takes by default.

    Args:
        trainer: Whose callbacks to change.
        chosen: The user's own callbacks, which stay.
    """
    own = [chosen] if isinstance(chosen, Callback) else list(chosen or ())
    plain = {RichProgressBar: StepBar, ModelSummary: PolicySize, RichModelSummary: PolicySize}
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    callbacks[:] = [c if c in own or type(c) not in plain else plain[type(c)]() for c in callbacks]
