import math
from itertools import pairwise

import matplotlib
import pytest
from matplotlib.text import Text

from lit_passk.report.plot import _spread, plot_benchmarks, plot_pass_at_k


def curve(scale, n=16):
    values = {2**p: 1 - (1 - scale) ** (2**p) for p in range(int(math.log2(n)) + 1)}
    return {k: (value, max(value - 0.1, 0.0), min(value + 0.1, 1.0)) for k, value in values.items()}


def test_draws_what_it_is_given():
    figure = plot_pass_at_k({"base": curve(0.1), "k = 8": curve(0.3, n=64)}, title="maze")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_title(loc="left") == "maze"
    first, second = axes.get_lines()
    assert list(first.get_xdata()) == [1, 2, 4, 8, 16]
    assert list(second.get_ydata()) == pytest.approx([value for value, _, _ in curve(0.3, n=64).values()])
    assert first.get_color() != second.get_color()
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "4", "8", "16", "32", "64"]
    band = axes.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((curve(0.1)[1][1], curve(0.1)[16][2]))


@pytest.mark.parametrize("number", [1, 2, 9, 30])
def test_labels_never_overlap(number):
    figure = plot_pass_at_k({f"run {i}": curve(0.3 + i * 1e-4) for i in range(number)})
    figure.canvas.draw()
    boxes = sorted((Text.get_window_extent(label) for label in figure.axes[0].texts), key=lambda box: box.y0)
    assert len(boxes) == number
    assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)


def test_spread_keeps_order_distance_and_range():
    values = [0.0, 0.01, 0.5, 0.5, 0.99, 1.0]
    moved = _spread(values, gap=0.1, low=0.0, high=1.0)
    assert moved == sorted(moved)
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(moved))
    assert _spread([0.2, 0.8], gap=0.1, low=0.0, high=1.0) == pytest.approx([0.2, 0.8])


def test_runs_keep_their_colour_across_benchmarks():
    figure = plot_benchmarks({"a": {"one": curve(0.1), "two": curve(0.2)}, "b": {"two": curve(0.4)}})
    left, right = figure.axes
    assert right.get_lines()[0].get_color() == left.get_lines()[1].get_color()


def test_global_state_of_pyplot_is_not_touched(tmp_path):
    before = dict(matplotlib.rcParams)
    plot_pass_at_k({"only k = 1, no interval": {1: (0.5, math.nan, math.nan)}}).savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000
    assert dict(matplotlib.rcParams) == before


NAN = (math.nan,) * 3


@pytest.mark.parametrize(
    ("undefined", "ends"),
    [
        ({1: (0.5, 0.4, 0.6), 2: NAN}, {"a": 1, "b": 8}),
        ({1: NAN, 2: (0.5, math.nan, math.nan), 4: NAN}, {"a": 2, "b": 8}),
        ({1: NAN, 4: NAN}, {"b": 8}),
    ],
)
def test_undefined_values_are_left_out(tmp_path, undefined, ends):
    figure = plot_pass_at_k({"a": undefined, "b": curve(0.2, n=8)})
    figure.savefig(tmp_path / "plot.png")
    assert {label.get_text(): label.xy[0] for label in figure.axes[0].texts} == ends


def test_nothing_defined_is_an_empty_picture(tmp_path):
    figure = plot_benchmarks({"one": {"a": {1: NAN, 8: NAN}}, "two": {"a": {8: NAN}}})
    figure.savefig(tmp_path / "plot.png")
    assert [list(axes.texts) for axes in figure.axes] == [[], []]


@pytest.mark.parametrize(
    "name", ["$x^$", "50$_^{", r"$\frac{$", "a_b^c", "two\nlines", "\x00", "half \ud800", "é 漢 <&>"]
)
def test_names_of_users_are_drawn_as_they_are(tmp_path, name):
    figure = plot_benchmarks({name: {name: curve(0.1), "other": curve(0.2)}, "b": {name: curve(0.3)}})
    for kind in ("png", "svg"):
        figure.savefig(tmp_path / f"plot.{kind}")
    shown = "".join(c if c.isprintable() else "\ufffd" for c in name)
    assert figure.axes[0].get_title(loc="left") == shown
    assert shown in [label.get_text() for label in figure.axes[0].texts]
    assert (tmp_path / "plot.svg").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize("curves", [{}, {"base": {}}])
def test_nothing_to_draw(curves):
    with pytest.raises(ValueError, match="at least one curve"):
        plot_pass_at_k(curves)
