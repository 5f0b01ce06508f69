"""GRPO with less weight on prompts that are solved often (F-GRPO, arXiv 2602.06717)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, read_correct, to_float64
from lit_passk.errors import Refusal
from lit_passk.functional.passk_advantage import Std, check_std, normalize_groups
from lit_passk.types import GroupContext


class FGRPO(AdvantageStrategy):
    """GRPO times ``(1 - c/G)^gamma``, the share that is wrong to the power of gamma, as the focal loss weighs examples.

    With c of G completions correct::

        A_i = (1 - c / G)^gamma * (r_i - mean) / std

    Use it when prompts that are solved nearly always should stop moving the policy, but no sharp limit as in Pass@k
    Training is wanted: the weight is never zero while a completion is wrong. The paper takes gamma of 0.5 and 1; 2
    gives up pass@1.

    Scale: for a mean over completions, as GRPO's.

    Edge cases: a group sums to zero. A group that is all correct gets zeros, even where its rewards differ.

    References:
        - F-GRPO, arXiv 2602.06717; 8 completions, gamma of 0.5 and 1.

    Args:
        gamma: How fast the weight falls, at least 0; 0 is ``GRPO``. The paper uses 0.5 and 1.
        std: What the centred rewards are divided by, as in ``GRPO``; the paper's code uses ``bessel``.

    Example:
        >>> FGRPO(gamma=1.0)(torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]]))
        tensor([[ 1.2990, -0.4330, -0.4330, -0.4330],
                [ 0.1443,  0.1443,  0.1443, -0.4330]])

    """

    def __init__(self, gamma: float = 0.5, std: Std = "population") -> None:
        check_std(std)
        if not 0 <= gamma < math.inf:
            raise Refusal(f"FGRPO needs a gamma of at least 0, but got {gamma}.")
        self.gamma = gamma
        self.std: Std = std

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from rewards and ``context.correct``, shape ``(P, G)``."""
        correct = read_correct(self, rewards, context)
        share_wrong = 1 - correct.mean(dim=1, keepdim=True)  # (P, 1)
        base = normalize_groups(to_float64(rewards), self.std)  # (P, G)
        return (share_wrong**self.gamma * base).to(rewards.device, torch.float32)
