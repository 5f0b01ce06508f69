"""Trackio, Hugging Face's local-first experiment tracker, as a Lightning logger: Lightning has none for it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal

from lightning.fabric.utilities.logger import _convert_params, _flatten_dict
from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from lit_passk.errors import Refusal


class TrackioLogger(Logger):
    """Logs numbers, tables of completions and figures to Trackio (``pip install 'lit-passk[trackio]'``).

    What it logs lies in ``~/.cache/huggingface/trackio`` (``TRACKIO_DIR``); ``trackio show`` opens it in a browser.

    Args:
        project: Project of the run.
        name: Name of the run; None lets Trackio make one up.
        resume: Whether a run of this name is gone on with: ``allow``, ``must`` or ``never``.
        settings: Further arguments of ``trackio.init``, such as ``space_id``, ``group`` or ``auto_log_gpu``.

    Raises:
        Refusal: If trackio is not installed.
    """

    def __init__(
        self,
        project: str = "lit-passk",
        name: str | None = None,
        resume: Literal["allow", "must", "never"] = "allow",
        settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if find_spec("trackio") is None:
            raise Refusal("TrackioLogger needs the package trackio: pip install 'lit-passk[trackio]'.")
        self.project = project
        self.resume = resume
        self.settings = settings or {}
        self._name = name
        self._config: dict[str, Any] = {}
        self._run: Any = None

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The ``trackio.Run``, started when it is first needed."""
        if self._run is None:
            import trackio

            self._run = trackio.init(
                self.project, self._name, resume=self.resume, config=self._config, embed=False, **self.settings
            )
        return self._run

    @property
    def name(self) -> str:
        """The project."""
        return self.project

    @property
    def version(self) -> str | None:
        """The name of the run; None until it has one."""
        return self._name if self._run is None else self._run.name

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers."""
        self.experiment.log({name: float(value) for name, value in metrics.items()}, step=step)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Log settings, which Trackio takes with the first numbers."""
        self._config |= {name: str(value) for name, value in _flatten_dict(_convert_params(params)).items()}
        if self._run is not None:
            self._run.config.update(self._config)

    @rank_zero_only
    def log_table(self, key: str, columns: list[str], data: list[list[Any]], step: int | None = None) -> None:
        """Log a table, as ``WandbLogger.log_table`` does."""
        import trackio

        self.experiment.log({key: trackio.Table(columns=columns, data=data)}, step=step)

    @rank_zero_only
    def log_image(self, key: str, images: Sequence[Any], step: int | None = None) -> None:
        """Log images (arrays of uint8, PIL images or paths); of several, the n-th as ``<key>/<n>``."""
        import trackio

        names = [key] if len(images) == 1 else [f"{key}/{number}" for number in range(len(images))]
        pictures = {name: trackio.Image(image) for name, image in zip(names, images, strict=True)}
        self.experiment.log(pictures, step=step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is still under way, and end the run."""
        if self._run is not None:
            self._run.finish()
            self._run = None
