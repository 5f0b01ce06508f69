"""pass@k over a benchmark, exact over processes, with confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor
from torchmetrics.utilities import rank_zero_warn

from lit_passk.functional.bootstrap import check_draws, pass_at_k_interval
from lit_passk.logged import Logged
from lit_passk.metrics.problem_counts import ProblemCountMetric

LOGGED = (
    Logged(
        "val/<task>/pass@<k> val/<task>/pass@<k>/low val/<task>/pass@<k>/high",
        means="Unbiased estimate of the chance that k completions hold a correct one, mean over the task's problems, "
        "and the bounds of its 95 % bootstrap interval over problems and samples.",
        healthy="Rises for the k you train for, and does not fall for larger k.",
        otherwise="pass@1 rises while pass@k for large k falls: the policy grows narrow. Raise k, or stop earlier. "
        "The interval is wider than the change: more problems help, more samples (`rollout.val_sampling.n`) help "
        "less.",
    ),
    Logged(
        "val/<task>/pass@<k>/left_out",
        means="Problems with fewer than k scored completions, which have no estimate. Logged where there are any.",
        healthy="Not logged.",
        otherwise="Raise `rollout.val_sampling.n`, or see why completions could not be scored.",
    ),
)


class PassAtK(ProblemCountMetric):
    """Unbiased pass@k, averaged over problems, with a two-level bootstrap interval.

    Keeps three integers per problem. Updates of the same problem id, on any rank, are added up before pass@k is taken;
    the result does not depend on how problems are shared out over ranks and updates.

    ``compute`` returns for each k the scalars ``pass@k``, ``pass@k/low`` and ``pass@k/high``, float64. A problem with
    fewer than k scored completions is left out at that k, with a warning: no unbiased estimate of its pass@k exists.
    ``pass@k/left_out`` counts such problems, where there are any; all three are NaN when no problem is left.

    Args:
        ks: Numbers of attempts.
        draws: Bootstrap draws for the intervals.
        confidence: Chance that an interval covers the truth, in (0, 1).
        seed: Seed of the bootstrap; the same counts give the same interval.

    Example:
        >>> import torch
        >>> metric = PassAtK(ks=[1, 2])
        >>> metric.update(torch.tensor([[True, False, False, False], [True, True, False, False]]))
        >>> result = metric.compute()
        >>> round(float(result["pass@1"]), 4), round(float(result["pass@2"]), 4)
        (0.375, 0.6667)
        >>> sorted(result)
        ['pass@1', 'pass@1/high', 'pass@1/low', 'pass@2', 'pass@2/high', 'pass@2/low']

    """

    def __init__(
        self, ks: Sequence[int] = (1, 2, 4, 8), draws: int = 1000, confidence: float = 0.95, seed: int = 0
    ) -> None:
        super().__init__(ks)
        check_draws(draws, confidence)
        self.draws = draws
        self.confidence = confidence
        self.seed = seed

    def compute(self) -> dict[str, Tensor]:
        """``pass@k``, ``pass@k/low`` and ``pass@k/high`` of each k, scalars on the metric's device."""
        counts = self._counts()
        results: dict[str, Tensor] = {}
        # Values of k that leave out the same problems share their bootstrap draws.
        for num_left_out, same in groupby(self.ks, key=lambda k: int((counts.num_samples < k).sum())):
            ks = list(same)
            results |= self._at(ks, *counts.at_least(ks[-1]))
            if num_left_out:
                names = ", ".join(f"pass@{k}" for k in ks)
                rank_zero_warn(
                    f"{num_left_out} of {len(counts.num_samples)} problems have fewer than {ks[0]} scored completions "
                    f"and are left out of {names}."
                )
                results |= {f"pass@{k}/left_out": self._scalar(num_left_out) for k in ks}
        return results

    def _at(self, ks: list[int], num_correct: Tensor, num_samples: Tensor) -> dict[str, Tensor]:
        """The numbers at ``ks`` of problems that all have enough completions."""
        columns = [torch.full((len(ks),), math.nan)] * 3
        if len(num_correct):
            columns = list(pass_at_k_interval(num_correct, num_samples, ks, self.draws, self.confidence, self.seed))
        return {
            f"pass@{k}{suffix}": self._scalar(column[i])
            for i, k in enumerate(ks)
            for suffix, column in zip(("", "/low", "/high"), columns, strict=True)
        }
