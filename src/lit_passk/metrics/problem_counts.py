"""What metrics over correct and wrong completions share: three integers per problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lit_passk.metrics.base import EvaluationMetric, check_ks


class ProblemCounts(NamedTuple):
    """What was sampled for each problem, ordered by problem id."""

    num_correct: Tensor
    """Shape ``(P,)``, int64."""
    num_samples: Tensor
    """Scored completions, shape ``(P,)``, int64."""

    def at_least(self, k: int) -> ProblemCounts:
        """The problems with at least ``k`` scored completions."""
        enough = self.num_samples >= k  # (P,)
        return ProblemCounts(self.num_correct[enough], self.num_samples[enough])


class ProblemCountMetric(EvaluationMetric):
    """Counts the correct and the scored completions of each problem.

    Updates of the same problem id, on any rank, are added up; the result does not depend on how problems are shared
    out over ranks and updates.

    Args:
        ks: Numbers of attempts.
        least_k: The smallest k there is.
    """

    def __init__(self, ks: Sequence[int], least_k: int = 1) -> None:
        super().__init__(columns=3)  # a row: problem id or -1, correct completions, scored completions
        self.ks = check_ks(ks, type(self).__name__, least_k)

    def update(self, correct: Tensor | Sequence[Tensor], problem_ids: Tensor | Sequence[int] | None = None) -> None:
        """Add completions.

        Args:
            correct: Whether each scored completion is correct: shape ``(P, n)``, bool, or P tensors of shape
                ``(n_p,)``, bool.
            problem_ids: Identity of each problem, P integers from 0; None makes each row a problem of its own.
        """
        groups = [correct] if isinstance(correct, Tensor) else [row[None] for row in correct]
        for group in groups:
            if group.ndim != 2 or group.dtype != torch.bool:
                shape = tuple(group.shape if isinstance(correct, Tensor) else group.shape[1:])
                raise ValueError(
                    f"{type(self).__name__}.update needs `correct` of shape (P, n), bool, or a list of 1-D bool "
                    f"tensors, but got a tensor of shape {shape} and dtype {group.dtype}."
                )
        num_correct = [count for group in groups for count in group.sum(dim=1).tolist()]
        num_samples = [group.shape[1] for group in groups for _ in range(len(group))]
        ids = [-1] * len(num_samples) if problem_ids is None else self._ids(problem_ids, len(num_samples))
        self._append(torch.tensor([ids, num_correct, num_samples], dtype=torch.int64).T)  # (P, 3)

    def _counts(self) -> ProblemCounts:
        """Add up the rows of one problem, in an order that does not depend on ranks and updates."""
        rows = self._all_rows()
        named, nameless = rows[rows[:, 0] >= 0], rows[rows[:, 0] < 0]
        ids, position = named[:, 0].unique(return_inverse=True)
        merged = torch.zeros(len(ids), 2, dtype=torch.int64).index_add(0, position, named[:, 1:])
        # Nameless problems that have equal counts are interchangeable, so sorted counts are an order of their own.
        kinds, repeats = nameless[:, 1:].unique(dim=0, return_counts=True)
        return ProblemCounts(*torch.cat([kinds.repeat_interleave(repeats, dim=0), merged]).T)
