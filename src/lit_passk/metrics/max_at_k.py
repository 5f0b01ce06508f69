"""max@k of graded rewards, exact over processes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_passk.functional.pass_at_k import max_at_k
from lit_passk.logged import Logged
from lit_passk.metrics.base import EvaluationMetric, check_ks

LOGGED = (
    Logged(
        "val/<task>/max@<k>",
        means="Expected best reward of k completions, without bias (`MaxRewardAtK`); pass@k for rewards of 0 and 1.",
        healthy="Rises.",
    ),
)


class MaxRewardAtK(EvaluationMetric):
    """max@k: the expected best reward of k completions, without bias, averaged over problems.

    Updates of the same problem id, on any rank, are put together. ``compute`` returns ``max@k`` for each k, float64
    scalars; for rewards of 0 and 1 it is pass@k.

    Args:
        ks: Numbers of attempts.

    Example:
        >>> metric = MaxRewardAtK(ks=[1, 2])
        >>> metric.update(torch.tensor([[0.0, 0.5, 1.0]]), problem_ids=[0])
        >>> {name: round(float(value), 4) for name, value in metric.compute().items()}
        {'max@1': 0.5, 'max@2': 0.8333}

    """

    def __init__(self, ks: Sequence[int] = (1, 2, 4, 8)) -> None:
        # A row: problem id, the bits of the reward as float64, which a cast of the module would round.
        super().__init__(columns=2)
        self.ks = check_ks(ks, type(self).__name__)

    def update(self, rewards: Tensor | Sequence[Tensor], problem_ids: Tensor | Sequence[int]) -> None:
        """Add completions.

        Args:
            rewards: Reward of each scored completion: shape ``(P, n)``, or P tensors of shape ``(n_p,)``, finite.
            problem_ids: Identity of each problem, P integers from 0.
        """
        groups = [torch.as_tensor(group, dtype=torch.float64, device="cpu") for group in rewards]
        if any(group.ndim != 1 or not group.isfinite().all() for group in groups):
            raise ValueError("MaxRewardAtK.update needs finite rewards, of shape (P, n) or P 1-D tensors.")
        ids, sizes = self._ids(problem_ids, len(groups)), [len(group) for group in groups]
        owner = torch.tensor(ids, dtype=torch.int64).repeat_interleave(torch.tensor(sizes, dtype=torch.int64))  # (N,)
        bits = torch.cat([*groups, torch.zeros(0, dtype=torch.float64)]).view(torch.int64)  # (N,)
        self._append(torch.stack([owner, bits], dim=1))

    def compute(self) -> dict[str, Tensor]:
        """``max@k`` of each k."""
        rows = self._all_rows()
        groups = [rows[rows[:, 0] == problem_id, 1] for problem_id in rows[:, 0].unique()]
        rewards = [group.contiguous().view(torch.float64) for group in groups]
        return {f"max@{k}": self._mean(float(max_at_k(r, k)) for r in rewards if len(r) >= k) for k in self.ks}
