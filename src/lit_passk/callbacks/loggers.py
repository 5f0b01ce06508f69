"""Tables and figures in whichever logger a trainer has: Lightning's interface knows numbers only."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from weakref import WeakSet

import lightning as L
import numpy as np
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lit_passk.modules.guards import only_warn
from lit_passk.printable import printable

Cell = str | float
_MARKUP = {ord(mark): f"&#{ord(mark)};" for mark in "\\`*_[]!|~"}
"""What begins a link, an image, code or emphasis in Markdown; a reference to a character begins nothing."""
_told: WeakSet[Logger] = WeakSet()
"""Loggers of which it was said that they take no tables and figures."""


def log_table(
    trainer: L.Trainer, key: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], step: int, what: str
) -> None:
    """Put a table into every logger of a trainer that takes one; call it on rank 0 only.

    TensorBoard gets Markdown, MLflow the artifact ``<key>/step_<step>.json`` (``columns`` and ``data``, as
    ``pandas.read_json(orient="split")`` reads it). Any other logger gets it by its ``log_table(key, columns, data,
    step)``, as ``WandbLogger`` and ``TrackioLogger`` have it; one without is named once.

    Args:
        trainer: Whose loggers.
        key: Name of the table, such as ``train/completions``.
        columns: Their names.
        rows: One value a column; the values of a column are of one type.
        step: RL step.
        what: The table in words, for the warning that a logger's failure costs.
    """
    rows = [list(row) for row in rows]

    def put(logger: Logger) -> None:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text(key, markdown_table(columns, rows), step)
        elif isinstance(logger, MLFlowLogger):
            table = {"columns": list(columns), "data": rows}
            logger.experiment.log_dict(logger.run_id, table, f"{key}/step_{step:06d}.json")
        elif hasattr(logger, "log_table"):
            logger.log_table(key, columns=list(columns), data=rows, step=step)
        else:
            _say_once(logger)

    _for_each(trainer, put, what)


def log_figure(trainer: L.Trainer, key: str, figure: Figure, step: int, what: str) -> None:
    """Put a figure into every logger of a trainer that takes one; call it on rank 0 only.

    TensorBoard gets the figure, MLflow an image of that key. Any other logger gets an image by its ``log_image(key,
    images, step)``, as ``WandbLogger`` and ``TrackioLogger`` have it; one without is named once.

    Args:
        trainer: Whose loggers.
        key: Name of the figure, such as ``val/pass@k``.
        figure: With an Agg canvas, as ``plot_pass_at_k`` returns it.
        step: RL step.
        what: The figure in words, for the warning that a logger's failure costs.
    """

    def put(logger: Logger) -> None:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_figure(key, figure, step)
        elif isinstance(logger, MLFlowLogger):
            # MLflow takes letters, digits and "_-./ " in a key.
            logger.experiment.log_image(logger.run_id, _pixels(figure), key=key.replace("@", "_at_"), step=step)
        elif hasattr(logger, "log_image"):
            logger.log_image(key, images=[_pixels(figure)], step=step)
        else:
            _say_once(logger)

    _for_each(trainer, put, what)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    r"""A Markdown table of any texts: markup in them is shown, not obeyed.

    Example:
        >>> print(markdown_table(["text", "reward"], [["a < b\n|x|", 0.5], ["![](http://host)", 1]]))  # exact: as given
        | text | reward |
        |---|---|
        | a &lt; b<br>&#124;x&#124; | 0.5 |
        | &#33;&#91;&#93;(http://host) | 1 |

    """
    lines = [list(columns), ["---"] * len(columns)]
    lines += [[_markdown_cell(cell) for cell in row] for row in rows]
    head, rule, *body = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, rule.replace(" ", ""), *body])


def _markdown_cell(cell: Cell) -> str:
    text = cell if isinstance(cell, str) else f"{cell:.3g}"
    # TensorBoard would load an image that a completion names, and so tell its host who looks at it.
    return html.escape(printable(text)).translate(_MARKUP).replace("\n", "<br>")


def _pixels(figure: Figure) -> np.ndarray:
    """The figure as an image, shape ``(height, width, 3)``, uint8."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _for_each(trainer: L.Trainer, put: Callable[[Logger], None], what: str) -> None:
    for logger in trainer.loggers:
        with only_warn(what):
            put(logger)


def _say_once(logger: Logger) -> None:
    if logger not in _told:
        _told.add(logger)
        rank_zero_info(
            f"{type(logger).__name__} takes numbers only: tables of completions and figures of pass@k go to "
            "TensorBoard, W&B, MLflow and Trackio, and to loggers with `log_table` and `log_image` (docs/logs.md)."
        )
