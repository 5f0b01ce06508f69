"""Validation by pass@k: the same hand-over as training, counted instead of trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning as L
from torch.nn import ModuleDict

from lit_passk.errors import CannotRun, Refusal
from lit_passk.metrics import PassAtK
from lit_passk.types import PromptBatch, RolloutBatch


class PassAtKValidation(L.LightningModule):
    """Counts the correct completions of every problem of every validation task.

    Args:
        ks: Values of k to report.
    """

    rollouts: RolloutBatch | None

    def __init__(self, ks: Sequence[int] = (1, 2, 4, 8)) -> None:
        super().__init__()
        if not ks or min(ks) < 1:
            raise Refusal(f"`model.ks` needs values of at least 1, but got {list(ks)}.")
        self.ks = sorted(ks)
        self.rollouts = None
        self.val_metrics = ModuleDict()

    def on_train_batch_end(self, *args: Any) -> None:
        """Clear the hand-over, so that no rollout is used twice; callbacks have seen it."""
        self.rollouts = None

    on_validation_batch_end = on_train_batch_end  # type: ignore[assignment]
    on_test_batch_end = on_train_batch_end  # type: ignore[assignment]
    on_predict_batch_end = on_train_batch_end  # type: ignore[assignment]

    def take_rollouts(self) -> RolloutBatch:
        """The hand-over, or a RuntimeError when nothing was handed over."""
        if self.rollouts is None:
            raise CannotRun(
                "This module found no rollouts. Add `lit_passk.callbacks.RolloutCallback` to `trainer.callbacks`, "
                "or set `module.rollouts` before each batch."
            )
        return self.rollouts

    def on_validation_epoch_start(self) -> None:
        """Make one metric for each validation task."""
        names = list(self.trainer.datamodule.val)  # type: ignore[attr-defined]
        self.val_metrics = ModuleDict({name: PassAtK(ks=self.ks) for name in names})

    def validation_step(self, batch: PromptBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Count the correct completions of each problem."""
        rollouts = self.take_rollouts()
        sizes = rollouts.group.bincount(minlength=len(rollouts.indices)).tolist()
        metric = self.val_metrics[batch.name]
        assert isinstance(metric, PassAtK)
        metric.update(list(rollouts.correct.split(sizes)), rollouts.indices)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/<name>/pass@k`` with its interval, and ``val/pass@k``, the unweighted mean over the tasks."""
        self._log_pass_at_k("val")

    def on_test_epoch_start(self) -> None:
        """Make one metric for each validation task."""
        self.on_validation_epoch_start()

    def test_step(self, batch: PromptBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Count the correct completions of each problem."""
        self.validation_step(batch, batch_idx, dataloader_idx)

    def on_test_epoch_end(self) -> None:
        """As after validation, under ``test/``."""
        self._log_pass_at_k("test")

    def predict_step(self, batch: PromptBatch, batch_idx: int, dataloader_idx: int = 0) -> int:
        """Return the number of scored completions; they are in the results file already."""
        return len(self.take_rollouts().completion_ids)

    def _log_pass_at_k(self, stage: str) -> None:
        results = {name: self.pass_at_k(name) for name in self.val_metrics}
        for name, result in results.items():
            for k, (value, low, high) in result.items():
                key = f"{stage}/{name}/pass@{k}"
                self.log_dict({key: value, f"{key}/low": low, f"{key}/high": high})
        for k in self.ks:
            values = [result[k][0] for result in results.values()]
            self.log(f"{stage}/pass@{k}", sum(values) / len(values), prog_bar=k in (1, max(self.ks)))

    def pass_at_k(self, name: str) -> dict[int, tuple[float, float, float]]:
        """pass@k, lower and upper bound of one task for every k in ``ks``, over all ranks; every rank must call this.

        A problem with fewer than k scored completions is left out at that k, with a warning: no unbiased estimate of
        its pass@k exists. NaN when no problem is left.
        """
        values = self.val_metrics[name].compute()  # type: ignore[operator]
        return {k: tuple(float(values[f"pass@{k}{end}"]) for end in ("", "/low", "/high")) for k in self.ks}  # type: ignore[misc]
