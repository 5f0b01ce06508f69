"""The numbers of an evaluation: what a result file says about each benchmark."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchmetrics import MetricCollection

from lit_passk.errors import Refusal
from lit_passk.metrics import (
    AnswerDiversity,
    CompletionStatistics,
    EvaluationMetric,
    GPassAtK,
    MajorityAtK,
    MaxRewardAtK,
    PassAtK,
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
class Summary:
    """One run on one benchmark. Problems without a completion that could be scored are counted, nothing else."""

    run: str
    benchmark: str
    settings: Mapping[str, Any]
    num_problems: int
    num_unscored: int
    """Problems none of whose completions could be scored."""
    num_samples: tuple[int, int]
    """Fewest and most scored completions of a problem; pass@k goes up to the fewest."""
    pass_at_k: Mapping[int, Interval]
    others: Mapping[str, float]
    """What the other metrics of ``lit_passk.metrics`` computed, in the order to print. NaN where undefined."""

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
    results: Results, run: str, ks: Sequence[int] | None = None, confidence: float = 0.95, draws: int = 1000
) -> list[Summary]:
    """Summarize a run, one entry per benchmark.

    Args:
        results: The run's records.
        run: Its name in tables and plots.
        ks: Values of k; ``default_ks`` by default. Those above a benchmark's fewest scored completions are left out.
        confidence: Chance that an interval covers the truth.
        draws: Bootstrap draws.

    Raises:
        ValueError: If the file holds no completion, or a benchmark none that could be scored.
    """
    if not results.records:
        raise Refusal(f"{results.path} holds no completions yet.")
    return [
        _summarize(results, run, benchmark, problems, ks, confidence, draws)
        for benchmark, problems in results.groups().items()
    ]


def _summarize(
    results: Results,
    run: str,
    benchmark: str,
    problems: Mapping[str, Sequence[CompletionRecord]],
    ks: Sequence[int] | None,
    confidence: float,
    draws: int,
) -> Summary:
    counts = scored_counts(problems)
    if not counts:
        raise Refusal(f"{results.path}: not one completion of {benchmark} could be scored. Try `lit-passk rescore`.")
    sizes = [num_scored for _, num_scored in counts.values()]
    fewest = min(sizes)
    wanted = default_ks(fewest) if ks is None else sorted({k for k in ks if k <= fewest}) or [fewest]
    records = [record for group in problems.values() for record in group]
    metrics = MetricCollection([PassAtK(wanted, draws, confidence), *_others(records, wanted)], compute_groups=False)
    metrics.update(**metric_inputs(dict(enumerate(problems.values()))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of problems left out: the notes under the table name them
        values = {name: float(value) for name, value in metrics.compute().items()}
    return Summary(
        run=run,
        benchmark=benchmark,
        settings=results.settings,
        num_problems=len(problems),
        num_unscored=len(problems) - len(counts),
        num_samples=(fewest, max(sizes)),
        pass_at_k={k: (values[f"pass@{k}"], values[f"pass@{k}/low"], values[f"pass@{k}/high"]) for k in wanted},
        others={name: value for name, value in values.items() if not name.startswith("pass@")},
    )


def _others(records: Sequence[CompletionRecord], ks: list[int]) -> list[EvaluationMetric]:
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
