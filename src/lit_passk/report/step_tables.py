"""A training by step, as a table, a figure and CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from io import StringIO

from lit_passk.report.steps import History, Point
from lit_passk.report.summary import Interval
from lit_passk.report.tables import Table, percent_interval

_ROWS, _POINTS = 12, 50


def step_table(history: History, ks: Sequence[int] | None, confidence: float) -> tuple[str, Table, list[str]]:
    """Heading, table and notes: a dozen rows over the training."""
    points = history.points(_ROWS, ks, confidence)
    columns = shown_ks(points)
    header = ["RL steps", "prompts", "reward", *(f"pass@{k}" for k in columns), "truncated", "unscored", "mean_length"]
    rows = [
        [
            _steps(point),
            str(point.num_prompts),
            _number_interval(point.reward),
            *(_percent(point.pass_at_k[k]) for k in columns),
            f"{100 * point.truncated:.1f}%",
            f"{100 * point.unscored:.1f}%",
            f"{point.num_tokens:.0f}",
        ]
        for point in points
    ]
    notes = [
        "Over all groups that were sampled, those that were not trained on included. pass@k in percent, unbiased, over "
        f"the groups with at least k scored completions, with {100 * confidence:g} % intervals of a two-level "
        "bootstrap (prompts, then completions); the interval of the reward is normal, over prompts.",
        f"RL steps {history.steps[0]} to {history.steps[-1]}, {len(history.steps)} of them on disk.",
    ]
    if history.kept:
        every = "every visit" if history.stride == 1 else f"one in {history.stride} visits"
        notes.append(
            f"The page holds the first {history.kept} completions of {every} to a prompt; every visit is counted."
        )
    return f"{history.label} by RL step", [header, *rows], notes


def step_panels(
    histories: Sequence[History], ks: Sequence[int] | None, confidence: float
) -> dict[str, dict[str, dict[int, Interval]]]:
    """Panel to label to step to value with interval, for ``plot_steps``: reward, and pass@k at some values of k."""
    panels: dict[str, dict[str, dict[int, Interval]]] = {}
    for history in histories:
        points = history.points(_POINTS, ks, confidence)
        panels.setdefault("reward", {})[history.label] = {point.last: point.reward for point in points}
        for k in shown_ks(points):
            curve = {point.last: point.pass_at_k[k] for point in points}
            panels.setdefault(f"pass@{k}", {})[history.label] = curve
    return panels


def steps_csv(histories: Sequence[History], ks: Sequence[int] | None, confidence: float) -> str:
    """Every number of the figure, one per row, for other programs."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["run", "first_step", "last_step", "prompts", "metric", "value", "low", "high"])
    for history in histories:
        for point in history.points(_POINTS, ks, confidence):
            about = [history.label, point.first, point.last, point.num_prompts]
            numbers = {"reward": point.reward, **{f"pass@{k}": value for k, value in point.pass_at_k.items()}}
            for name, interval in numbers.items():
                if not math.isnan(interval[0]):
                    writer.writerow([*about, name, *("" if math.isnan(x) else x for x in interval)])
            for name in ("truncated", "unscored", "num_tokens"):
                writer.writerow([*about, name, getattr(point, name), "", ""])
    return stream.getvalue()


def shown_ks(points: Sequence[Point]) -> list[int]:
    """Values of k for a table or figure: 1, the middle and the largest that most points have."""
    ks = sorted(points[0].pass_at_k)
    defined = [k for k in ks if sum(not math.isnan(point.pass_at_k[k][0]) for point in points) * 2 > len(points)] or ks
    return sorted({defined[0], defined[len(defined) // 2], defined[-1]})


def _steps(point: Point) -> str:
    return str(point.first) if point.first == point.last else f"{point.first}-{point.last}"


def _percent(interval: Interval) -> str:
    return "-" if math.isnan(interval[0]) else percent_interval(interval)


def _number_interval(interval: Interval) -> str:
    value, low, high = interval
    if math.isnan(value):
        return "-"
    return f"{value:.3g}" + ("" if math.isnan(low) else f" [{low:.3g}, {high:.3g}]")
