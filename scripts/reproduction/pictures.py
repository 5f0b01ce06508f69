"""The pictures of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from reproduction.domain import Experiment
from reproduction.measurements import Measurements
from reproduction.page import interval
from reproduction.statistics import estimate


def forest(experiment: Experiment, measured: Measurements, file: Path) -> None:
    """A panel a pass@k: every training minus the baseline, a dot with its 95 % interval."""
    arms = [arm for arm in experiment.arms if arm != experiment.baseline and measured.seeds(arm, experiment.baseline)]
    metrics = [metric for metric in experiment.metrics if metric.startswith("pass@")]
    if not arms:
        return
    columns = min(3, len(metrics))
    rows = -(-len(metrics) // columns)
    height = rows * (0.34 * len(arms) + 0.75) + 0.5
    figure, panels = plt.subplots(
        rows, columns, figsize=(3.4 + 2.6 * columns, height), sharey=True, squeeze=False, layout="constrained"
    )
    for panel in panels.flat[len(metrics) :]:
        panel.set_visible(False)
    for panel, metric in zip(panels.flat, metrics, strict=False):
        _dots(panel, experiment, measured, arms, metric)
    figure.suptitle(f"{experiment.title}: minus {measured.domain.arms[experiment.baseline].label}", fontsize=11)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _dots(panel: Axes, experiment: Experiment, measured: Measurements, arms: Sequence[str], metric: str) -> None:
    for place, arm in enumerate(arms):
        values = measured.difference(arm, experiment.baseline, metric)
        if values.isnan().any():
            continue
        one = estimate(values)
        clear = one.low > 0 or one.high < 0
        color = "tab:blue" if clear else "tab:gray"
        if one.seeds > 1:
            panel.plot([one.low, one.high], [place, place], color=color, linewidth=2)
        panel.plot(one.mean, place, marker="o", markersize=5, color=color)
        panel.annotate(interval(one), (one.mean, place), (0, 5), textcoords="offset points", ha="center", fontsize=6.5)
    panel.axvline(0, color="black", linewidth=0.8)
    panel.set_yticks(range(len(arms)), [measured.domain.arms[arm].label for arm in arms], fontsize=8)
    panel.set_ylim(len(arms) - 0.5, -0.7)
    panel.margins(x=0.25)
    panel.tick_params(axis="x", labelsize=8)
    panel.locator_params(axis="x", nbins=5)
    panel.grid(axis="x", alpha=0.3)
    panel.set_title(metric, fontsize=9)


def paths(measured: Measurements, arms: Sequence[str], file: Path) -> None:
    """The way of each training through pass@1 and pass@k, a line a seed."""
    metrics = ("pass@8", "pass@64")
    arms = [arm for arm in arms if measured.seeds(arm) and len(measured.domain.parts(arm)) > 1]
    if not arms:
        return
    figure, panels = plt.subplots(
        1, len(metrics), figsize=(4.2 * len(metrics), 3.6), squeeze=False, layout="constrained"
    )
    for panel, metric in zip(panels.flat, metrics, strict=True):
        for arm, color in zip(arms, ("tab:orange", "tab:blue", "tab:green"), strict=False):
            for i, seed in enumerate(measured.seeds(arm)):
                steps = [measured.settings.step(part) for part in measured.domain.parts(arm)]
                points = [[float(measured.value(arm, m, seed, s).mean()) for s in steps] for m in ("pass@1", metric)]
                label = None if i else measured.domain.arms[arm].label
                panel.plot(*points, color=color, alpha=0.5, linewidth=1.2, label=label)
                panel.plot(points[0][-1], points[1][-1], marker="o", markersize=5, color=color)
        panel.set(xlabel="pass@1", ylabel=metric)
        panel.grid(alpha=0.3)
    panels[0, 0].legend(fontsize=8)
    figure.suptitle("At equal pass@1: each line a training, a dot at its end", fontsize=11)
    figure.savefig(file, dpi=110)
    plt.close(figure)
