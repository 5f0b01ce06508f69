"""``lit-passk report RUN... --out DIR``: tables, curves and a page of evaluations, and of trainings by step."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from lit_passk.commands.configurations import find
from lit_passk.errors import Refusal
from lit_passk.printable import printable
from lit_passk.report.compare import Comparison, compare_all
from lit_passk.report.page import write_page
from lit_passk.report.paper_table import paper_table
from lit_passk.report.plot import plot_benchmarks, plot_steps
from lit_passk.report.runs import Run, open_runs
from lit_passk.report.step_tables import step_panels, step_table, steps_csv
from lit_passk.report.steps import History, read_history
from lit_passk.report.suites import read_suites, suite_summaries
from lit_passk.report.summary import Summary, summarize
from lit_passk.report.tables import (
    Table,
    as_csv,
    as_markdown,
    as_text,
    comparison_table,
    markdown_code,
    markdown_text,
    notes,
    summary_table,
)
from lit_passk.results.atomic import atomic_text, writing
from lit_passk.results.record import flatten_settings, settings_differences

Section = tuple[str, Table, Sequence[str]]
"""Heading, table and notes."""
_MOST_COMPLETIONS = 50_000
"""Completions of trainings that a page holds; an evaluation's are all there."""

KEPT = "One that was there is as it was: make room, or name another `--out`."


def main(args: Sequence[str] | None = None) -> int:
    """Run ``lit-passk report``.

    Args:
        args: The arguments after ``report``; None takes the process's own.

    Returns:
        The exit status: 0, or 2 when a file cannot be read or compared, with the reason on stderr.
    """
    options = _parser().parse_args(args)
    try:
        report(
            options.runs,
            out=options.out,
            ks=options.k,
            suites=read_suites(options.suite, find),
            baseline=options.baseline,
            with_comparison=options.compare,
            table=options.table,
            confidence=options.confidence,
            max_chars=options.max_chars,
        )
    except (Refusal, OSError) as error:
        print(f"lit-passk report: {printable(str(error))}", file=sys.stderr)
        return 2
    return 0


def report(
    runs: Sequence[str | Path],
    *,
    out: Path | None = None,
    ks: Sequence[int] | None = None,
    suites: Mapping[str, Sequence[str]] | None = None,
    baseline: str | None = None,
    with_comparison: bool = False,
    table: str | None = None,
    confidence: float = 0.95,
    max_chars: int = 20_000,
) -> None:
    """Print tables of some runs and write everything else into a folder.

    Args:
        runs: Result files, folders of training rollouts, or seeds of one run: ``label=a.jsonl+b.jsonl``.
        out: Folder for ``report.md``, ``.csv``, ``.png`` and ``.html``; None only prints. Trainings have a figure and
            a CSV file of their own, ``steps.png`` and ``steps.csv``.
        ks: Values of k in tables and curves; powers of two by default.
        suites: Benchmarks to report the unweighted mean of, by the name of the mean.
        baseline: Label of the run that all others are compared with; the first by default.
        with_comparison: Add paired differences; naming a baseline does too.
        table: ``latex`` or ``markdown``: print pass@k as papers do, and nothing else; ``table.tex`` or ``table.md``
            goes into the folder.
        confidence: Chance that an interval covers the truth.
        max_chars: Longest completion shown whole in the page.

    Raises:
        ValueError: If a file is no result file, holds no completions, or runs cannot be compared.
    """
    out = out.expanduser() if out is not None else None
    if out is not None and out.exists() and not out.is_dir():
        raise Refusal(f"--out needs a folder, but {out} is a file.")
    evaluations, trainings = open_runs([str(run) for run in runs])
    with_comparison = with_comparison or baseline is not None
    labels = [run.label for run in evaluations]
    _check(labels, baseline, with_comparison, needs_results=table is not None or bool(suites))
    summaries = [entry for run in evaluations for entry in summarize(run.seeds, run.label, ks, confidence)]
    summaries, suite_notes = _with_suites(summaries, suites or {}, confidence)
    sections: list[Section] = []
    if summaries:
        sections.append(("Results", summary_table(summaries, ks), [*notes(summaries, confidence), *suite_notes]))
    if with_comparison:
        sections.append(_comparison(evaluations, summaries, baseline or labels[0], ks, confidence))
    share = _MOST_COMPLETIONS // max(len(trainings), 1)
    histories = [read_history(training, share) for training in trainings]
    sections += [step_table(history, ks, confidence) for history in histories]
    paper = None if table is None else paper_table(summaries, table, ks)
    if paper is not None:
        print(printable(paper))
    else:
        _print(sections)
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    written = _write_numbers(out, summaries, histories, ks, confidence)
    if paper is not None:
        name = "table.tex" if table == "latex" else "table.md"
        _write(out / name, paper + "\n")
        written.append(name)
    figures = _figures(out, summaries, histories, ks, confidence)
    files = [pair for run in evaluations for pair in run.files()]
    described = [(label, results.path, results.settings, results.versions) for label, results in files]
    described += [(one.label, one.folder.path, one.folder.settings, one.folder.versions) for one in trainings]
    _write(out / "report.md", _markdown(described, sections, list(figures)))
    svgs = {what: svg for _, (what, svg) in figures.items()}
    with writing(out / "report.html", KEPT):
        write_page(out / "report.html", files, sections, svgs, max_chars, list(zip(trainings, histories, strict=True)))
    names = [*written, *figures, "report.md", "report.html"]
    print(f"\nwrote {', '.join(str(out / name) for name in names)}", file=sys.stdout if table is None else sys.stderr)


