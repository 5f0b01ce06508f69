"""The numbers of an evaluation: what a result file says about each benchmark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.functional.answers import answer_diversity, normalize_answer
from lit_passk.functional.bootstrap import pass_at_k_interval
from lit_passk.functional.g_pass_at_k import mg_pass_at_k
from lit_passk.functional.majority import Votes, count_votes, maj_at_k
from lit_passk.functional.pass_at_k import max_at_k
from lit_passk.functional.pass_hat_k import pass_hat_k
from lit_passk.functional.solve_rate import coverage
from lit_passk.results import CompletionRecord, Results

Interval = tuple[float, float, float]
"""Value, lower and upper bound."""
_MOST_VOTERS = 64  # exact maj@k takes seconds a problem at k in the hundreds


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """One run on one benchmark. Problems without a completion that could be scored are counted, nothing else."""

    run: str
    benchmark: str
    settings: Mapping[str, Any]
    num_problems: int
    num_unjudged: int
    """Problems none of whose completions could be scored."""
    num_samples: tuple[int, int]
    """Fewest and most scored completions of a problem; pass@k goes up to the fewest."""
    pass_at_k: Mapping[int, Interval]
    others: Mapping[str, float]
    """Metric name to value, in the order to print: maj@n, pass^k, ..., shares, lengths. NaN where undefined."""

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
    parts = [path.absolute().with_suffix("").parts for path in paths]
    for depth in range(1, max(map(len, parts), default=1) + 1):
        labels = ["/".join(part[-depth:]) for part in parts]
        if len(set(labels)) == len(labels):
            break
    else:
        raise Refusal(f"A result file was given twice: {', '.join(map(str, paths))}.")
    repeated = {part[-1] for part in parts if sum(part[-1] == other[-1] for other in parts) > 1}
    return [label if part[-1] in repeated else part[-1] for label, part in zip(labels, parts, strict=True)]


def judged_counts(problems: Mapping[str, Sequence[CompletionRecord]]) -> dict[str, tuple[int, int]]:
    """Problem to (correct, scored) completions, of the problems with a scored completion."""
    counts = {}
    for problem_id, group in problems.items():
        verdicts = [record.correct for record in group if record.error is None]
        if verdicts:
            counts[problem_id] = sum(verdicts), len(verdicts)
    return counts


def summarize(
    results: Results, run: str, ks: Sequence[int] | None = None, confidence: float = 0.95, draws: int = 1000
) -> list[Summary]:
    """Summarize a run, one entry a benchmark.

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
    counts = judged_counts(problems)
    if not counts:
        raise Refusal(f"{results.path}: not one completion of {benchmark} could be scored. Try `lit-passk rescore`.")
    num_correct, num_samples = torch.tensor(list(counts.values())).T
    fewest, most = int(num_samples.min()), int(num_samples.max())
    wanted = default_ks(fewest) if ks is None else sorted({k for k in ks if k <= fewest}) or [fewest]
    intervals = pass_at_k_interval(num_correct, num_samples, wanted, confidence=confidence, draws=draws)
    groups = [[record for record in problems[problem_id] if record.error is None] for problem_id in counts]
    return Summary(
        run=run,
        benchmark=benchmark,
        settings=results.settings,
        num_problems=len(problems),
        num_unjudged=len(problems) - len(counts),
        num_samples=(fewest, most),
        pass_at_k=dict(zip(wanted, zip(*(bound.tolist() for bound in intervals), strict=True), strict=True)),
        others={
            **_votes(groups, wanted),
            **_steadiness(num_correct, num_samples, wanted),
            **_rewards(groups, wanted),
            **_completions([record for group in problems.values() for record in group]),
        },
    )


def _votes(groups: Sequence[Sequence[CompletionRecord]], ks: Sequence[int]) -> dict[str, float]:
    if all(record.answer is None for group in groups for record in group):
        return {}  # a benchmark whose completions are judged whole, such as programs
    ballots = [
        count_votes(
            [None if record.answer is None else normalize_answer(record.answer) for record in group],
            [record.correct for record in group],
        )
        for group in groups
    ]
    values = {f"maj@{k}": _mean(maj_at_k(votes, k) for votes in ballots) for k in ks if 1 < k <= _MOST_VOTERS}
    everyone = _mean(maj_at_k(votes, _num_votes(votes)) for votes in ballots)
    diversity = _mean(answer_diversity(votes.counts) for votes in ballots if sum(votes.counts) > 1)
    return {**values, "maj@n": everyone, "answer diversity": diversity}


def _num_votes(votes: Votes) -> int:
    return sum(votes.counts) + votes.num_silent


def _steadiness(num_correct: Tensor, num_samples: Tensor, ks: Sequence[int]) -> dict[str, float]:
    several = [k for k in ks if k > 1]
    return {
        **{f"pass^{k}": float(pass_hat_k(num_correct, num_samples, k).mean()) for k in several},
        **{f"mG-Pass@{k}": float(mg_pass_at_k(num_correct, num_samples, k).mean()) for k in several},
        "coverage@0.5": float(coverage(num_correct, num_samples, 0.5).mean()),
    }


def _rewards(groups: Sequence[Sequence[CompletionRecord]], ks: Sequence[int]) -> dict[str, float]:
    """max@k, only where rewards say more than the verdicts do."""
    if all(record.reward == record.correct for group in groups for record in group):
        return {}
    rewards = [torch.tensor([record.reward for record in group], dtype=torch.float64) for group in groups]
    return {f"max@{k}": _mean(float(max_at_k(group, k)) for group in rewards) for k in ks}


def _completions(records: Sequence[CompletionRecord]) -> dict[str, float]:
    tokens = sum(record.num_tokens for record in records if record.mean_logprob is not None)
    surprise = sum(-record.mean_logprob * record.num_tokens for record in records if record.mean_logprob is not None)
    return {
        "truncated": _mean(record.truncated for record in records),
        "unscorable": _mean(record.error is not None for record in records),
        "mean length": _mean(record.num_tokens for record in records),
        "entropy": surprise / tokens if tokens else math.nan,
    }


def _mean(values: Any) -> float:
    found = list(values)
    return sum(found) / len(found) if found else math.nan
