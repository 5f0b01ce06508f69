"""Risk-seeking rewards: the exponential utility of a group (RS-GRPO, arXiv 2509.24261)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, check_rewards, to_float64
from lit_passk.errors import Refusal
from lit_passk.functional.passk_advantage import normalize_groups
from lit_passk.types import GroupContext


class RSGRPO(AdvantageStrategy):
    """How far a completion's exponential utility lies above its group's mean: risk-seeking for positive beta.

    With G rewards::

        A_i = (1 / beta) * (exp(beta r_i) / mean_j exp(beta r_j) - 1)

    It ascends ``(1 / beta) log E[exp(beta r)]``, which lies between the mean reward (``beta -> 0``, there ``DrGRPO``)
    and the best one (``beta -> inf``). The mean over the same G completions makes it biased by a term of order 1/G.

    Use it when rewards are graded and the best of many answers should be pulled up, not the average one; on rewards of
    0 and 1 it is GRPO with more weight on prompts that are hardly solved.

    Scale: for a mean over completions, as GRPO's. Twice the rewards want half the beta.

    Edge cases: a group sums to zero; equal rewards give zeros. No beta overflows.

    References:
        - RS-GRPO, arXiv 2509.24261; beta of 2.

    Args:
        beta: Appetite for risk, per unit of reward; 0 is ``DrGRPO``, negative is risk-averse. The paper recommends 2.

    Example:
        >>> RSGRPO(beta=2)(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        tensor([[ 0.9225, -0.3075, -0.3075, -0.3075]])

    """

    def __init__(self, beta: float = 2.0) -> None:
        if not math.isfinite(beta):
            raise Refusal(f"RSGRPO needs a finite beta, but got {beta}.")
        self.beta = beta

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from any rewards of shape ``(P, G)``."""
        check_rewards(rewards)
        centred = normalize_groups(to_float64(rewards), "none")  # (P, G)
        if self.beta == 0 or centred.numel() == 0:
            return centred.to(rewards.device, torch.float32)
        utility = self.beta * centred
        log_mean = utility.logsumexp(dim=1, keepdim=True) - math.log(centred.shape[1])  # (P, 1)
        flat = (centred == 0).all(dim=1, keepdim=True)
        advantages = torch.where(flat, 0.0, (utility - log_mean).expm1() / self.beta)
        return advantages.to(rewards.device, torch.float32)
