"""Summaries as text: an aligned table for the terminal, Markdown and CSV."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from io import StringIO

from lit_passk.printable import printable_line
from lit_passk.report.compare import Comparison
from lit_passk.report.summary import Interval, Summary

Table = list[list[str]]
"""Rows of cells, the header first."""
_PERCENT = ("truncated", "unscored")
_SHOWN = ("maj@n", "truncated", "unscored", "mean_length")


def chosen_ks(summaries: Sequence[Summary], most: int = 4) -> list[int]:
    """Values of k that every summary has: 1, the largest, and some between, evenly spread.

    Example:
        >>> chosen_ks([])
        []

    """
    shared = sorted(set.intersection(*(set(summary.pass_at_k) for summary in summaries))) if summaries else []
    if len(shared) <= most:
        return shared
    return [shared[round(i * (len(shared) - 1) / (most - 1))] for i in range(most)]


def summary_table(summaries: Sequence[Summary], ks: Sequence[int] | None = None) -> Table:
    """One row a run and benchmark: settings, pass@k with intervals, the most asked-for others."""
    columns = chosen_ks(summaries) if ks is None else list(ks)
    seeds = any(summary.num_seeds > 1 for summary in summaries)
    header = ["run", "benchmark", "problems", *(["seeds"] if seeds else []), "n", "T", "top-p", "max tokens"]
    return [
        [*header, *(f"pass@{k}" for k in columns), *_SHOWN],
        *(
            [
                summary.run,
                summary.benchmark,
                _problems(summary),
                *([str(summary.num_seeds)] if seeds else []),
                _span(summary.num_samples),
                *(str(summary.setting("sampling", name)) for name in ("temperature", "top_p", "max_tokens")),
                *(_pass_at_k(summary, k) for k in columns),
                *(_value(name, summary.others.get(name, math.nan)) for name in _SHOWN),
            ]
            for summary in summaries
        ),
    ]


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """One row per run, benchmark and k: the difference in percentage points."""
    return [
        ["run", "benchmark", "problems", "k", "difference", "interval", "conclusion"],
        *(
            [
                comparison.run,
                comparison.benchmark,
                str(comparison.num_problems),
                str(difference.k),
                f"{100 * difference.value:+.1f}",
                f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}",
                ("better" if difference.value > 0 else "worse") if difference.clear else "not told apart",
            ]
            for comparison in comparisons
            for difference in comparison.differences
        ),
    ]


def as_text(table: Table) -> str:
    """Columns aligned by spaces."""
    table = [[printable_line(cell) for cell in row] for row in table]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def as_markdown(table: Table) -> str:
    """A Markdown table."""
    safe = [[markdown_text(cell) for cell in row] for row in table]
    rows = [safe[0], ["---"] * len(safe[0]), *safe[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def markdown_text(text: str) -> str:
    r"""A text within Markdown, on one line: no tag, link or image, and no end of a table's cell.

    Example:
        >>> print(markdown_text("41.2 [38.0, 44.9] <script> | ![x](https://host/x.png)"))  # exact: as given
        41.2 [38.0, 44.9] &lt;script> \| ![x]&#40;https://host/x.png)

    """
    return printable_line(text).replace("<", "&lt;").replace("](", "]&#40;").replace("|", "\\|")


def markdown_code(text: str) -> str:
    """A text as code within Markdown, whatever backticks it holds.

    Example:
        >>> print(markdown_code("org/model"), markdown_code("a`b"))
        `org/model` `` a`b ``

    """
    text = printable_line(text)
    if "`" not in text:
        return f"`{text}`"
    fence = "`" * (max(map(len, re.findall("`+", text))) + 1)
    return f"{fence} {text} {fence}"


def as_csv(summaries: Sequence[Summary]) -> str:
    """Every number of every summary, one per row, for other programs."""
    stream = StringIO()
    names, sampling = ("policy", "seed"), ("temperature", "top_p", "top_k", "max_tokens")
    about_names = ("problems", "unscored_problems", "n_min", "n_max", *names, *sampling, "seeds", "seed_sd")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["run", "benchmark", "metric", "value", "low", "high", *about_names])
    for summary in summaries:
        about = [summary.num_problems, summary.num_unscored, *summary.num_samples]
        about += [summary.setting(name) for name in names] + [summary.setting("sampling", name) for name in sampling]
        about.append(summary.num_seeds)
        for k, interval in summary.pass_at_k.items():
            deviation = summary.spread(k)
            row = [summary.run, summary.benchmark, f"pass@{k}", *interval, *about]
            writer.writerow([*row, "" if deviation is None else deviation])
        for name, value in summary.others.items():
            if not math.isnan(value):
                writer.writerow([summary.run, summary.benchmark, name, value, "", "", *about, ""])
    return stream.getvalue()


def percent_interval(interval: Interval | None) -> str:
    """``41.2 [38.0, 44.9]``, in percent."""
    if interval is None:
        return "-"
    value, low, high = (100 * number for number in interval)
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def notes(summaries: Sequence[Summary], confidence: float) -> list[str]:
    """What a reader of the table has to know."""
    meaning = (
        f"pass@k in percent, unbiased, with {100 * confidence:g} % intervals of a two-level bootstrap (problems, then "
        "samples). n: scored completions of a problem, and the largest k there is an estimate for. maj@n: majority of "
        "all of them, ties by lot."
    )
    seeds = (
        "A run of several seeds: means over the seeds, ± the standard deviation over them; the intervals are for these "
        "very seeds. n is that of one seed."
    )
    unshared = [
        f"{summary.run}, {summary.benchmark}: {summary.num_left_out} problems that one of its seeds lacks are left out."
        for summary in summaries
        if summary.num_left_out
    ]
    left_out = [
        f"{summary.run}, {summary.benchmark}: {summary.num_unscored} of {summary.num_problems} problems have no "
        "completion that could be scored and are left out."
        for summary in summaries
        if summary.num_unscored
    ]
    return [meaning, *([seeds] if any(summary.num_seeds > 1 for summary in summaries) else []), *left_out, *unshared]


def _pass_at_k(summary: Summary, k: int) -> str:
    """``41.2 ± 0.4 [38.0, 44.9]``, in percent; the deviation over the seeds where there are several."""
    shown, deviation = percent_interval(summary.pass_at_k.get(k)), summary.spread(k)
    return shown if deviation is None else shown.replace(" [", f" ± {100 * deviation:.1f} [")


def _problems(summary: Summary) -> str:
    return str(summary.num_problems - summary.num_unscored) + ("*" if summary.num_unscored else "")


def _span(samples: tuple[int, int]) -> str:
    fewest, most = samples
    return str(fewest) if fewest == most else f"{fewest}-{most}"


def _value(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    if name in _PERCENT:
        return f"{100 * value:.1f}%"
    return f"{value:.0f}" if name == "mean_length" else f"{100 * value:.1f}"
