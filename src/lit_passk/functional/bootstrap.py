"""Confidence intervals of pass@k by a two-level bootstrap: problems, then the samples of each problem.

Drawing n samples of a problem again, with replacement, draws its number of correct ones from Binomial(n, c / n): no
sample needs to be kept. Both levels matter with few problems (30 of AIME) and few samples.

Resampled problems have the success probability c / n, so their pass@k is centred on 1 - (1 - c / n)^k, not on the
estimate at hand (c = 1 of n = 8 at k = 8: .656 instead of 1). The intervals are therefore quantiles of the deviation
from that centre, added to the estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from lit_passk.functional.pass_at_k import check_counts, pass_at_k, pass_at_k_table

_CHUNK = 1 << 19  # numbers drawn at once: keeps a chunk in cache, and memory small for any number of problems


Counts: TypeAlias = tuple[Tensor, int | Tensor]
"""Correct completions of each problem of a benchmark, shape ``(P,)`` or, of S seeds, ``(S, P)``; and all of them."""


def pass_at_k_interval(
    num_correct: Tensor,
    num_samples: int | Tensor,
    ks: Sequence[int],
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean pass@k over problems, with a confidence interval.

    With several seeds pass@k is the mean over them, and the interval is for these very seeds: each draw takes the same
    problems for all. How far seeds lie apart is another question, which their standard deviation answers.

    Args:
        num_correct: Correct completions of each problem, shape ``(P,)``, or ``(S, P)`` of S seeds, integer.
        num_samples: Completions of each problem: one number, or of the same shape.
        ks: K numbers of attempts.
        draws: Bootstrap draws.
        confidence: Chance that the interval covers the truth, in (0, 1).
        seed: The same seed and counts, in any order, give the same interval.

    Returns:
        Estimate, lower and upper bound, each ``(K,)``, float64 in ``[0, 1]``.

    Raises:
        ValueError: If there is no problem, or one has fewer than ``max(ks)`` completions.

    Example:
        >>> estimate, low, high = pass_at_k_interval(torch.tensor([0, 2, 8, 2]), num_samples=8, ks=[1, 4])
        >>> estimate
        tensor([0.3750, 0.6429], dtype=torch.float64)
        >>> bool((low < estimate).all() and (estimate < high).all())
        True

    """
    return mean_pass_at_k_interval([(num_correct, num_samples)], ks, draws, confidence, seed)


