"""The pass@k curves of every validation, as a picture in the logger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lightning as L

from lit_passk.callbacks.loggers import log_figure
from lit_passk.modules.guards import only_warn
from lit_passk.report.plot import plot_pass_at_k

if TYPE_CHECKING:
    from lit_passk.modules import PassKRLModule

_WHAT = "The picture of pass@k"


class PassAtKCurve(L.Callback):
    """Draws ``val/pass@k`` after every validation: one curve per task, with its confidence band.

    The picture goes to TensorBoard, W&B, MLflow or Trackio.
    """

    def on_validation_end(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Draw what the module's metrics hold."""
        curves = pl_module.validation.curves
        if trainer.is_global_zero and curves and trainer.loggers:
            with only_warn(_WHAT):
                figure = plot_pass_at_k(curves, title=f"step {pl_module.rl_step}")
                log_figure(trainer, "val/pass@k", figure, pl_module.rl_step, _WHAT)
