"""Sequence-level clipping (GSPO, arXiv 2507.18071)."""

from __future__ import annotations

from lit_passk.functional.policy_loss import clipped_surrogate, completion_mean
from lit_passk.losses.base import LossInputs, LossOutput, PolicyLoss, check_clip, clip_fractions


class GSPOLoss(PolicyLoss):
    """``-min(s * A, clip(s, 1 - clip_low, 1 + clip_high) * A)`` with one ratio ``s`` for a whole completion.

    ``s`` is the geometric mean of the token ratios, ``exp(mean_t(logprobs - old_logprobs))``. A completion is clipped
    as a whole, with bounds some hundred times narrower than those for tokens. Every token carries the loss of its
    completion; ``aggregation: sequence`` weights completions alike, as the paper does.

    Args:
        clip_low: The sequence ratio counts down to ``1 - clip_low``.
        clip_high: The sequence ratio counts up to ``1 + clip_high``.

    Example:
        >>> import torch
        >>> inputs = LossInputs(
        ...     logprobs=torch.tensor([-0.5, -1.0, -2.0], requires_grad=True),
        ...     old_logprobs=torch.tensor([-1.0, -1.0, -2.0]),
        ...     advantages=torch.tensor([1.0, 1.0, -1.0]),
        ...     weights=torch.full((3,), 1 / 3),
        ...     completion_index=torch.tensor([0, 0, 1]),
        ... )
        >>> GSPOLoss()(inputs).loss
        tensor(-0.3336, grad_fn=<SumBackward0>)

    """

    def __init__(self, clip_low: float = 3e-4, clip_high: float = 4e-4) -> None:
        check_clip("GSPOLoss", clip_low, clip_high)
        self.clip_low = clip_low
        self.clip_high = clip_high

    def __call__(self, inputs: LossInputs) -> LossOutput:
        """Weighted sum of token losses; metrics: ``clip_fraction_low``, ``clip_fraction_high``, ``approx_kl``."""
        log_ratio = inputs.logprobs - inputs.old_logprobs  # (T,)
        ratio = completion_mean(log_ratio, inputs.completion_index).exp()  # (T,), one value per completion
        losses = -clipped_surrogate(ratio, inputs.advantages, self.clip_low, self.clip_high)
        return self.reduce(losses, inputs, clip_fractions(ratio, inputs.advantages, self.clip_low, self.clip_high))