def mean_pass_at_k_interval(
    benchmarks: Sequence[Counts], ks: Sequence[int], draws: int = 1000, confidence: float = 0.95, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Unweighted mean of several benchmarks' pass@k, with a confidence interval: each draws its problems by itself.

    Args:
        benchmarks: Counts of each, see ``pass_at_k_interval``.
        ks: K numbers of attempts.
        draws: Bootstrap draws.
        confidence: Chance that the interval covers the truth, in (0, 1).
        seed: The same seed and counts give the same interval.

    Returns:
        Estimate, lower and upper bound, each ``(K,)``, float64 in ``[0, 1]``.

    Example:
        >>> easy, hard = (torch.tensor([8, 8]), 8), (torch.tensor([0, 0, 0, 0]), 8)
        >>> mean_pass_at_k_interval([easy, hard], ks=[1])[0]
        tensor([0.5000], dtype=torch.float64)

    """
    check_draws(draws, confidence)
    rng = np.random.default_rng(seed)
    means, spreads = [], []
    for num_correct, num_samples in benchmarks:
        counts = _Counts(num_correct, num_samples, ks).ordered(ks)
        chunks = [counts.deviations(picks, rng) for picks in _pick(len(counts), draws, rng)]
        spreads.append(np.concatenate(chunks, axis=1))  # (K, draws)
        means.append(counts.estimates(ks))
    estimate = torch.stack(means).mean(dim=0)
    deviations = np.mean(spreads, axis=0)
    low, high = torch.from_numpy(np.quantile(deviations, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1))
    return estimate, (estimate + low).clamp(0, 1), (estimate + high).clamp(0, 1)


def paired_difference(
    num_correct_a: Tensor,
    num_correct_b: Tensor,
    num_samples_a: int | Tensor,
    num_samples_b: int | Tensor,
    k: int,
    draws: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """How much higher the mean pass@k of ``a`` is than that of ``b`` over the same problems, with an interval.

    Paired: each bootstrap draw takes the same problems for both, so that what makes a problem hard for both cancels.

    Args:
        num_correct_a: Correct completions of ``a`` for each problem, shape ``(P,)``, or ``(S, P)`` of S seeds, integer.
        num_correct_b: Those of ``b`` for the same problems in the same order; it may have another number of seeds.
        num_samples_a: Completions of ``a``: one number, or of the shape of ``num_correct_a``.
        num_samples_b: Completions of ``b``: one number, or of the shape of ``num_correct_b``.
        k: Attempts.
        draws: Bootstrap draws.
        confidence: Chance that the interval covers the truth, in (0, 1).
        seed: The same seed and counts give the same interval.

    Returns:
        Difference a - b, lower and upper bound. An interval without 0 says that the two differ.

    Raises:
        ValueError: If the numbers of problems differ or are 0, or a problem has fewer than ``k`` completions.

    Example:
        >>> better, worse = torch.tensor([6, 3, 7, 8, 2]), torch.tensor([2, 1, 4, 5, 0])
        >>> difference, low, high = paired_difference(better, worse, 8, 8, k=1)
        >>> round(difference, 4), low > 0
        (0.35, True)

    """
    pair = (num_correct_a, num_samples_a), (num_correct_b, num_samples_b)
    return mean_paired_difference([pair], k, draws, confidence, seed)


def mean_paired_difference(
    benchmarks: Sequence[tuple[Counts, Counts]],
    k: int,
    draws: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """How much higher the unweighted mean of several benchmarks' pass@k is for ``a`` than for ``b``, with an interval.

    Args:
        benchmarks: Counts of ``a`` and of ``b`` for each, see ``paired_difference``.
        k: Attempts.
        draws: Bootstrap draws.
        confidence: Chance that the interval covers the truth, in (0, 1).
        seed: The same seed and counts give the same interval.

    Returns:
        Difference a - b, lower and upper bound.
    """
    check_draws(draws, confidence)
    rng = np.random.default_rng(seed)
    values, spreads = [], []
    for counts_a, counts_b in benchmarks:
        a, b = _Counts(*counts_a, [k]), _Counts(*counts_b, [k])
        if len(a) != len(b):
            raise ValueError(
                f"A paired difference needs the same problems twice, but got {len(a)} and {len(b)} of them."
            )
        chunks = [a.deviations(picks, rng)[0] - b.deviations(picks, rng)[0] for picks in _pick(len(a), draws, rng)]
        spreads.append(np.concatenate(chunks))  # (draws,)
        values.append(float(a.estimates([k]) - b.estimates([k])))
    difference = float(np.mean(values))
    low, high = np.quantile(np.mean(spreads, axis=0), [(1 - confidence) / 2, (1 + confidence) / 2])
    return difference, max(difference + float(low), -1.0), min(difference + float(high), 1.0)


class _Counts:
    """The counts of P problems by S seeds, ready to be resampled."""

    def __init__(self, num_correct: Tensor, num_samples: int | Tensor, ks: Sequence[int]) -> None:
        num_correct, num_samples = check_counts(num_correct, num_samples, ks)
        if num_correct.ndim not in (1, 2) or num_correct.numel() == 0:
            raise ValueError(
                f"pass@k needs counts of shape (P,) or (S, P) for at least one problem, but got {num_correct.shape}."
            )
        self.num_correct, self.num_samples = map(torch.atleast_2d, (num_correct, num_samples))  # (S, P)
        self._n = self.num_samples.cpu().numpy()
        self._rate = self.num_correct.cpu().numpy() / self._n
        # pass@k for all counts of all numbers of samples in one row per k; entry start[s, p] + c: c correct there.
        sizes, position = np.unique(self._n, return_inverse=True)
        self._start = np.concatenate([[0], np.cumsum(sizes + 1)])[position].reshape(self._n.shape)
        self._tables = [torch.cat([pass_at_k_table(n, k) for n in sizes.tolist()]).numpy() for k in ks]
        self._centres = [float((1 - (1 - self._rate) ** k).mean()) for k in ks]

    def __len__(self) -> int:
        return self.num_correct.shape[1]

    def ordered(self, ks: Sequence[int]) -> _Counts:
        """The same problems in an order that is of the counts alone: draws pick problems by their position."""
        order = torch.from_numpy(np.lexsort((*self.num_correct.cpu().numpy(), *self._n)))  # (P,)
        return _Counts(self.num_correct[:, order], self.num_samples[:, order], ks)

    def estimates(self, ks: Sequence[int]) -> Tensor:
        """Mean pass@k over seeds and problems, shape ``(K,)``, float64."""
        return torch.stack([pass_at_k(self.num_correct, self.num_samples, k).mean() for k in ks])

    def deviations(self, picks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Mean pass@k of each draw's problems with newly drawn samples, minus its centre; shape ``(K, draws)``."""
        means = np.zeros((len(self._tables), len(picks)))  # (K, draws)
        for n, rate, start in zip(self._n, self._rate, self._start, strict=True):
            entries = start[picks] + rng.binomial(n[picks], rate[picks])  # (draws, P)
            means += [table[entries].mean(axis=1) for table in self._tables]
        return means / len(self._n) - np.array(self._centres)[:, None]


def _pick(num_problems: int, draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draw problems with replacement: chunks of shape ``(draws of the chunk, P)``."""
    rows = max(1, _CHUNK // num_problems)
    for start in range(0, draws, rows):
        yield rng.integers(num_problems, size=(min(rows, draws - start), num_problems))


def check_draws(draws: int, confidence: float) -> None:
    """Raise a ValueError unless there is a draw and the confidence lies between 0 and 1."""
    if draws < 1:
        raise ValueError(f"A bootstrap needs at least 1 draw, but got draws = {draws}.")
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be between 0 and 1, but got {confidence}.")
