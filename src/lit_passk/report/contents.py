"""What a report tells of some runs: their summaries, histories and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lit_passk.errors import Refusal
from lit_passk.report.compare import Comparison, compare_all
from lit_passk.report.runs import Run, Training, open_runs
from lit_passk.report.step_tables import step_table
from lit_passk.report.steps import History, read_history
from lit_passk.report.suites import suite_summaries
from lit_passk.report.summary import Summary, summarize
from lit_passk.report.tables import Table, comparison_table, notes, summary_table
from lit_passk.results.record import settings_differences

Section = tuple[str, Table, Sequence[str]]
"""Heading, table and notes."""
_MOST_COMPLETIONS = 50_000
"""Completions of trainings that a page holds; an evaluation's are all there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What was read of some runs, and the tables of it."""

    evaluations: Sequence[Run]
    trainings: Sequence[tuple[Training, History]]
    summaries: Sequence[Summary]
    """Of each run and benchmark, then those of the suites."""
    sections: Sequence[Section]
    ks: Sequence[int] | None
    """Values of k in tables and curves; None is powers of two."""
    confidence: float

    @property
    def histories(self) -> list[History]:
        """Of the trainings."""
        return [history for _, history in self.trainings]


def read_contents(
    runs: Sequence[str | Path],
    *,
    ks: Sequence[int] | None,
    suites: Mapping[str, Sequence[str]],
    baseline: str | None,
    with_comparison: bool,
    needs_results: bool,
    confidence: float,
) -> Contents:
    """Read runs and make tables of them.

    Args:
        runs: See ``open_runs``.
        ks: Values of k in tables and curves; powers of two by default.
        suites: Benchmarks to take the unweighted mean of, by the name of the mean.
        baseline: Label of the run that all others are compared with; the first by default.
        with_comparison: Add paired differences; naming a baseline does too.
        needs_results: Whether result files must be among the runs.
        confidence: Chance that an interval covers the truth.

    Raises:
        ValueError: If a file is no result file, holds no completions, or runs cannot be compared.
    """
    evaluations, trainings = open_runs([str(run) for run in runs])
    with_comparison = with_comparison or baseline is not None
    labels = [run.label for run in evaluations]
    _check(labels, baseline, with_comparison, needs_results)
    summaries = [entry for run in evaluations for entry in summarize(run.seeds, run.label, ks, confidence)]
    summaries, suite_notes = _with_suites(summaries, suites, confidence)
    sections: list[Section] = []
    if summaries:
        sections.append(("Results", summary_table(summaries, ks), [*notes(summaries, confidence), *suite_notes]))
    if with_comparison:
        sections.append(_comparison(evaluations, summaries, baseline or labels[0], ks, confidence))
    share = _MOST_COMPLETIONS // max(len(trainings), 1)
    histories = [read_history(training, share) for training in trainings]
    sections += [step_table(history, ks, confidence) for history in histories]
    return Contents(
        evaluations=evaluations,
        trainings=list(zip(trainings, histories, strict=True)),
        summaries=summaries,
        sections=sections,
        ks=ks,
        confidence=confidence,
    )


def _check(labels: Sequence[str], baseline: str | None, with_comparison: bool, needs_results: bool) -> None:
    """Refuse what the result files at hand, one label each, cannot give."""
    if baseline is not None and baseline not in labels:
        raise Refusal(f"--baseline is {baseline!r}, but the runs are {', '.join(labels) or 'trainings alone'}.")
    if with_comparison and len(labels) < 2:
        raise Refusal(f"A comparison needs two result files or more, the baseline first, but got {len(labels)}.")
    if not labels and needs_results:
        raise Refusal("--table and --suite are about result files, but only folders of rollouts were given.")


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
