"""Two small panels as SVG, by hand: a file of a few kilobytes that is the same on every machine up to rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

INK, MUTED, GRID = "#24292f", "#6e7781", "#e4e8ec"
RIGHT, WRONG, REFERENCE = "#009e73", "#d55e00", "#8c959f"
SEVERAL = ("#9ecae1", "#4292c6", "#08519c", "#08306b")  # the larger k, the darker
MANY = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#000000", "#8c564b", "#a6761d")


@dataclass
class Line:
    """One curve over x = 0, 1, 2, ...; a band around it where it is not one value."""

    label: str
    values: list[float]
    color: str
    dashed: bool = False
    band: tuple[list[float], list[float]] | None = None


@dataclass
class Panel:
    """A set of axes with its curves; the legend is a row of words in the curves' colours."""

    title: str
    x_label: str
    lines: list[Line] = field(default_factory=list)


def draw(panels: list[Panel], width: int = 400, height: int = 262) -> str:
    """The panels side by side, as the text of an SVG file."""
    total = width * len(panels)
    rows = max(len(_legend_rows(panel.lines, width - 70)) for panel in panels)
    height += 17 * (rows - 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{height}" viewBox="0 0 {total} {height}" '
        'font-family="-apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="12">',
        f'<rect width="{total}" height="{height}" fill="#ffffff"/>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, number * width, width, height, 58 + 17 * (rows - 1))
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, left: float, width: float, height: float, top: float) -> list[str]:
    x0, x1, y0, y1 = left + 52, left + width - 18, height - 42, top
    most = max(len(line.values) for line in panel.lines) - 1
    low, high, step = _ticks([v for line in panel.lines for v in line.values + [w for b in line.band or () for w in b]])

    def x(value: float) -> float:
        return x0 + (x1 - x0) * value / most

    def y(value: float) -> float:
        return y0 + (y1 - y0) * (value - low) / (high - low)

    parts = [f'<text x="{x0:.1f}" y="20" font-weight="600" fill="{INK}">{escape(panel.title)}</text>']
    parts += _legend(panel.lines, x0, x1)
    for tick in range(round((high - low) / step) + 1):
        value = low + tick * step
        zero = abs(value) < step / 1e3
        color = "#afb8c1" if zero else GRID
        parts.append(f'<line x1="{x0:.1f}" x2="{x1:.1f}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{color}"/>')
        label = _number(0.0 if zero else value, step)
        parts.append(f'<text x="{x0 - 7:.1f}" y="{y(value) + 4:.1f}" text-anchor="end" fill="{MUTED}">{label}</text>')
    for tick in range(5):
        value = round(most * tick / 4)
        parts.append(f'<text x="{x(value):.1f}" y="{y0 + 17:.1f}" text-anchor="middle" fill="{MUTED}">{value}</text>')
    parts.append(
        f'<text x="{(x0 + x1) / 2:.1f}" y="{height - 8:.1f}" text-anchor="middle" fill="{MUTED}">'
        f"{escape(panel.x_label)}</text>"
    )
    for line in panel.lines:
        if line.band:
            around = list(enumerate(line.band[0])) + list(enumerate(line.band[1]))[::-1]
            points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in around if math.isfinite(v))
            parts.append(f'<polygon points="{points}" fill="{line.color}" opacity="0.18"/>')
    for line in panel.lines:
        points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(line.values) if math.isfinite(v))
        dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{line.color}" stroke-width="2" '
            f'stroke-linejoin="round"{dashes}/>'
        )
    return parts


def _legend_rows(lines: list[Line], width: float) -> list[list[Line]]:
    """The words of the legend, as many on a row as fit."""
    rows: list[list[Line]] = [[]]
    used = 0.0
    for line in lines:
        if rows[-1] and used + _length(line) > width:
            rows.append([])
            used = 0.0
        rows[-1].append(line)
        used += _length(line) + 12
    return rows


def _length(line: Line) -> float:
    return 18 + sum(8.8 if letter.isupper() else 6.3 for letter in line.label)


def _legend(lines: list[Line], x0: float, x1: float) -> list[str]:
    parts = []
    for number, row in enumerate(_legend_rows(lines, x1 - x0)):
        x, y = x0, 40.0 + 17 * number
        for line in row:
            dashes = ' stroke-dasharray="5 3"' if line.dashed else ""
            parts.append(
                f'<line x1="{x:.1f}" x2="{x + 14:.1f}" y1="{y - 4:.1f}" y2="{y - 4:.1f}" stroke="{line.color}" '
                f'stroke-width="2.5"{dashes}/>'
            )
            parts.append(f'<text x="{x + 18:.1f}" y="{y:.1f}" fill="{INK}">{escape(line.label)}</text>')
            x += _length(line) + 12
    return parts


def _ticks(values: list[float]) -> tuple[float, float, float]:
    """Lower end, upper end and step of an axis that holds all values and zero, in about five steps of 1, 2 or 5."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min([*finite, 0.0]), max([*finite, 0.0])
    if high - low < 1e-9:
        return 0.0, 1.0, 0.5
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    return math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step, step


def _number(value: float, step: float) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step * 10**digits, 6) % 1:
        digits += 1
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
