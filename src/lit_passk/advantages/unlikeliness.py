"""Correct answers that the policy held unlikely count more (unlikeliness reward, arXiv 2506.02355)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, read_logprob_mean, to_float64
from lit_passk.errors import Refusal
from lit_passk.functional.passk_advantage import Std, check_std, normalize_groups
from lit_passk.functional.rarity import rank_ascending
from lit_passk.types import GroupContext


class Unlikeliness(AdvantageStrategy):
    """GRPO on rewards that shrink with how likely the policy held the completion, compared with its group.

    ``rank_i`` counts the completions of the group, correct or not, with a lower mean log-probability per token::

        r'_i = r_i * (1 - beta * rank_i / G)
        A_i  = (r'_i - mean) / std                            over the G values of r'

    Use it when rare correct answers are lost although they are rewarded: GRPO raises most what is already likely. The
    source takes two epochs over each step's completions with it, and a KL penalty of 0.1.

    Scale: for a mean over completions, as GRPO's.

    Edge cases: a group sums to zero. One that is all correct still teaches, the rarest most. Equal log-probabilities
    share the mean of their ranks; in the source their order is left to the sort.

    References:
        - arXiv 2506.02355; beta of 0.25, 32 completions.

    Args:
        beta: Share of its reward that the likeliest of many completions loses, from 0 (``GRPO``) to 1.
        std: What the centred rewards are divided by, as in ``GRPO``; the source uses ``bessel``.

    Raises:
        ValueError: When called without a context.

    Example:
        >>> from lit_passk.advantages.trial import trial_context
        >>> correct = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
        >>> context = trial_context(correct, logprob_mean=torch.tensor([[-0.2, -0.8, -0.5, -1.0]]))
        >>> Unlikeliness(std="bessel")(correct, context)
        tensor([[ 0.7385,  0.9847, -0.8616, -0.8616]])

    """

    def __init__(self, beta: float = 0.25, std: Std = "population") -> None:
        check_std(std)
        if not 0 <= beta <= 1:
            raise Refusal(f"Unlikeliness needs a beta in [0, 1], but got {beta}.")
        self.beta = beta
        self.std: Std = std

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from rewards and ``context.logprob_mean``, shape ``(P, G)``."""
        rank = rank_ascending(read_logprob_mean(self, rewards, context))  # (P, G)
        shaped = to_float64(rewards) * (1 - self.beta * rank / max(rewards.shape[1], 1))
        return normalize_groups(shaped, self.std).to(rewards.device, torch.float32)
