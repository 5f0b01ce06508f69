"""Truncated importance sampling (TIS): weights for completions whose engine log-probs differ from the policy's."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.functional.policy_loss import completion_sum, is_first_token

LARGEST_LOG_RATIO = 50.0
"""Log-ratios are cut here, far past every cap, so that squares of weights stay finite in float64."""


class RolloutCorrection:
    """Weights each token by how much likelier the policy finds it than the engine that sampled it.

    The policy gradient is an expectation over the policy's own samples. Completions come from the engine, whose
    distribution differs by rounding (bfloat16, other kernels) or by age (one step off-policy). The weight
    ``exp(policy_logprob - rollout_logprob)`` corrects for that; bounding it trades a little bias for
    bounded variance (truncated importance sampling: Ionides 2008, doi 10.1198/106186008X320456).

    Args:
        mode: ``truncate`` lowers weights above ``cap`` to it; ``mask`` sets weights outside ``[1 / cap, cap]`` to 0.
        level: ``token`` weights every token by its own ratio; ``sequence`` weights all tokens of a completion by the
            ratio of the whole completion, which has no bias but, for long completions, much variance.
        cap: Largest weight, above 1.

    Example:
        >>> correction = RolloutCorrection(mode="truncate", level="token", cap=2.0)
        >>> policy, rollout = torch.tensor([-1.0, -1.0]), torch.tensor([-1.0, -4.0])
        >>> weights, stats = correction(policy, rollout, completion_index=torch.tensor([0, 0]))
        >>> weights.round(decimals=4)
        tensor([1., 2.])
        >>> round(correction_metrics(stats)["rollout_correction/clipped"], 4)
        0.5

    """

    def __init__(
        self,
        mode: Literal["truncate", "mask"] = "truncate",
        level: Literal["token", "sequence"] = "token",
        cap: float = 2.0,
    ) -> None:
        if mode not in ("truncate", "mask"):
            raise Refusal(f"RolloutCorrection needs mode truncate or mask, but got {mode!r}.")
        if level not in ("token", "sequence"):
            raise Refusal(f"RolloutCorrection needs level token or sequence, but got {level!r}.")
        if not cap > 1:
            raise Refusal(f"RolloutCorrection needs cap > 1 (a weight of 1 is agreement), but got {cap}.")
        self.mode = mode
        self.level = level
        self.cap = cap

    @torch.no_grad()
    def __call__(
        self, policy_logprobs: Tensor, rollout_logprobs: Tensor, completion_index: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute the weights of the T tokens of some whole completions.

        Args:
            policy_logprobs: The policy's log-probability of each token before this step's first update, shape ``(T,)``.
            rollout_logprobs: The engine's, shape ``(T,)``.
            completion_index: Which completion a token belongs to, shape ``(T,)``, int64, not split over calls.

        Returns:
            Weights for ``LossInputs.importance``, shape ``(T,)``, float32, without gradient; and sums for
            ``correction_metrics``, shape ``(4,)``, float64, to be added up over micro-batches and ranks.
        """
        log_ratio = policy_logprobs.double() - rollout_logprobs.double()  # (T,)
        counted = torch.ones_like(log_ratio)  # (T,)
        if self.level == "sequence":  # each token carries its completion's ratio, which counts once
            log_ratio = completion_sum(log_ratio, completion_index)
            counted = is_first_token(completion_index).double()
        ratio = log_ratio.clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).exp()  # (T,)
        bounded = self._bound(ratio)
        clipped = (bounded != ratio).double()  # (T,)
        stats = torch.stack([torch.ones_like(ratio), ratio, ratio.square(), clipped]) @ counted  # (4, T) @ (T,) -> (4,)
        return bounded.float(), stats

    def _bound(self, ratio: Tensor) -> Tensor:
        if self.mode == "truncate":
            return ratio.clamp(max=self.cap)
        return torch.where((ratio >= 1 / self.cap) & (ratio <= self.cap), ratio, 0.0)


def correction_metrics(stats: Tensor) -> dict[str, float]:
    """Turn the added-up sums of a batch into what is logged.

    Args:
        stats: Sum of the second results of ``RolloutCorrection.__call__``, shape ``(4,)``, float64.

    Returns:
        Under ``rollout_correction/``: ``ess``, the effective sample size as a share of the samples (Kish: squared sum
        of the weights over their number times their sum of squares; 1 is full agreement), of the unbounded weights;
        ``clipped``, the share of weights that were bounded; ``mean``, the mean unbounded weight (1 in expectation).

    Example:
        >>> metrics = correction_metrics(torch.tensor([2.0, 4.0, 10.0, 1.0], dtype=torch.float64))
        >>> round(metrics["rollout_correction/ess"], 4)
        0.8

    """
    count, total, squares, clipped = stats.tolist()
    if count == 0:
        return {}
    return {
        "rollout_correction/ess": total**2 / (count * squares),
        "rollout_correction/clipped": clipped / count,
        "rollout_correction/mean": total / count,
    }
