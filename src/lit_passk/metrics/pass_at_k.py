"""pass@k over a benchmark, exact over processes, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat
from torchmetrics.utilities.distributed import gather_all_tensors

from lit_passk.functional.bootstrap import pass_at_k_interval


class ProblemCounts(NamedTuple):
    """What was sampled for each problem, ordered by problem id; the material of a paired comparison."""

    problem_ids: Tensor
    """Shape ``(P,)``, int64; -1 for problems that were given without an id."""
    num_correct: Tensor
    """Shape ``(P,)``, int64."""
    num_samples: Tensor
    """Shape ``(P,)``, int64."""


class PassAtK(Metric):
    """Unbiased pass@k, averaged over problems, with a two-level bootstrap interval.

    Keeps three integers a problem. Updates of the same problem id, on any rank, are added up before pass@k is taken;
    the result does not depend on how problems are shared out over ranks and updates.

    ``compute`` returns for each k the scalars ``pass@k``, ``pass@k/low`` and ``pass@k/high``, float64.

    Args:
        ks: Numbers of attempts; every problem needs as many completions.
        draws: Bootstrap draws for the intervals.
        confidence: Chance that an interval covers the truth, in (0, 1).
        seed: Seed of the bootstrap; the same counts give the same interval.
        kwargs: Options of ``torchmetrics.Metric``.

    Raises:
        ValueError: By ``compute``, if a problem has fewer than k completions, or there is no problem.

    Example:
        >>> metric = PassAtK(ks=[1, 2])
        >>> metric.update(torch.tensor([[True, False, False, False], [True, True, False, False]]))
        >>> result = metric.compute()
        >>> float(result["pass@1"]), round(float(result["pass@2"]), 4)
        (0.375, 0.6667)
        >>> sorted(result)
        ['pass@1', 'pass@1/high', 'pass@1/low', 'pass@2', 'pass@2/high', 'pass@2/low']

    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    rows: list[Tensor]

    def __init__(
        self,
        ks: Sequence[int] = (1, 2, 4, 8),
        draws: int = 1000,
        confidence: float = 0.95,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dist_sync_fn": _gather_rows, **kwargs})
        if not ks or any(isinstance(k, bool) or not isinstance(k, int) or k < 1 for k in ks):
            raise ValueError(f"PassAtK needs integers k >= 1, at least one, but got ks = {ks}.")
        self.ks = sorted(set(ks))
        self.draws = draws
        self.confidence = confidence
        self.seed = seed
        # One tensor (problems, 3) an update: problem id or -1, right answers, completions.
        self.add_state("rows", default=[], dist_reduce_fx="cat")

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
                    "PassAtK.update needs `correct` of shape (P, n), bool, or a list of 1-D bool tensors, but got a "
                    f"tensor of shape {shape} and dtype {group.dtype}."
                )
        num_correct = [count for group in groups for count in group.sum(dim=1).tolist()]
        num_samples = [group.shape[1] for group in groups for _ in range(len(group))]
        ids = [-1] * len(num_samples) if problem_ids is None else [int(problem_id) for problem_id in problem_ids]
        if len(ids) != len(num_samples):
            raise ValueError(f"PassAtK.update needs an id for each of {len(num_samples)} problems, but got {len(ids)}.")
        if problem_ids is not None and min(ids, default=0) < 0:
            raise ValueError(f"PassAtK.update needs problem ids from 0, but got {min(ids)}.")
        rows = torch.tensor([ids, num_correct, num_samples], dtype=torch.int64).T
        self.rows.append(rows.contiguous().to(self.device))

    def compute(self) -> dict[str, Tensor]:
        """``pass@k``, ``pass@k/low`` and ``pass@k/high`` of each k, scalars on the metric's device."""
        counts = self._merged()
        if len(counts.num_samples) == 0:
            raise ValueError("PassAtK has seen no problem. Call `update` before `compute`.")
        fewest = int(counts.num_samples.argmin())
        if counts.num_samples[fewest] < self.ks[-1]:
            problem = "a problem" if counts.problem_ids[fewest] < 0 else f"problem {counts.problem_ids[fewest]}"
            raise ValueError(
                f"pass@{self.ks[-1]} needs n >= {self.ks[-1]} completions of every problem, but {problem} has "
                f"n = {counts.num_samples[fewest]}. Sample more completions or drop k = {self.ks[-1]}."
            )
        values = pass_at_k_interval(
            counts.num_correct, counts.num_samples, self.ks, self.draws, self.confidence, self.seed
        )
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        estimate, low, high = (value.to(self.device, dtype) for value in values)
        return {
            f"pass@{k}{suffix}": column[i]
            for i, k in enumerate(self.ks)
            for suffix, column in (("", estimate), ("/low", low), ("/high", high))
        }

    def counts(self) -> ProblemCounts:
        """Counts of every problem on every rank, on the CPU; a collective when several processes run."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync):
            return self._merged()

    def _merged(self) -> ProblemCounts:
        """Add up the rows of one problem, in an order that does not depend on ranks and updates."""
        rows = dim_zero_cat(self.rows).cpu() if len(self.rows) else _no_rows()
        named, nameless = rows[rows[:, 0] >= 0], rows[rows[:, 0] < 0]
        ids, position = named[:, 0].unique(return_inverse=True)
        merged = torch.zeros(len(ids), 2, dtype=torch.int64).index_add(0, position, named[:, 1:])
        # Nameless problems that have equal counts are interchangeable, so sorted counts are an order of their own.
        kinds, repeats = nameless[:, 1:].unique(dim=0, return_counts=True)
        kinds = kinds.repeat_interleave(repeats, dim=0)
        num_correct, num_samples = torch.cat([kinds, merged]).T
        return ProblemCounts(torch.cat([torch.full((len(kinds),), -1), ids]), num_correct, num_samples)


def _no_rows(device: torch.device | str = "cpu") -> Tensor:
    return torch.zeros(0, 3, dtype=torch.int64, device=device)


def _gather_rows(rows: Tensor, group: Any = None) -> list[Tensor]:
    """Gather over ranks; a rank without any stands for itself by an empty tensor of the others' shape and dtype."""
    return gather_all_tensors(rows if rows.ndim == 2 else _no_rows(rows.device), group)
