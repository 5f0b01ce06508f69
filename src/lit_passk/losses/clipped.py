"""The clipped token loss of PPO, GRPO and DAPO."""

from __future__ import annotations

import torch

from lit_passk.errors import Refusal
from lit_passk.functional.policy_loss import clipped_surrogate
from lit_passk.logged import Logged
from lit_passk.losses.base import LossInputs, LossOutput, PolicyLoss, check_clip, clip_fractions

LOGGED = (
    Logged(
        "train/loss/clip_fraction_dual",
        means="Share of the tokens of wrong completions whose ratio is past `dual_clip` (`ClippedLoss` with "
        "`dual_clip`).",
        healthy="Almost 0.",
        otherwise="Larger: updates make wrong answers likelier. Lower the learning rate.",
    ),
)


class ClippedLoss(PolicyLoss):
    """``-min(ratio * A, clip(ratio, 1 - clip_low, 1 + clip_high) * A)`` with the ratio of each token.

    The objective of arXiv 2508.10751, eq. 4, with the wider upper bound of DAPO (arXiv 2503.14476). Right after the
    rollout every ratio is 1 and the gradient is that of REINFORCE.

    With a negative advantage nothing bounds the loss above: a token that has become many times likelier since the
    rollout gets a huge gradient. Dual clip (arXiv 1912.09729) counts the ratio of such tokens up to
    ``dual_clip`` only: the loss is at most ``-dual_clip * A`` there, and beyond it has no gradient.

    Args:
        clip_low: The ratio counts down to ``1 - clip_low``.
        clip_high: The ratio counts up to ``1 + clip_high``.
        dual_clip: Largest ratio that counts where the advantage is negative, above 1; None for no bound. The paper
            takes 3.

    Example:
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

    def __init__(self, clip_low: float = 0.2, clip_high: float = 0.28, dual_clip: float | None = None) -> None:
        check_clip("ClippedLoss", clip_low, clip_high)
        if dual_clip is not None and not dual_clip > 1:
            raise Refusal(f"ClippedLoss needs dual_clip > 1 (a ratio of 1 is no change), but got {dual_clip}.")
        self.clip_low = clip_low
        self.clip_high = clip_high
        self.dual_clip = dual_clip

    def __call__(self, inputs: LossInputs) -> LossOutput:
        """Weighted sum of token losses.

        Metrics: ``clip_fraction_low``, ``clip_fraction_high``, ``approx_kl``, and ``clip_fraction_dual`` with a
        ``dual_clip``.
        """
        ratio = (inputs.logprobs - inputs.old_logprobs).exp()  # (T,)
        clipped = clip_fractions(ratio, inputs.advantages, self.clip_low, self.clip_high)
        if self.dual_clip is not None:
            past = (inputs.advantages < 0) & (ratio > self.dual_clip)  # (T,)
            ratio = torch.where(past, self.dual_clip, ratio)
            clipped["clip_fraction_dual"] = past
        losses = -clipped_surrogate(ratio, inputs.advantages, self.clip_low, self.clip_high)
        return self.reduce(losses, inputs, clipped)
