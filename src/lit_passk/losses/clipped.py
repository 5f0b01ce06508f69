"""The clipped token loss of PPO, GRPO and DAPO."""

from __future__ import annotations

from lit_passk.functional.policy_loss import clipped_surrogate
from lit_passk.losses.base import LossInputs, LossOutput, PolicyLoss, check_clip, clip_fractions


class ClippedLoss(PolicyLoss):
    """``-min(ratio * A, clip(ratio, 1 - clip_low, 1 + clip_high) * A)`` with the ratio of each token.

    The objective of arXiv 2508.10751, eq. 4, with the wider upper bound of DAPO (arXiv 2503.14476). Right after the
    rollout every ratio is 1 and the gradient is that of REINFORCE.

    Args:
        clip_low: The ratio counts down to ``1 - clip_low``.
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
        >>> ClippedLoss()(inputs).loss
        tensor(-0.4267, grad_fn=<SumBackward0>)

    """

    def __init__(self, clip_low: float = 0.2, clip_high: float = 0.28) -> None:
        check_clip("ClippedLoss", clip_low, clip_high)
        self.clip_low = clip_low
        self.clip_high = clip_high

    def __call__(self, inputs: LossInputs) -> LossOutput:
        """Weighted sum of token losses; metrics: ``clip_fraction_low``, ``clip_fraction_high``, ``approx_kl``."""
        ratio = (inputs.logprobs - inputs.old_logprobs).exp()  # (T,)
        losses = -clipped_surrogate(ratio, inputs.advantages, self.clip_low, self.clip_high)
        return self.reduce(losses, inputs, clip_fractions(ratio, inputs.advantages, self.clip_low, self.clip_high))
