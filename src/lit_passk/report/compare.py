"""Runs on the same problems: how much better is one than another, and is it more than luck?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lit_passk.errors import Refusal
from lit_passk.functional.bootstrap import mean_paired_difference
from lit_passk.report.summary import Counts, Summary, default_ks


class Difference(NamedTuple):
    """pass@k of a run minus that of the baseline."""

    k: int
    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """A run and the baseline on one benchmark or suite."""

    run: str
    benchmark: str
    num_problems: int
    """Problems that both have scored completions of: those compared."""
    num_left_out: int
    """Problems that only one of them has scored completions of."""
    differences: tuple[Difference, ...]


def compare(
    baseline: Summary,
    run: Summary,
    ks: Sequence[int] | None = None,
    confidence: float = 0.95,
    draws: int = 10_000,
) -> Comparison:
    """Compare two runs on one benchmark, or on one suite, by a paired bootstrap: each draw takes the same problems.

    Args:
        baseline: What is compared with.
        run: What is compared.
        ks: Values of k; powers of two up to the fewest completions of any problem in both by default.
        confidence: Chance that an interval covers the true difference.
        draws: Bootstrap draws.

    Raises:
        ValueError: If the runs share no scored problem, or asked other questions under the same ids.
    """
    pairs = []
    num_problems = num_left_out = 0
    for theirs, ours in zip(baseline.counts, run.counts, strict=True):
        problems = _shared(theirs, ours, baseline, run)
        num_problems += len(problems)
        num_left_out += len(theirs.references.keys() | ours.references.keys()) - len(problems)
        pairs.append((ours.of(problems), theirs.of(problems)))
    fewest = min(int(side[1].min()) for pair in pairs for side in pair)
    wanted = default_ks(fewest) if ks is None else sorted({k for k in ks if k <= fewest}) or [fewest]
    return Comparison(
        run=run.run,
        benchmark=run.benchmark,
        num_problems=num_problems,
        num_left_out=num_left_out,
        differences=tuple(Difference(k, *mean_paired_difference(pairs, k, draws, confidence)) for k in wanted),
    )


def compare_all(
    summaries: Sequence[Summary], baseline: str, ks: Sequence[int] | None = None, confidence: float = 0.95
) -> list[Comparison]:
    """Compare every run with the baseline on every benchmark and suite that it has too, in the order of the summaries.

    Raises:
        ValueError: If a run shares no benchmark with the baseline.
    """
    base = {summary.benchmark: summary for summary in summaries if summary.run == baseline}
    comparisons = []
    for run in dict.fromkeys(summary.run for summary in summaries if summary.run != baseline):
        own = [summary for summary in summaries if summary.run == run]
        shared = [summary for summary in own if summary.benchmark in base]
        if not shared:
            raise Refusal(
                f"{baseline} and {run} share no benchmark: {', '.join(base)} against "
                f"{', '.join(summary.benchmark for summary in own)}."
            )
        comparisons += [compare(base[summary.benchmark], summary, ks, confidence) for summary in shared]
    return comparisons


def _shared(theirs: Counts, ours: Counts, baseline: Summary, run: Summary) -> list[str]:
    problems = [problem for problem in theirs.references if problem in ours.references]
    if not problems:
        raise Refusal(f"{baseline.run} and {run.run} share no scored problem of {run.benchmark}.")
    for problem in problems:
        if theirs.references[problem] != ours.references[problem]:
            raise Refusal(
                f"Problem {problem!r} of {run.benchmark} has another reference answer in {run.run} than in "
                f"{baseline.run}: they are of different data. Bring both to one answer key with `lit-passk rescore`."
            )
    return problems
