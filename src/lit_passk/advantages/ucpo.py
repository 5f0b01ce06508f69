"""Credit shared among the correct answers of a group, more for the unlikely ones (UCPO, arXiv 2605.00365)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, read_correct, read_logprob_mean, to_float64
from lit_passk.errors import Refusal
from lit_passk.functional.passk_advantage import Std, check_std, normalize_groups
from lit_passk.functional.rarity import rare_share
from lit_passk.types import GroupContext


class UCPO(AdvantageStrategy):
    """GRPO whose correct answers share their advantage unevenly: the less likely one was, the larger its part.

    Among the m correct completions of a group, with l_i the mean log-probability per token and ``q = softmax(l)``, none
    below 1e-6::

        w_i = (1 - tau) / m + tau * (1 / q_i) / sum_j (1 / q_j)
        A_i = m * w_i * GRPO_i                                if i is correct, else GRPO_i

    The weights average to 1, so on rewards of 0 and 1 a group still sums to zero: who gets the credit changes, not how
    much there is.

    Use it when several ways of solving a prompt should survive, and the total push per prompt should stay GRPO's.

    Scale: for a mean over completions, as GRPO's.

    Edge cases: groups whose rewards are all equal get zeros, as in GRPO.

    References:
        - UCPO, arXiv 2605.00365; tau of 0.2, 8 completions.

    Args:
        tau: Share of the credit that goes by rarity, from 0 (``GRPO``) to 1.
        std: What the centred rewards are divided by, as in ``GRPO``; the source uses ``bessel``.

    Raises:
        ValueError: When called without a context.

    Example:
        >>> from lit_passk.advantages.trial import trial_context
        >>> correct = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
        >>> context = trial_context(correct, logprob_mean=torch.tensor([[-0.2, -0.8, -0.5, -1.0]]))
        >>> UCPO(std="bessel")(correct, context)
        tensor([[ 0.8156,  0.9165, -0.8660, -0.8660]])

    """

    def __init__(self, tau: float = 0.2, std: Std = "population") -> None:
        check_std(std)
        if not 0 <= tau <= 1:
            raise Refusal(f"UCPO needs a tau in [0, 1], but got {tau}.")
        self.tau = tau
        self.std: Std = std

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from rewards, ``context.correct`` and ``context.logprob_mean``."""
        logprob = read_logprob_mean(self, rewards, context)  # (P, G)
        correct = read_correct(self, rewards, context)  # (P, G)
        base = normalize_groups(to_float64(rewards), self.std)
        num_correct = correct.sum(dim=1, keepdim=True)  # (P, 1)
        weights = 1 - self.tau + self.tau * num_correct * rare_share(logprob, correct > 0)  # (P, G)
        return torch.where(correct > 0, weights * base, base).to(rewards.device, torch.float32)