def _check(labels: Sequence[str], baseline: str | None, with_comparison: bool, needs_results: bool) -> None:
    """Refuse what the result files at hand, one label each, cannot give."""
    if baseline is not None and baseline not in labels:
        raise Refusal(f"--baseline is {baseline!r}, but the runs are {', '.join(labels) or 'trainings alone'}.")
    if with_comparison and len(labels) < 2:
        raise Refusal(f"A comparison needs two result files or more, the baseline first, but got {len(labels)}.")
    if not labels and needs_results:
        raise Refusal("--table and --suite are about result files, but only folders of rollouts were given.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lit-passk report", description=__doc__)
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="result files (.jsonl, .jsonl.gz), folders of training rollouts, or seeds of a run: LABEL=A.jsonl+B.jsonl",
    )
    parser.add_argument("--out", type=Path, help="folder for report.md, .csv, .png and .html; without it only print")
    parser.add_argument("--k", type=_positive, nargs="+", metavar="K", help="values of k; powers of two by default")
    parser.add_argument(
        "--suite",
        action="append",
        default=[],
        metavar="NAME=BENCHMARK,...",
        help="report the unweighted mean of these benchmarks; or a configuration, for those of its `data.val`",
    )
    parser.add_argument("--compare", action="store_true", help="paired differences to the first run")
    parser.add_argument("--baseline", metavar="LABEL", help="paired differences to this run")
    parser.add_argument(
        "--table", choices=("latex", "markdown"), help="print pass@k as papers do, and nothing else, to redirect it"
    )
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


def _with_suites(
    summaries: Sequence[Summary], suites: Mapping[str, Sequence[str]], confidence: float
) -> tuple[list[Summary], list[str]]:
    """The summaries benchmark by benchmark, then those of the suites."""
    benchmarks = list(dict.fromkeys(summary.benchmark for summary in summaries))
    ordered = sorted(summaries, key=lambda summary: benchmarks.index(summary.benchmark))
    means, missing = suite_summaries(ordered, suites, confidence)
    about = [f"{name}: the unweighted mean of {', '.join(parts)}." for name, parts in suites.items()]
    return [*ordered, *means], [*about, *missing]


