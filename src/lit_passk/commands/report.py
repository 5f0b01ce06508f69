"""``lit-passk report RUN... --out DIR``: tables, curves and a page of evaluations, and of trainings by step."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lit_passk.commands.configurations import find
from lit_passk.errors import Refusal
from lit_passk.inputs import expanded
from lit_passk.printable import printable
from lit_passk.report.contents import Section, read_contents
from lit_passk.report.files import write_files
from lit_passk.report.paper_table import paper_table
from lit_passk.report.suites import read_suites
from lit_passk.report.tables import as_text


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
    out = expanded(out) if out is not None else None
    if out is not None and out.exists() and not out.is_dir():
        raise Refusal(f"--out needs a folder, but {out} is a file.")
    contents = read_contents(
        runs,
        ks=ks,
        suites=suites or {},
        baseline=baseline,
        with_comparison=with_comparison,
        needs_results=table is not None or bool(suites),
        confidence=confidence,
    )
    paper = None if table is None else paper_table(contents.summaries, table, ks)
    if paper is not None:
        print(printable(paper))
    else:
        _print(contents.sections)
    if out is None:
        return
    others = {} if paper is None else {"table.tex" if table == "latex" else "table.md": paper + "\n"}
    files = write_files(out, contents, others, max_chars)
    print(f"\nwrote {', '.join(map(str, files))}", file=sys.stdout if table is None else sys.stderr)


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


def _print(sections: Sequence[Section]) -> None:
    for heading, table, lines in sections:
        print(f"\n{printable(heading)}\n\n{as_text(table)}\n\n" + printable("\n".join(lines)))
