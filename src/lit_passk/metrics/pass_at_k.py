"""pass@k over a benchmark, exact over processes, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lit_passk.functional.bootstrap import pass_at_k_interval
from lit_passk.metrics.problem_counts import ProblemCountMetric


class PassAtK(ProblemCountMetric):
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
        >>> import torch
        >>> metric = PassAtK(ks=[1, 2])
        >>> metric.update(torch.tensor([[True, False, False, False], [True, True, False, False]]))
        >>> result = metric.compute()
        >>> float(result["pass@1"]), round(float(result["pass@2"]), 4)
        (0.375, 0.6667)
        >>> sorted(result)
        ['pass@1', 'pass@1/high', 'pass@1/low', 'pass@2', 'pass@2/high', 'pass@2/low']

    """

    def __init__(
        self,
        ks: Sequence[int] = (1, 2, 4, 8),
        draws: int = 1000,
        confidence: float = 0.95,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(ks, **kwargs)
        self.draws = draws
        self.confidence = confidence
        self.seed = seed

    def compute(self) -> dict[str, Tensor]:
        """``pass@k``, ``pass@k/low`` and ``pass@k/high`` of each k, scalars on the metric's device."""
        counts = self._checked()
        values = pass_at_k_interval(
            counts.num_correct, counts.num_samples, self.ks, self.draws, self.confidence, self.seed
        )
        return {
            f"pass@{k}{suffix}": self._scalar(column[i])
            for i, k in enumerate(self.ks)
            for suffix, column in zip(("", "/low", "/high"), values, strict=True)
        }
