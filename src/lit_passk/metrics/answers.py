"""Metrics over the answers themselves: majority votes and diversity, exact over processes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from lit_passk.functional.answers import answer_diversity, distinct_at_k, normalize_answer
from lit_passk.functional.majority import Votes, count_votes, maj_at_k
from lit_passk.logged import Logged
from lit_passk.metrics.base import EvaluationMetric, check_ks

_NO_ANSWER = 0


LOGGED = (
    Logged(
        "val/<task>/maj@<k> val/<task>/maj@n",
        means="How often the most common answer of k, or of all, completions is correct (`MajorityAtK`).",
        healthy="Above pass@1.",
        otherwise="Below pass@1: one wrong answer is more common than the right ones. `VoteAtK` trains for it.",
    ),
    Logged(
        "val/<task>/answer_diversity val/<task>/distinct@<k>",
        means="Chance that two completions answer differently, and the number of different answers among k "
        "(`AnswerDiversity`).",
        healthy="Falls as the policy grows better.",
        otherwise="Falls while pass@k does not rise: the policy settles on wrong answers.",
    ),
)


class AnswerMetric(EvaluationMetric):
    """Keeps the answer of every scored completion and whether it is correct.

    Answers are kept as 64-bit hashes of their normalised text: two different answers of one problem share a hash with a
    chance below 1e-13 at 1,000 different answers. Updates of the same problem id, on any rank, are put together.
    """

    def __init__(self) -> None:
        super().__init__(columns=3)  # a row: problem id, hash of the answer, 1 if correct

    def update(
        self,
        answers: Sequence[Sequence[str | None]],
        correct: Tensor | Sequence[Tensor] | Sequence[Sequence[bool]],
        problem_ids: Tensor | Sequence[int],
    ) -> None:
        """Add completions.

        Args:
            answers: The answer extracted from each scored completion, None where there was none: P groups of n_p.
            correct: Whether each of them is correct: P groups of n_p, bool.
            problem_ids: Identity of each problem, P integers from 0.
        """
        rows = []
        for problem_id, given, credited in zip(self._ids(problem_ids, len(answers)), answers, correct, strict=True):
            if len(given) != len(credited):
                raise ValueError(
                    f"{type(self).__name__}.update needs `correct` for each answer, but problem {problem_id} has "
                    f"{len(given)} answers and {len(credited)} values of `correct`."
                )
            rows += [(problem_id, _hash(answer), bool(right)) for answer, right in zip(given, credited, strict=True)]
        self._append(torch.tensor(rows, dtype=torch.int64).reshape(-1, 3))

    def _votes(self) -> list[Votes]:
        """The votes of every problem, in an order that does not depend on ranks and updates."""
        rows = self._all_rows()
        rows = rows[rows[:, 0].argsort(stable=True)]
        sizes = rows[:, 0].unique_consecutive(return_counts=True)[1].tolist()  # (P,)
        votes = []
        for part in rows[:, 1:].split(sizes):
            group = sorted(map(tuple, part.tolist()))
            answers = [None if answer == _NO_ANSWER else answer for answer, _ in group]
            votes.append(count_votes(answers, [bool(correct) for _, correct in group]))
        return votes


class MajorityAtK(AnswerMetric):
    """maj@k: how often the most common answer of k completions is correct, averaged over problems.

    The exact mean over all subsets of size k; ties are broken by lot, completions without an answer do not vote.
    ``compute`` returns ``maj@k`` for each k, and ``maj@n``, where all of a problem's completions vote, float64 scalars.

    Args:
        ks: Numbers of completions that vote; none computes ``maj@n`` alone.

    Example:
        >>> metric = MajorityAtK(ks=[1, 4])
        >>> metric.update([["1/2", "0.5", "7", None]], [[True, True, False, False]], problem_ids=[0])
        >>> {name: round(float(value), 4) for name, value in metric.compute().items()}
        {'maj@1': 0.5, 'maj@4': 1.0, 'maj@n': 1.0}

    """

    def __init__(self, ks: Sequence[int] = (1, 2, 4, 8)) -> None:
        super().__init__()
        self.ks = check_ks(ks, type(self).__name__) if ks else []

    def compute(self) -> dict[str, Tensor]:
        """``maj@k`` of each k, and ``maj@n``."""
        votes = self._votes()
        results = {f"maj@{k}": self._mean(maj_at_k(v, k) for v in votes if v.num_completions >= k) for k in self.ks}
        return {**results, "maj@n": self._mean(maj_at_k(v, v.num_completions) for v in votes)}


class AnswerDiversity(AnswerMetric):
    """How different the answers to one problem are, averaged over problems.

    ``compute`` returns ``answer_diversity``, the chance that two completions differ in their answer, and
    ``distinct@k``, the expected number of different answers among k, float64 scalars. Completions without an answer
    are left out; problems with fewer answers than a number needs are left out of it (NaN if none has enough).

    Args:
        ks: Numbers of completions to count different answers among; none computes ``answer_diversity`` alone.

    Example:
        >>> metric = AnswerDiversity(ks=[2])
        >>> metric.update([["1", "1", "2", None]], [[True, True, False, False]], problem_ids=[0])
        >>> {name: round(float(value), 4) for name, value in metric.compute().items()}
        {'answer_diversity': 0.6667, 'distinct@2': 1.6667}

    """

    higher_is_better = None

    def __init__(self, ks: Sequence[int] = (8,)) -> None:
        super().__init__()
        self.ks = check_ks(ks, type(self).__name__) if ks else []

    def compute(self) -> dict[str, Tensor]:
        """``answer_diversity`` and ``distinct@k`` of each k."""
        counts = [votes.counts for votes in self._votes()]
        results = {"answer_diversity": self._mean(answer_diversity(c) for c in counts if sum(c) >= 2)}
        for k in self.ks:
            results[f"distinct@{k}"] = self._mean(distinct_at_k(c, k) for c in counts if sum(c) >= k)
        return results


def _hash(answer: str | None) -> int:
    if answer is None:
        return _NO_ANSWER
    digest = hashlib.blake2b(normalize_answer(answer).encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True) or 1
