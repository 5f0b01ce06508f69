"""What metrics over right and wrong completions share: three integers a problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lit_passk.metrics.rows import RowMetric, check_ks


class ProblemCounts(NamedTuple):
    """What was sampled for each problem, ordered by problem id; the material of a paired comparison."""

    problem_ids: Tensor
    """Shape ``(P,)``, int64; -1 for problems that were given without an id."""
    num_correct: Tensor
    """Shape ``(P,)``, int64."""
    num_samples: Tensor
    """Shape ``(P,)``, int64."""


class ProblemCountMetric(RowMetric):
    """Counts the right answers and the completions of each problem.

    Updates of the same problem id, on any rank, are added up; the result does not depend on how problems are shared
    out over ranks and updates.

    Args:
        ks: Numbers of attempts; every problem needs as many completions.
        least_k: The smallest k there is.
        kwargs: Options of ``torchmetrics.Metric``.
    """

    def __init__(self, ks: Sequence[int], least_k: int = 1, **kwargs: Any) -> None:
        # A row: problem id or -1, right answers, completions.
        super().__init__(columns=3, **kwargs)
        self.ks = check_ks(ks, type(self).__name__, least_k)

    def update(self, correct: Tensor | Sequence[Tensor], problem_ids: Tensor | Sequence[int] | None = None) -> None:
        """Add completions.

        Args:
            correct: The verifier's word: shape ``(P, n)``, bool, or P tensors of shape ``(n_p,)``, bool.
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
        self._append(torch.tensor([ids, num_correct, num_samples], dtype=torch.int64).T)

    def counts(self) -> ProblemCounts:
        """Counts of every problem on every rank, on the CPU; a collective when several processes run."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync):
            return self._merged()

    def _merged(self) -> ProblemCounts:
        """Add up the rows of one problem, in an order that does not depend on ranks and updates."""
        rows = self._all_rows()
        named, nameless = rows[rows[:, 0] >= 0], rows[rows[:, 0] < 0]
        ids, position = named[:, 0].unique(return_inverse=True)
        merged = torch.zeros(len(ids), 2, dtype=torch.int64).index_add(0, position, named[:, 1:])
        # Nameless problems that have equal counts are interchangeable, so sorted counts are an order of their own.
        kinds, repeats = nameless[:, 1:].unique(dim=0, return_counts=True)
        kinds = kinds.repeat_interleave(repeats, dim=0)
        num_correct, num_samples = torch.cat([kinds, merged]).T
        return ProblemCounts(torch.cat([torch.full((len(kinds),), -1), ids]), num_correct, num_samples)

    def _checked(self) -> ProblemCounts:
        """The counts, of at least one problem, each with enough completions for every k."""
        counts = self._merged()
        self._check_samples(counts.problem_ids, counts.num_samples, self.ks[-1])
        return counts
