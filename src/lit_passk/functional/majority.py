"""maj@k: how often the most common answer of k completions is correct, exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Votes(NamedTuple):
    """How the n completions of one problem voted."""

    counts: tuple[int, ...]
    """Completions that gave each different answer, positive."""
    credit: tuple[float, ...]
    """Share of those completions that are correct; between 0 and 1 only where equal answers were scored differently."""
    num_silent: int = 0
    """Completions without an answer. They are drawn like any other but vote for nothing."""

    @property
    def num_completions(self) -> int:
        """How many completions there are, n."""
        return sum(self.counts) + self.num_silent


def count_votes(answers: Sequence[Hashable | None], correct: Sequence[bool]) -> Votes:
    """Count how often each answer of one problem was given, and which share of those is correct.

    Args:
        answers: One normalised answer per completion, None where there was none.
        correct: Whether each completion is correct.

    Example:
        >>> count_votes(["1/2", "7", None, "1/2"], [True, False, False, True])  # exact: 2 of 2, 0 of 1
        Votes(counts=(2, 1), credit=(1.0, 0.0), num_silent=1)

    """
    given = defaultdict(list)
    for answer, is_correct in zip(answers, correct, strict=True):
        given[answer].append(bool(is_correct))
    silent = given.pop(None, [])
    return Votes(
        tuple(len(same) for same in given.values()),
        tuple(sum(same) / len(same) for same in given.values()),
        len(silent),
    )


def maj_at_k(votes: Votes, k: int) -> float:
    """Chance that the majority of ``k`` completions, drawn without replacement, is correct.

    The mean over all C(n, k) subsets, counted rather than drawn. **Ties** are broken by lot among the tied answers;
    "the first one seen wins" has the same mean, as all orders are equally likely. A subset without any answer counts as
    wrong.

    Counted by the votes of the winner: for each number of votes it may have, the answers are added one by one to the
    subsets in which none has more, kept apart by their size and by how many answers tie for the lead.

    Args:
        votes: What ``count_votes`` returns.
        k: Completions that vote, at most n.

    Returns:
        A number in ``[0, 1]``, off by rounding alone.

    Raises:
        ValueError: For ``k < 1`` or ``k > n``.

    Example:
        >>> round(maj_at_k(Votes(counts=(2, 1, 1), credit=(1.0, 0.0, 0.0)), k=1), 6)
        0.5
        >>> round(maj_at_k(Votes(counts=(2, 1, 1), credit=(1.0, 0.0, 0.0)), k=3), 6)  # 2 of 4 subsets have the pair
        0.666667

    """
    num_samples = votes.num_completions
    if not 1 <= k <= num_samples:
        raise ValueError(f"maj@k needs 1 <= k <= n, but got k={k} and n={num_samples} completions.")
    if k == num_samples:  # one subset: the count below would say the same, in more time
        best = max(votes.counts, default=0)
        leading = [credit for count, credit in zip(votes.counts, votes.credit, strict=True) if count == best]
        return sum(leading) / len(leading) if leading else 0.0
    # Numbers of ways, C(count, v), would overflow. Binomial chances, for any share, are such numbers up to one common
    # factor once the subset's size is k; this share keeps them from underflowing too.
    share = k / (num_samples + 1)
    pmfs = {count: _binomial(count, share, k) for count in {*votes.counts, votes.num_silent}}
    return min(_winning(votes, k, pmfs) / float(_binomial(num_samples, share, k)[k]), 1.0)


def _winning(votes: Votes, k: int, pmfs: dict[int, NDArray]) -> float:
    """Joint chance that the subset has ``k`` completions and that its winner is correct."""
    # A row for each number of votes that the winner may have, `top`, and each number j of answers that have as many:
    # those of one top side by side from first[top] on, j = 0 .. k // top.
    most = min(max(votes.counts, default=0), k)
    first = np.cumsum([0, 0, *(k // top + 1 for top in range(1, most + 1))])
    # chance[0, row, s]: s completions in all, and no answer has more votes than the winner.
    # chance[1, row, s]: the same, times the summed credit of the j answers.
    chance = np.zeros((2, first[-1], k + 1))
    chance[0, first[1:-1], : len(pmfs[votes.num_silent])] = pmfs[votes.num_silent]
    for count, credit in zip(votes.counts, votes.credit, strict=True):
        added = np.zeros_like(chance)
        for given, p in enumerate(pmfs[count]):
            before = p * chance[:, :, : k + 1 - given]
            more = first[given + 1]  # from here on the winner has more votes than this answer
            added[:, more:, given:] += before[:, more:]
            if given > 0:  # it is one more of the answers with as many votes as the winner
                tied = before[:, first[given] : more - 1]
                added[:, first[given] + 1 : more, given:] += tied
                added[1, first[given] + 1 : more, given:] += credit * tied[0]
        chance = added
    ties = np.array([j for top in range(1, most + 1) for j in range(k // top + 1)], dtype=np.int64)
    return float((chance[1, ties > 0, k] / ties[ties > 0]).sum())


def _binomial(count: int, share: float, k: int) -> NDArray:
    """Chances of 0 .. min(count, k) successes in ``count`` trials."""
    j = np.arange(1, min(count, k) + 1)
    log_ratio = np.log((count - j + 1) / j) + np.log(share / (1 - share))
    return np.exp(np.concatenate([[0.0], np.cumsum(log_ratio)]) + count * np.log1p(-share))
