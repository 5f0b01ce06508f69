"""Positive and negative reinforcement, weighed against each other (W-REINFORCE, PSR, NSR, arXiv 2506.01347)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, read_correct
from lit_passk.errors import Refusal
from lit_passk.types import GroupContext


class WReinforce(AdvantageStrategy):
    """A fixed push for what is correct and a fixed push against what is wrong, without a baseline.

    Every correct completion gets ``A = positive_weight``, every wrong one ``A = -negative_weight``:

    - ``WReinforce()``: W-REINFORCE, 0.1 and -1, the paper's choice.
    - ``WReinforce(positive_weight=1, negative_weight=0)``: PSR, positive sample reinforcement.
    - ``WReinforce(positive_weight=0)``: NSR, negative sample reinforcement.
    - ``WReinforce(positive_weight=1)``: REINFORCE on rewards of 1 and -1.

    Use it when pass@k at large k must not fall: pushing wrong answers down moves their probability to whatever else the
    policy holds likely, while pushing correct ones up concentrates it on those that were sampled.

    Scale: for a mean over completions. Where PSR or NSR gives a zero advantage, the source drops the completion from
    the batch and so divides by fewer; here it keeps counting in the denominator of the loss.

    Edge cases: nothing is centred, so prompts that are never or always solved are trained on, too.

    References:
        - arXiv 2506.01347: PSR, NSR and W-REINFORCE with 0.1.

    Args:
        positive_weight: Advantage of a correct completion, at least 0.
        negative_weight: Minus the advantage of a wrong one, at least 0.

    Example:
        >>> WReinforce()(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        tensor([[ 0.1000, -1.0000, -1.0000, -1.0000]])

    """

    def __init__(self, positive_weight: float = 0.1, negative_weight: float = 1.0) -> None:
        weights = (positive_weight, negative_weight)
        if not all(0 <= weight < math.inf for weight in weights) or not any(weights):
            raise Refusal(
                "WReinforce needs weights of at least 0, one of them above, but got "
                f"positive_weight={positive_weight} and negative_weight={negative_weight}."
            )
        self.positive_weight = positive_weight
        self.negative_weight = negative_weight

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from ``context.correct`` or rewards of 0 and 1, shape ``(P, G)``."""
        correct = read_correct(self, rewards, context)
        # `0.0 - ` and not a minus sign: -0.0 would count as no advantage, but print as one.
        advantages = torch.where(correct > 0, self.positive_weight, 0.0 - self.negative_weight)
        return advantages.to(rewards.device, torch.float32)
