"""The pass@k curves of every validation, as a picture in TensorBoard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger

from lit_passk.modules.guards import only_warn
from lit_passk.report.plot import plot_pass_at_k

if TYPE_CHECKING:
    from lit_passk.modules import PassKRLModule


class PassAtKCurve(L.Callback):
    """Draws ``val/pass@k`` after every validation: one curve per task, with its confidence band."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Draw what the module's metrics hold."""
        curves = pl_module.validation.curves
        loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        if trainer.is_global_zero and curves and loggers:
            with only_warn("The picture of pass@k"):
                figure = plot_pass_at_k(curves, title=f"step {pl_module.rl_step}")
                for logger in loggers:
                    logger.experiment.add_figure("val/pass@k", figure, pl_module.rl_step)
