"""Metrics over the answers themselves: majority votes and diversity, exact over processes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lit_passk.functional.answers import answer_diversity, distinct_at_k, normalize_answer
from lit_passk.functional.majority import Votes, count_votes, maj_at_k
from lit_passk.metrics.rows import RowMetric, check_ks

_SILENT = 0


class AnswerMetric(RowMetric):
    """Keeps problem, answer and verdict of every completion; answers as 64-bit hashes of their normalised text.

    Updates of the same problem id, on any rank, are put together. Two different answers of one problem share a hash
    with a chance below 1e-13 at 1,000 different answers.

    Args:
        kwargs: Options of ``torchmetrics.Metric``.
    """

    def __init__(self, **kwargs: Any) -> None:
        # A row: problem id, hash of the answer, 1 if correct.
        super().__init__(columns=3, **kwargs)

    def update(
        self,
        answers: Sequence[Sequence[str | None]],
        correct: Tensor | Sequence[Sequence[bool]],
        problem_ids: Tensor | Sequence[int],
    ) -> None:
        """Add completions.

        Args:
            answers: The answer extracted from each completion, None where there was none: P groups of n_p.
            correct: The verifier's word on each completion: P groups of n_p, bool. Leave out those it could not judge.
            problem_ids: Identity of each problem, P integers from 0.
        """
        rows = []
        for problem_id, given, verdicts in zip(self._ids(problem_ids, len(answers)), answers, correct, strict=True):
            if len(given) != len(verdicts):
                raise ValueError(
                    f"{type(self).__name__}.update needs a verdict for each answer, but problem {problem_id} has "
                    f"{len(given)} answers and {len(verdicts)} verdicts."
                )
            rows += [
                (problem_id, _hash(answer), bool(verdict)) for answer, verdict in zip(given, verdicts, strict=True)
            ]
        self._append(torch.tensor(rows, dtype=torch.int64).reshape(-1, 3))

    def _votes(self, k: int) -> list[Votes]:
        """The votes of every problem, each with at least ``k`` completions, in an order of their own."""
        rows = self._all_rows()
        ids, sizes = rows[:, 0].unique(return_counts=True)
        self._check_samples(ids, sizes, k)
        votes = []
        for problem_id in ids.tolist():
            group = sorted(map(tuple, rows[rows[:, 0] == problem_id][:, 1:].tolist()))
            answers = [None if answer == _SILENT else answer for answer, _ in group]
            votes.append(count_votes(answers, [bool(verdict) for _, verdict in group]))
        return votes


class MajorityAtK(AnswerMetric):
    """maj@k: how often the most common answer of k completions is correct, averaged over problems.

    The exact mean over all subsets of size k; ties are broken by lot, completions without an answer do not vote.
    ``compute`` returns ``maj@k`` for each k, float64 scalars.

    Args:
        ks: Numbers of completions that vote.
        kwargs: Options of ``torchmetrics.Metric``.

    Example:
        >>> metric = MajorityAtK(ks=[1, 4])
        >>> metric.update([["1/2", "0.5", "7", None]], [[True, True, False, False]], problem_ids=[0])
        >>> {name: float(value) for name, value in metric.compute().items()}
        {'maj@1': 0.5, 'maj@4': 1.0}

    """

    def __init__(self, ks: Sequence[int] = (1, 2, 4, 8), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ks = check_ks(ks, type(self).__name__)

    def compute(self) -> dict[str, Tensor]:
        """``maj@k`` of each k."""
        votes = self._votes(self.ks[-1])
        return {f"maj@{k}": self._mean(maj_at_k(one, k) for one in votes) for k in self.ks}


class AnswerDiversity(AnswerMetric):
    """How different the answers to one problem are, averaged over problems.

    ``compute`` returns ``answer_diversity``, the chance that two completions differ in their answer, and
    ``distinct@k``, the expected number of different answers among k, float64 scalars. Completions without an answer
    are left out; problems with fewer answers than a number needs are left out of it (NaN if none has enough).

    Args:
        ks: Numbers of completions to count different answers among.
        kwargs: Options of ``torchmetrics.Metric``.

    Example:
        >>> metric = AnswerDiversity(ks=[2])
        >>> metric.update([["1", "1", "2", None]], [[True, True, False, False]], problem_ids=[0])
        >>> {name: round(float(value), 4) for name, value in metric.compute().items()}
        {'answer_diversity': 0.6667, 'distinct@2': 1.6667}

    """

    higher_is_better = None

    def __init__(self, ks: Sequence[int] = (8,), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ks = check_ks(ks, type(self).__name__)

    def compute(self) -> dict[str, Tensor]:
        """``answer_diversity`` and ``distinct@k`` of each k."""
        counts = [votes.counts for votes in self._votes(1)]
        results = {"answer_diversity": self._over(answer_diversity(one) for one in counts if sum(one) >= 2)}
        for k in self.ks:
            results[f"distinct@{k}"] = self._over(distinct_at_k(one, k) for one in counts if sum(one) >= k)
        return results

    def _over(self, values: Any) -> Tensor:
        found = list(values)
        return self._mean(found) if found else self._scalar(float("nan"))


def _hash(answer: str | None) -> int:
    if answer is None:
        return _SILENT
    digest = hashlib.blake2b(normalize_answer(answer).encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True) or 1
