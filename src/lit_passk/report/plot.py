"""pass@k curves with confidence bands, without pyplot and its global state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, isfinite, log2, sqrt

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

Curve = Mapping[int, tuple[float, float, float]]
"""k to (pass@k, lower bound, upper bound); or an RL step to a number of it."""

# Okabe & Ito's palette without its yellow, which is too light for a line on white; told apart by all common kinds of
# colour blindness. Past seven curves the dashes change.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
INK = "#333333"


def plot_pass_at_k(curves: Mapping[str, Curve], title: str | None = None) -> Figure:
    """Draw pass@k over k, one curve a run, each labelled at its right end.

    Args:
        curves: Label to curve; any number of either. A value that is NaN is left out; a bound that is NaN has no band.
        title: Heading, such as the benchmark's name.

    Returns:
        A figure with an Agg canvas: ``figure.savefig(path)``, or ``SummaryWriter.add_figure``.

    Raises:
        ValueError: If there is no curve, or an empty one.

    Example:
        >>> figure = plot_pass_at_k({"base": {1: (0.1, 0.08, 0.12), 8: (0.5, 0.45, 0.55)}}, title="maze")
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['base']

    """
    return plot_benchmarks({title or "": curves})


def plot_benchmarks(benchmarks: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Draw one panel of pass@k curves for each benchmark; a run has the same colour in all of them.

    Args:
        benchmarks: Benchmark to label to curve.

    Raises:
        ValueError: If there is no curve, or an empty one.
    """
    return _panels(benchmarks, _scale_k)


def plot_steps(panels: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Draw one panel of curves over RL steps for each number; a run has the same colour in all of them.

    Args:
        panels: Name of the number (``reward``, ``pass@8``) to label to curve: step to value and bounds.

    Raises:
        ValueError: If there is no curve, or an empty one.
    """
    return _panels(panels, _scale_steps)


def _panels(panels: Mapping[str, Mapping[str, Curve]], scale: Callable[[Axes, str, list[int]], None]) -> Figure:
    labels = list(dict.fromkeys(label for curves in panels.values() for label in curves))
    if not labels or any(len(curve) == 0 for curves in panels.values() for curve in curves.values()):
        raise ValueError("A plot needs at least one curve with at least one point, but got an empty one.")
    columns = min(ceil(sqrt(len(panels))), 3)
    rows = ceil(len(panels) / columns)
    most = max(len(curves) for curves in panels.values())
    height = max(3.9, 0.9 + 0.21 * most)
    figure = Figure(figsize=(6.4 * columns, height * rows), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    styles = {label: (COLORS[i % 7], _DASHES[i // 7 % 4]) for i, label in enumerate(labels)}
    for index, (title, curves) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, index + 1)
        known = {
            label: {x: point for x, point in curve.items() if isfinite(point[0])} for label, curve in curves.items()
        }
        known = {label: curve for label, curve in known.items() if curve}
        _draw(axes, known, styles, _is_power if scale is _scale_k else None)
        scale(axes, title, sorted({x for curve in curves.values() for x in curve}))
        style_axes(axes)
        _label_ends(axes, known, styles, height)
        axes.set_title(printable(title), loc="left", fontsize=11, fontweight="bold", color=INK, parse_math=False)
    return figure


def _is_power(k: int) -> bool:
    return k & (k - 1) == 0


def _draw(
    axes: Axes, curves: Mapping[str, Curve], styles: Mapping[str, tuple], marked: Callable[[int], bool] | None
) -> None:
    band = 0.14 if len(curves) <= 6 else 0.06
    for label, curve in curves.items():
        xs = sorted(curve)
        values, lows, highs = zip(*(curve[x] for x in xs), strict=True)
        color, dashes = styles[label]
        axes.fill_between(xs, lows, highs, color=color, alpha=band, linewidth=0)
        # A marker at every k would merge into a band, and so would one at each of many steps.
        marks = [i for i, x in enumerate(xs) if (marked(x) if marked else len(xs) <= 30)]
        line = {"color": color, "linestyle": dashes, "linewidth": 1.8}
        axes.plot(xs, values, marker="o", markersize=3.2, markevery=marks, **line)


def _scale_k(axes: Axes, title: str, ks: list[int]) -> None:
    axes.set_xscale("log", base=2)
    # Ticks at powers of two, thinned where there are many, and at the last k.
    powers = [2**power for power in range(int(log2(ks[-1])) + 1) if 2**power >= ks[0]] or [ks[0]]
    powers = powers[:: ceil(len(powers) / 9)]
    if log2(ks[-1] / powers[-1]) > 0.4:
        powers.append(ks[-1])
    axes.xaxis.set_major_locator(FixedLocator(powers))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda k, _: f"{k:.0f}"))
    axes.set_xlabel("k", color=INK)
    axes.set_ylabel("pass@k", color=INK)
    _percent(axes)


def _scale_steps(axes: Axes, title: str, steps: list[int]) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.set_xlabel("RL step", color=INK)
    if title.startswith("pass@"):
        _percent(axes)


def _percent(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=None))
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -0.02), min(high, 1.02))


def style_axes(axes: Axes) -> None:
    """Grey frame on two sides, a grid behind the data."""
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")
    axes.tick_params(colors=INK, labelsize=9)


def _label_ends(axes: Axes, curves: Mapping[str, Curve], styles: Mapping[str, tuple], inches: float) -> None:
    """Write each label right of its curve's end, moved apart where two would overlap."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.19 / (inches - 0.8)  # one line of text
    ends = {label: (max(curve), curve[max(curve)][0]) for label, curve in curves.items()}
    order = sorted(ends, key=lambda label: ends[label][1])
    heights = _spread([ends[label][1] for label in order], gap, low, high)
    for label, height in zip(order, heights, strict=True):
        axes.annotate(
            printable(label),
            parse_math=False,  # names of files and tasks: `$` and `^` are letters in them
            xy=ends[label],
            xytext=(1.03, (height - low) / (high - low)),
            textcoords="axes fraction",
            color=styles[label][0],
            fontsize=9,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": styles[label][0],
                "lw": 0.6,
                "shrinkA": 1,
                "shrinkB": 3,
                "relpos": (0, 0.5),
            },
        )


def printable(text: str) -> str:
    """The text without what cannot be drawn, such as half a surrogate pair in the name of a file."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _spread(values: list[float], gap: float, low: float, high: float) -> list[float]:
    """Move ascending values at least ``gap`` apart, as little as may be (blocks of neighbours keep their mean)."""
    blocks: list[tuple[float, int]] = []  # (centre, size)
    for value in values:
        centre, size = value, 1
        while blocks and centre - size * gap / 2 < blocks[-1][0] + blocks[-1][1] * gap / 2:
            other, count = blocks.pop()
            centre, size = (centre * size + other * count) / (size + count), size + count
        half = size * gap / 2
        blocks.append((max(min(centre, high - half + gap / 2), low + half - gap / 2), size))
    return [centre + (i - (size - 1) / 2) * gap for centre, size in blocks for i in range(size)]
