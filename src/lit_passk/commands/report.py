"""``lit-passk report RESULT... --out DIR``: table, curves and page of any number of evaluations."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from lit_passk.errors import Refusal
from lit_passk.report.compare import Comparison, compare
from lit_passk.report.page import write_page
from lit_passk.report.plot import plot_benchmarks
from lit_passk.report.summary import Summary, run_labels, summarize
from lit_passk.report.tables import Table, as_csv, as_markdown, as_text, comparison_table, notes, summary_table
from lit_passk.results import Results, load_results
from lit_passk.results.record import flatten_settings, settings_differences


def main(args: Sequence[str] | None = None) -> int:
    """Run ``lit-passk report``.

    Args:
        args: The arguments after ``report``; None takes the process's own.

    Returns:
        The exit status: 0, or 2 when a file cannot be read or compared, with the reason on stderr.
    """
    options = _parser().parse_args(args)
    try:
        report(options.results, options.out, options.k, options.compare, options.confidence, options.max_chars)
    except (Refusal, OSError) as error:
        print(f"lit-passk report: {error}", file=sys.stderr)
        return 2
    return 0


def report(
    paths: Sequence[Path],
    out: Path | None = None,
    ks: Sequence[int] | None = None,
    with_comparison: bool = False,
    confidence: float = 0.95,
    max_chars: int = 20_000,
) -> None:
    """Print the table of some result files and write everything else into a folder.

    Args:
        paths: Result files.
        out: Folder for ``report.md``, ``report.csv``, ``report.png`` and ``report.html``; None only prints.
        ks: Values of k in tables and curves; powers of two by default.
        with_comparison: Add paired differences; needs exactly two files.
        confidence: Chance that an interval covers the truth.
        max_chars: Longest completion shown whole in the page.

    Raises:
        ValueError: If a file is no result file, holds no completions, or two cannot be compared.
    """
    if with_comparison and len(paths) != 2:
        raise Refusal(f"--compare needs exactly two result files, the baseline first, but got {len(paths)}.")
    out = out.expanduser() if out is not None else None
    if out is not None and out.exists() and not out.is_dir():
        raise Refusal(f"--out needs a folder, but {out} is a file.")
    runs = list(zip(run_labels(paths), map(load_results, paths), strict=True))
    summaries = [entry for label, results in runs for entry in summarize(results, label, ks, confidence)]
    benchmarks = list(dict.fromkeys(entry.benchmark for entry in summaries))
    summaries = sorted(summaries, key=lambda entry: benchmarks.index(entry.benchmark))
    tables = [("Results", summary_table(summaries, ks), notes(summaries, confidence))]
    if with_comparison:
        tables.append(_comparison(runs, ks, confidence))
    for heading, table, lines in tables:
        print(f"\n{heading}\n\n{as_text(table)}\n\n" + "\n".join(lines))
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    figure = plot_benchmarks(_curves(summaries))
    figure.savefig(out / "report.png")
    (out / "report.csv").write_text(as_csv(summaries), encoding="utf-8")
    (out / "report.md").write_text(_markdown(runs, tables), encoding="utf-8")
    write_page(out / "report.html", runs, tables, _svg(figure), max_chars)
    print(f"\nwrote {', '.join(str(out / f'report.{kind}') for kind in ('md', 'csv', 'png', 'html'))}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lit-passk report", description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT", help="result files (JSONL)")
    parser.add_argument("--out", type=Path, help="folder for report.md, .csv, .png and .html; without it only print")
    parser.add_argument("--k", type=_positive, nargs="+", metavar="K", help="values of k; powers of two by default")
    parser.add_argument("--compare", action="store_true", help="paired differences of two files, the baseline first")
    parser.add_argument("--confidence", type=_share, default=0.95, help="of all intervals, in (0, 1); default 0.95")
    parser.add_argument(
        "--max-chars", type=_positive, default=20_000, help="longest completion in the page; default 20000"
    )
    return parser


def _share(text: str) -> float:
    number = float(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, but is {number}")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, but is {number}")
    return number


def _comparison(
    runs: Sequence[tuple[str, Results]], ks: Sequence[int] | None, confidence: float
) -> tuple[str, Table, list[str]]:
    (first, baseline), (second, candidate) = runs
    comparisons = compare(baseline, candidate, ks, confidence)
    lines = [
        f"Percentage points of pass@k, {second} minus {first}, with {100 * confidence:g} % intervals of a paired "
        "bootstrap: every draw takes the same problems for both. Not told apart: the interval holds 0.",
        *(_left_out(comparison) for comparison in comparisons if comparison.num_left_out),
    ]
    if different := settings_differences(baseline.settings, candidate.settings, first, second):
        lines.append(f"Settings that differ: {'; '.join(different)}.")
    return f"{second} against {first}", comparison_table(comparisons), lines


def _left_out(comparison: Comparison) -> str:
    return f"{comparison.benchmark}: {comparison.num_left_out} problems that one run lacks are left out."


def _curves(summaries: Sequence[Summary]) -> dict[str, dict]:
    curves: dict[str, dict] = {}
    for summary in summaries:
        curves.setdefault(summary.benchmark, {})[summary.run] = summary.pass_at_k
    return curves


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _markdown(runs: Sequence[tuple[str, Results]], tables: Sequence[tuple[str, Table, Sequence[str]]]) -> str:
    parts = ["# pass@k report", "![pass@k curves](report.png)"]
    for heading, table, lines in tables:
        parts += [f"## {heading}", as_markdown(table), *lines]
    parts.append("## Runs")
    for label, results in runs:
        settings = {**dict(flatten_settings(results.settings)), **results.versions}
        parts.append(f"- **{label}** (`{results.path}`): " + ", ".join(f"{n} `{v}`" for n, v in settings.items()))
    return "\n\n".join(parts) + "\n"
