"""The geometric mean of token ratios, clipped token by token (GMPO, arXiv 2507.20673)."""

from __future__ import annotations

import torch

from lit_passk.errors import Refusal
from lit_passk.functional.policy_loss import completion_mean
from lit_passk.losses.base import LossInputs, LossOutput, PolicyLoss


class GMPOLoss(PolicyLoss):
    """``-A * exp(mean_t d_t)``, with ``d_t`` the log-ratio of a token, held back where it has moved far enough.

    As ``GSPOLoss`` it gives a completion one ratio, the geometric mean of its tokens' ratios, but bounds the tokens and
    not the mean: for a positive advantage ``d_t = min(log_ratio, log_clip_high)``, for a negative one
    ``d_t = max(log_ratio, -log_clip_low)``. A held-back token has no gradient; the others of its completion keep
    theirs, each ``-A * exp(mean d) / tokens``. Every token carries the loss of its completion;
    ``aggregation: sequence`` weights completions alike, as the paper does.

    Args:
        log_clip_low: How far a log-ratio counts below 0, nats. The paper keeps ratios in ``(exp(-0.4), exp(0.4))``.
        log_clip_high: How far a log-ratio counts above 0, nats.

    Example:
        >>> inputs = LossInputs(
        ...     logprobs=torch.tensor([-0.5, -1.0, -2.0], requires_grad=True),
        ...     old_logprobs=torch.tensor([-1.0, -1.0, -2.0]),
        ...     advantages=torch.tensor([1.0, 1.0, -1.0]),
        ...     weights=torch.full((3,), 1 / 3),
        ...     completion_index=torch.tensor([0, 0, 1]),
        ... )
        >>> GMPOLoss()(inputs).loss
        tensor(-0.4809, grad_fn=<SumBackward0>)

    """

    def __init__(self, log_clip_low: float = 0.4, log_clip_high: float = 0.4) -> None:
        if not (log_clip_low >= 0 and log_clip_high >= 0):
            raise Refusal(
                f"GMPOLoss needs log_clip_low >= 0 and log_clip_high >= 0 nats, but got {log_clip_low} and "
                f"{log_clip_high}."
            )
        self.log_clip_low = log_clip_low
        self.log_clip_high = log_clip_high

    def __call__(self, inputs: LossInputs) -> LossOutput:
        """Weighted sum of token losses; metrics: ``clip_fraction_low``, ``clip_fraction_high``, ``approx_kl``."""
        log_ratio = inputs.logprobs - inputs.old_logprobs  # (T,)
        up, down = inputs.advantages > 0, inputs.advantages < 0  # (T,)
        held = torch.where(up, log_ratio.clamp(max=self.log_clip_high), log_ratio.clamp(min=-self.log_clip_low))  # (T,)
        ratio = completion_mean(held, inputs.completion_index).exp()  # (T,), one value per completion
        clipped = {
            "clip_fraction_low": down & (log_ratio < -self.log_clip_low),
            "clip_fraction_high": up & (log_ratio > self.log_clip_high),
        }
        return self.reduce(-ratio * inputs.advantages, inputs, clipped)
