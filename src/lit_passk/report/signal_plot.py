"""The picture of ``lit-passk signal``: how often problems are solved, dead groups over k, gradient weight over G."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from lit_passk.report.plot import COLORS, INK, printable, style_axes
from lit_passk.report.signal import Signal, Suggestion


def plot_signals(signals: Sequence[tuple[Signal, Suggestion | None]]) -> Figure:
    """Draw a row of three panels for each set of problems; a ring marks what is suggested.

    Args:
        signals: The measures, each with its suggestion.
    """
    figure = Figure(figsize=(13.5, 3.9 * len(signals)), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(signals), 3, squeeze=False)
    for axes, (signal, suggestion) in zip(rows, signals, strict=True):
        chosen = None if suggestion is None else suggestion.candidate
        _rates(axes[0], signal)
        _lines(axes[1], signal, chosen, over="k", value="dead")
        axes[1].set_ylabel("groups without an advantage", color=INK)
        axes[1].yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=None))
        axes[1].set_ylim(0, 1.02)
        _lines(axes[2], signal, chosen, over="group_size", value="weight_per_completion")
        axes[2].set_ylabel("gradient weight per completion", color=INK)
        axes[2].set_ylim(bottom=0)
        axes[0].set_title(
            printable(signal.name), loc="left", fontsize=11, fontweight="bold", color=INK, parse_math=False
        )
    return figure


def _rates(axes: Axes, signal: Signal) -> None:
    """Measured and posterior pass rates side by side."""
    ranges = signal.rates()
    for offset, label, column, color in ((-0.2, "measured", 2, COLORS[0]), (0.2, "posterior", 3, COLORS[1])):
        heights = [row[column] for row in ranges]
        axes.bar([i + offset for i in range(len(ranges))], heights, width=0.38, color=color, label=label)
    axes.set_xticks(range(len(ranges)), [f"{low:g}-{high:g}" for low, high, *_ in ranges])
    axes.set_xlabel("pass rate", color=INK)
    axes.set_ylabel("problems", color=INK)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=None))
    axes.legend(frameon=False, fontsize=9)
    style_axes(axes)


def _lines(axes: Axes, signal: Signal, chosen: object, over: str, value: str) -> None:
    """One line for each k over the group size, or the other way round."""
    other, letter = ("group_size", "G") if over == "k" else ("k", "k")
    keys = sorted({getattr(c, other) for c in signal.candidates})
    for number, key in enumerate(keys):
        line = sorted((getattr(c, over), getattr(c, value)) for c in signal.candidates if getattr(c, other) == key)
        color = COLORS[number % len(COLORS)]
        axes.plot(
            [x for x, _ in line],
            [y for _, y in line],
            color=color,
            marker="o",
            markersize=3.2,
            linewidth=1.8,
            label=f"{letter} = {key}",
        )
    if chosen is not None:
        axes.plot(getattr(chosen, over), getattr(chosen, value), "o", markersize=11, fillstyle="none", color=INK)
    ticks = sorted({getattr(c, over) for c in signal.candidates})
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0f}"))
    axes.set_xlabel("k" if over == "k" else "completions per prompt, G", color=INK)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    style_axes(axes)
