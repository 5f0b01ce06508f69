"""The numbers of an evaluation: what a result file says about each benchmark."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from lit_passk.errors import Refusal
from lit_passk.functional.bootstrap import pass_at_k_interval
from lit_passk.functional.pass_at_k import pass_at_k
from lit_passk.metrics import (
    AnswerDiversity,
    CompletionStatistics,
    EvaluationMetric,
    GPassAtK,
    MajorityAtK,
    MaxRewardAtK,
    PassHatK,
    SolveRate,
    metric_inputs,
)
from lit_passk.results import CompletionRecord, Results
from lit_passk.results.reader import stem_of

Interval = tuple[float, float, float]
"""Value, lower and upper bound."""
_MOST_VOTERS = 64  # exact maj@k takes a second per problem at k in the hundreds


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What pass@k is computed from: P problems by S seeds."""

    references: Mapping[str, str]
    """Problem id to its answer key, P entries, in the order of the columns."""
    num_correct: Tensor
    """Shape ``(S, P)``, int64."""
    num_samples: Tensor
    """Scored completions, shape ``(S, P)``, int64."""

    def of(self, problems: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Both counts for these problems, in this order."""
        place = {problem: column for column, problem in enumerate(self.references)}
        columns = [place[problem] for problem in problems]
        return self.num_correct[:, columns], self.num_samples[:, columns]


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """One run on one benchmark. Problems without a completion that could be scored are counted, nothing else."""

    run: str
    benchmark: str
    settings: Mapping[str, Any]
    """Those of the run's first seed."""
    num_problems: int
    num_unscored: int
    """Problems none of whose completions could be scored (by one of the seeds)."""
    num_samples: tuple[int, int]
    """Fewest and most scored completions of a problem by one seed; pass@k goes up to the fewest."""
    pass_at_k: Mapping[int, Interval]
    """Of several seeds the mean; its interval accounts for problems and samples, not for seeds."""
    others: Mapping[str, float]
    """What the other metrics of ``lit_passk.metrics`` computed, in the order to print. NaN where undefined."""
    counts: tuple[Counts, ...]
    """Of the benchmark; of a suite, of each of its benchmarks."""
    num_seeds: int = 1
    seed_means: Mapping[int, Sequence[float]] = field(default_factory=dict)
    """For each k the pass@k of each seed."""
    num_left_out: int = 0
    """Problems that not all seeds have."""

    def spread(self, k: int) -> float | None:
        """Standard deviation over the seeds of their pass@k (n - 1 in the denominator); None for a single one."""
        return stdev(self.seed_means[k]) if self.num_seeds > 1 and k in self.seed_means else None

    def setting(self, *path: str) -> Any:
        """A setting of the run, such as ``setting("sampling", "temperature")``; empty when the file has none."""
        value: Any = self.settings
        for name in path:
            value = value.get(name, "") if isinstance(value, Mapping) else ""
        return value


def default_ks(num_samples: int) -> list[int]:
    """Powers of two up to ``num_samples``, and ``num_samples`` itself.

    Example:
        >>> default_ks(12)
        [1, 2, 4, 8, 12]

    """
    return sorted({2**power for power in range(num_samples.bit_length()) if 2**power <= num_samples} | {num_samples})


def run_labels(paths: Sequence[Path]) -> list[str]:
    """A short name for each file: its stem, with as many folders before it as tell equal stems apart.

    Example:
        >>> run_labels([Path("runs/a/val.jsonl"), Path("runs/b/val.jsonl"), Path("base.jsonl")])
        ['a/val', 'b/val', 'base']

    """
    parts = [(*path.absolute().parts[:-1], stem_of(path)) for path in paths]
    for depth in range(1, max(map(len, parts), default=1) + 1):
        labels = ["/".join(part[-depth:]) for part in parts]
        if len(set(labels)) == len(labels):
            break
    else:
        raise Refusal(f"A result file was given twice: {', '.join(map(str, paths))}.")
    repeated = {part[-1] for part in parts if sum(part[-1] == other[-1] for other in parts) > 1}
    return [label if part[-1] in repeated else part[-1] for label, part in zip(labels, parts, strict=True)]


def scored_counts(problems: Mapping[str, Sequence[CompletionRecord]]) -> dict[str, tuple[int, int]]:
    """Problem to (correct, scored) completions, of the problems with a scored completion."""
    counts = {}
    for problem_id, group in problems.items():
        correct = [record.correct for record in group if record.error is None]
        if correct:
            counts[problem_id] = sum(correct), len(correct)
    return counts


def summarize(
    seeds: Results | Sequence[Results],
    run: str,
    ks: Sequence[int] | None = None,
    confidence: float = 0.95,
    draws: int = 1000,
) -> list[Summary]:
    """Summarize a run, one entry per benchmark.

    Args:
        seeds: The run's records, or those of several seeds of it: every number is then the mean over the seeds, over
            the problems that all of them have.
        run: Its name in tables and plots.
        ks: Values of k; ``default_ks`` by default. Those above a benchmark's fewest scored completions are left out.
        confidence: Chance that an interval covers the truth.
        draws: Bootstrap draws.

    Raises:
        ValueError: If a file holds no completion, a benchmark none that could be scored, or the seeds share no
            benchmark, no problem of one, or have other answer keys.
    """
    all_seeds = [seeds] if isinstance(seeds, Results) else list(seeds)
    for results in all_seeds:
        if not results.records:
            raise Refusal(f"{results.path} holds no completions yet.")
    groups = [results.groups() for results in all_seeds]
    shared = [benchmark for benchmark in groups[0] if all(benchmark in other for other in groups)]
    if not shared:
        raise Refusal(f"{', '.join(str(results.path) for results in all_seeds)} share no benchmark.")
    summaries = []
    for benchmark in shared:
        members = [
            _Member(results=results, problems=group[benchmark])
            for results, group in zip(all_seeds, groups, strict=True)
        ]
        summaries.append(_summarize(members, run, benchmark, ks, confidence, draws))
    return summaries


class _Member(NamedTuple):
    """One seed of a run on one benchmark."""

    results: Results
    problems: Mapping[str, Sequence[CompletionRecord]]


def _summarize(
    members: Sequence[_Member], run: str, benchmark: str, ks: Sequence[int] | None, confidence: float, draws: int
) -> Summary:
    counted = [scored_counts(member.problems) for member in members]
    for member, count in zip(members, counted, strict=True):
        if not count:
            path = member.results.path
            raise Refusal(f"{path}: not one completion of {benchmark} could be scored. Try `lit-passk rescore`.")
    common = [problem for problem in members[0].problems if all(problem in member.problems for member in members)]
    scored = [problem for problem in common if all(problem in count for count in counted)]
    if not scored:
        raise Refusal(f"The seeds of {run} share no scored problem of {benchmark}.")
    counts = Counts(
        references=_references(members, scored, benchmark),
        num_correct=torch.tensor([[count[problem][0] for problem in scored] for count in counted]),
        num_samples=torch.tensor([[count[problem][1] for problem in scored] for count in counted]),
    )
    fewest, most = int(counts.num_samples.min()), int(counts.num_samples.max())
    wanted = default_ks(fewest) if ks is None else sorted({k for k in ks if k <= fewest}) or [fewest]
    columns = [column.tolist() for column in pass_at_k_interval(*counts.of(scored), wanted, draws, confidence)]
    others = [_others({problem: member.problems[problem] for problem in common}, wanted) for member in members]
    each = torch.stack([pass_at_k(counts.num_correct, counts.num_samples, k).mean(dim=1) for k in wanted])  # (K, S)
    everything = {problem for member in members for problem in member.problems}
    return Summary(
        run=run,
        benchmark=benchmark,
        settings=members[0].results.settings,
        num_problems=len(common),
        num_unscored=len(common) - len(scored),
        num_samples=(fewest, most),
        pass_at_k=dict(zip(wanted, zip(*columns, strict=True), strict=True)),
        others={name: mean(other.get(name, math.nan) for other in others) for name in others[0]},
        counts=(counts,),
        num_seeds=len(members),
        seed_means=dict(zip(wanted, each.tolist(), strict=True)),
        num_left_out=len(everything) - len(common),
    )


def _references(members: Sequence[_Member], problems: Sequence[str], benchmark: str) -> dict[str, str]:
    first, *others = members
    references = {problem: first.problems[problem][0].reference for problem in problems}
    for other in others:
        for problem, reference in references.items():
            if other.problems[problem][0].reference != reference:
                raise Refusal(
                    f"Problem {problem!r} of {benchmark} has another reference answer in {other.results.path} than in "
                    f"{first.results.path}: they are of different data, and no seeds of one run."
                )
    return references


def _others(problems: Mapping[str, Sequence[CompletionRecord]], ks: list[int]) -> dict[str, float]:
    """What else there is to say about these completions, in the order to print."""
    metrics = MetricCollection(
        _metrics([record for group in problems.values() for record in group], ks), compute_groups=False
    )
    metrics.update(**metric_inputs(dict(enumerate(problems.values()))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of problems left out: the notes under the table name them
        return {name: float(value) for name, value in metrics.compute().items()}


def _metrics(records: Sequence[CompletionRecord], ks: list[int]) -> list[EvaluationMetric]:
    """Metrics that have something to say about these completions, in the order to print."""
    several = [k for k in ks if k > 1]
    scored = [record for record in records if record.error is None]
    metrics: list[EvaluationMetric] = []
    if any(record.answer is not None for record in scored):  # programs, for one, are scored whole
        metrics += [MajorityAtK([k for k in several if k <= _MOST_VOTERS]), AnswerDiversity(several)]
    if several:
        metrics += [PassHatK(several), GPassAtK(several, taus=[])]
    if any(record.reward != record.correct for record in scored):
        metrics.append(MaxRewardAtK(ks))
    return [*metrics, SolveRate(thresholds=[0.5]), CompletionStatistics()]
