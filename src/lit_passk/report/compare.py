"""Two runs on the same problems: how much better is the second, and is it more than luck?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from lit_passk.errors import Refusal
from lit_passk.functional.bootstrap import paired_difference
from lit_passk.report.summary import default_ks, scored_counts
from lit_passk.results import Results


class Difference(NamedTuple):
    """pass@k of the second run minus that of the first."""

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
    """Two runs on one benchmark."""

    benchmark: str
    num_problems: int
    """Problems that both runs have scored completions of: those compared."""
    num_left_out: int
    """Problems that only one run has."""
    differences: tuple[Difference, ...]


def compare(
    first: Results, second: Results, ks: Sequence[int] | None = None, confidence: float = 0.95, draws: int = 10_000
) -> list[Comparison]:
    """Compare two runs by a paired bootstrap: each draw takes the same problems for both.

    Args:
        first: The baseline.
        second: What is compared with it.
        ks: Values of k; powers of two up to the fewest completions of any problem in both by default.
        confidence: Chance that an interval covers the true difference.
        draws: Bootstrap draws.

    Raises:
        ValueError: If the runs share no benchmark or no problem of one, or asked other questions under the same ids.
    """
    left, right = first.groups(), second.groups()
    shared = [benchmark for benchmark in left if benchmark in right]
    if not shared:
        raise Refusal(
            f"{first.path} and {second.path} share no benchmark: {', '.join(left)} against {', '.join(right)}."
        )
    return [_compare(first, second, benchmark, ks, confidence, draws) for benchmark in shared]


def _compare(
    first: Results, second: Results, benchmark: str, ks: Sequence[int] | None, confidence: float, draws: int
) -> Comparison:
    left, right = first.groups()[benchmark], second.groups()[benchmark]
    counts_a, counts_b = scored_counts(left), scored_counts(right)
    problems = [problem for problem in counts_a if problem in counts_b]
    if not problems:
        raise Refusal(f"{first.path} and {second.path} share no scored problem of {benchmark}.")
    for problem in problems:
        if left[problem][0].reference != right[problem][0].reference:
            raise Refusal(
                f"Problem {problem!r} of {benchmark} has another reference answer in {second.path} than in "
                f"{first.path}: they are of different data. Bring both to one answer key with `lit-passk rescore`."
            )
    correct_a, samples_a = torch.tensor([counts_a[problem] for problem in problems]).T
    correct_b, samples_b = torch.tensor([counts_b[problem] for problem in problems]).T
    fewest = int(torch.minimum(samples_a, samples_b).min())
    wanted = default_ks(fewest) if ks is None else sorted({k for k in ks if k <= fewest}) or [fewest]
    return Comparison(
        benchmark=benchmark,
        num_problems=len(problems),
        num_left_out=len(left.keys() | right.keys()) - len(problems),
        differences=tuple(
            Difference(k, *paired_difference(correct_b, correct_a, samples_b, samples_a, k, draws, confidence))
            for k in wanted
        ),
    )
