"""maj@k: how often the most common answer of k completions is the right one, exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Votes(NamedTuple):
    """How the n completions of one problem voted."""

    counts: tuple[int, ...]
    """Completions that gave each different answer, positive."""
    credit: tuple[float, ...]
    """Share of those completions that are correct; between 0 and 1 only where one spelling got two verdicts."""
    num_silent: int = 0
    """Completions without an answer. They are drawn like any other but vote for nothing."""


def count_votes(answers: Sequence[Hashable | None], correct: Sequence[bool]) -> Votes:
    """Count how often each answer of one problem was given, and how often it was right.

    Args:
        answers: One normalised answer a completion, None where there was none.
        correct: The verifier's word on each completion.

    Example:
        >>> count_votes(["1/2", "7", None, "1/2"], [True, False, False, True])
        Votes(counts=(2, 1), credit=(1.0, 0.0), num_silent=1)

    """
    verdicts = defaultdict(list)
    for answer, verdict in zip(answers, correct, strict=True):
        verdicts[answer].append(bool(verdict))
    silent = verdicts.pop(None, [])
    return Votes(
        tuple(len(given) for given in verdicts.values()),
        tuple(sum(given) / len(given) for given in verdicts.values()),
        len(silent),
    )


def maj_at_k(votes: Votes, k: int) -> float:
    """Chance that the majority of ``k`` completions, drawn without replacement, is correct.

    The mean over all C(n, k) subsets, computed exactly rather than by drawing some. **Ties** are broken by lot among
    the tied answers; "the first one seen wins" has the same mean, as all orders are equally likely. A subset without
    any answer counts as wrong.

    An answer with m votes wins with t of them if no other has more than t. With p = k / n, the number of votes of each
    answer in the subset is a binomial variable conditioned on their sum being k; the generating function of the
    others, cut at t, gives the chance, and a factor u on their t-th term, integrated over u from 0 to 1, gives each
    tie of j others its share 1 / (j + 1). Gauss-Legendre quadrature is exact here: the integrand is a polynomial.

    Args:
        votes: What ``count_votes`` returns.
        k: Completions that vote, at most n.

    Returns:
        A number in ``[0, 1]``.

    Raises:
        ValueError: For ``k < 1`` or ``k > n``.

    Example:
        >>> maj_at_k(Votes(counts=(2, 1, 1), credit=(1.0, 0.0, 0.0)), k=1)
        0.5
        >>> round(maj_at_k(Votes(counts=(2, 1, 1), credit=(1.0, 0.0, 0.0)), k=3), 12)  # 2 of 4 subsets have the pair
        0.666666666667

    """
    num_samples = sum(votes.counts) + votes.num_silent
    if not 1 <= k <= num_samples:
        raise ValueError(f"maj@k needs 1 <= k <= n, but got k={k} and n={num_samples} completions.")
    if k == num_samples:
        best = max(votes.counts, default=0)
        winners = [credit for count, credit in zip(votes.counts, votes.credit, strict=True) if count == best]
        return sum(winners) / len(winners) if winners else 0.0
    share = k / num_samples
    pmfs = {count: _binomial(count, share, k) for count in {*votes.counts, votes.num_silent}}
    subset = _binomial(num_samples, share, k)[k]
    total = 0.0
    for answer, (count, credit) in enumerate(zip(votes.counts, votes.credit, strict=True)):
        if credit > 0:
            others = [pmfs[other] for index, other in enumerate(votes.counts) if index != answer]
            total += credit * _win(pmfs[count], others, pmfs[votes.num_silent], k) / subset
    return min(float(total), 1.0)


def _win(own: NDArray, others: list[NDArray], silent: NDArray, k: int) -> float:
    """Joint chance that an answer wins and that the subset has ``k`` members."""
    top, tie, weight = _rows(k, min(len(own) - 1, k))
    ways = np.zeros((len(top), k + 1))
    ways[:, : len(silent)] = silent
    for other in others:
        step = np.zeros_like(ways)
        for j, chance in enumerate(other):
            allowed = np.where(j < top, 1.0, np.where(j == top, tie, 0.0))
            step[:, j:] += (allowed * chance)[:, None] * ways[:, : k + 1 - j]
        ways = step
    return float((weight * own[top] * ways[np.arange(len(top)), k - top]).sum())


@lru_cache(maxsize=256)
def _rows(k: int, most: int) -> tuple[NDArray, NDArray, NDArray]:
    """Winning count, tie variable u and quadrature weight of every term: counts 1 to ``most``, their nodes each."""
    rows: list[tuple[int, float, float]] = []
    for top in range(1, most + 1):
        # At most k / top - 1 others can tie; q nodes are exact up to degree 2q - 1.
        nodes, weights = np.polynomial.legendre.leggauss((k // top - 1) // 2 + 1)
        rows += [(top, (node + 1) / 2, weight / 2) for node, weight in zip(nodes, weights, strict=True)]
    tops, ties, scales = zip(*rows, strict=True)
    return np.array(tops), np.array(ties), np.array(scales)


def _binomial(count: int, share: float, k: int) -> NDArray:
    """Chances of 0 .. min(count, k) successes in ``count`` trials."""
    j = np.arange(1, min(count, k) + 1)
    log_ratio = np.log((count - j + 1) / j) + np.log(share / (1 - share))
    return np.exp(np.concatenate([[0.0], np.cumsum(log_ratio)]) + count * np.log1p(-share))
