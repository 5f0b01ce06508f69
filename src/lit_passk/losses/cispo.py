"""REINFORCE with clipped importance weights (CISPO, arXiv 2506.13585)."""

from __future__ import annotations

from lit_passk.losses.base import LossInputs, LossOutput, PolicyLoss, check_clip, clip_fractions


class CISPOLoss(PolicyLoss):
    """``-clip(ratio, 1 - clip_low, 1 + clip_high) * A * logprobs``, the clipped ratio being a constant (no gradient).

    A token whose ratio is out of bounds keeps its gradient, only the weight of it is capped, so rare
    tokens that start a new thought are not silenced.

    Args:
        clip_low: The ratio counts down to ``1 - clip_low``; 1 leaves it free below.
        clip_high: The ratio counts up to ``1 + clip_high``.

    Example:
        >>> import torch
        >>> inputs = LossInputs(
        ...     logprobs=torch.tensor([-0.5, -1.0, -2.0], requires_grad=True),
        ...     old_logprobs=torch.tensor([-1.0, -1.0, -2.0]),
        ...     advantages=torch.tensor([1.0, 1.0, -1.0]),
        ...     weights=torch.full((3,), 1 / 3),
        ...     completion_index=torch.tensor([0, 0, 1]),
        ... )
        >>> CISPOLoss()(inputs).loss
        tensor(-0.0585, grad_fn=<SumBackward0>)

    """

    def __init__(self, clip_low: float = 1.0, clip_high: float = 5.0) -> None:
        check_clip("CISPOLoss", clip_low, clip_high)
        self.clip_low = clip_low
        self.clip_high = clip_high

    def __call__(self, inputs: LossInputs) -> LossOutput:
        """Weighted sum of token losses; metrics: ``clip_fraction_low``, ``clip_fraction_high``, ``approx_kl``."""
        ratio = (inputs.logprobs.detach() - inputs.old_logprobs).exp()  # (T,)
        losses = -ratio.clamp(1 - self.clip_low, 1 + self.clip_high) * inputs.advantages * inputs.logprobs
        return self.reduce(losses, inputs, clip_fractions(ratio, inputs.advantages, self.clip_low, self.clip_high))