def _comparison(
    runs: Sequence[Run], summaries: Sequence[Summary], baseline: str, ks: Sequence[int] | None, confidence: float
) -> Section:
    comparisons = compare_all(summaries, baseline, ks, confidence)
    others = [run for run in runs if run.label != baseline]
    names = others[0].label if len(others) == 1 else "each run"
    lines = [
        f"Percentage points of pass@k, {names} minus {baseline}, with {100 * confidence:g} % intervals of a paired "
        "bootstrap: every draw takes the same problems for both. Not told apart: the interval holds 0.",
    ]
    if (number := sum(len(comparison.differences) for comparison in comparisons)) > 1:
        lines.append(
            f"Each interval stands for itself: were no run better than another, about {number * (1 - confidence):.1g} "
            f"of these {number} would leave out 0 by luck."
        )
    lines += [_left_out(comparison) for comparison in comparisons if comparison.num_left_out]
    settings = {run.label: run.seeds[0].settings for run in runs}
    for run in others:
        if different := settings_differences(settings[baseline], settings[run.label], baseline, run.label):
            lines.append(f"Settings that differ: {'; '.join(different)}.")
    heading = f"{others[0].label} against {baseline}" if len(others) == 1 else f"Against {baseline}"
    return heading, comparison_table(comparisons), lines


def _left_out(comparison: Comparison) -> str:
    return (
        f"{comparison.run}, {comparison.benchmark}: {comparison.num_left_out} problems that one run lacks are left out."
    )


def _print(sections: Sequence[Section]) -> None:
    for heading, table, lines in sections:
        print(f"\n{printable(heading)}\n\n{as_text(table)}\n\n" + printable("\n".join(lines)))


def _write_numbers(
    out: Path,
    summaries: Sequence[Summary],
    histories: Sequence[History],
    ks: Sequence[int] | None,
    confidence: float,
) -> list[str]:
    texts = {}
    if summaries:
        texts["report.csv"] = as_csv(summaries)
    if histories:
        texts["steps.csv"] = steps_csv(histories, ks, confidence)
    for name, text in texts.items():
        _write(out / name, text)
    return list(texts)


def _write(path: Path, text: str) -> None:
    with writing(path, KEPT), atomic_text(path, errors="backslashreplace") as stream:
        stream.write(text)


def _figures(
    out: Path,
    summaries: Sequence[Summary],
    histories: Sequence[History],
    ks: Sequence[int] | None,
    confidence: float,
) -> dict[str, tuple[str, str]]:
    """Draw into files; of each its name, what it shows, and its SVG."""
    drawn: dict[str, tuple[str, Figure]] = {}
    if summaries:
        drawn["report.png"] = "pass@k curves", plot_benchmarks(_curves(summaries))
    if histories:
        panels = step_panels(histories, ks, confidence)
        drawn["steps.png"] = "reward and pass@k by RL step", plot_steps(panels)
    for name, (_, figure) in drawn.items():
        figure.savefig(out / name)
    return {name: (what, _svg(figure)) for name, (what, figure) in drawn.items()}


def _curves(summaries: Sequence[Summary]) -> dict[str, dict]:
    curves: dict[str, dict] = {}
    for summary in summaries:
        curves.setdefault(summary.benchmark, {})[summary.run] = summary.pass_at_k
    return curves


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _markdown(
    described: Sequence[tuple[str, Path, Mapping, Mapping]], sections: Sequence[Section], figures: Sequence[str]
) -> str:
    parts = ["# pass@k report", *(f"![{name}]({name})" for name in figures)]
    for heading, table, lines in sections:
        parts += [f"## {markdown_text(heading)}", as_markdown(table), *map(markdown_text, lines)]
    parts.append("## Runs")
    for label, path, settings, versions in described:
        values = {**dict(flatten_settings(settings)), **versions}
        shown = ", ".join(f"{markdown_text(name)} {markdown_code(str(value))}" for name, value in values.items())
        parts.append(f"- **{markdown_text(label)}** ({markdown_code(str(path))}): {shown}")
    return "\n\n".join(parts) + "\n"
