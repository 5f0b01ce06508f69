"""Pass@1 Training: rewards normalised within their group (GRPO, arXiv 2402.03300; arXiv 2508.10751, eqs. 1-3)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, check_rewards, to_float64
from lit_passk.functional.passk_advantage import Std, check_std, normalize_groups
from lit_passk.types import GroupContext


class GRPO(AdvantageStrategy):
    """Group-relative advantage: ``A_i = (r_i - mean) / std`` over the G rewards of a prompt.

    A prompt whose rewards are all equal gets zeros. ``PassKAnalytic(k=1)`` is the same for rewards of 0 and 1.

    Use it when single answers matter: the baseline that everything here is compared with, and the second stage after
    Pass@k training.

    Args:
        std: ``population`` divides by N inside the root (the Pass@k paper), ``bessel`` by N - 1 (most libraries),
            ``none`` leaves the centred reward (``DrGRPO``).

    Example:
        >>> GRPO()(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        tensor([[ 1.7321, -0.5774, -0.5774, -0.5774]])

    """

    def __init__(self, std: Std = "population") -> None:
        check_std(std)
        self.std: Std = std

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from any rewards of shape ``(P, G)``."""
        check_rewards(rewards)
        return normalize_groups(to_float64(rewards), self.std).to(rewards.device, torch.float32)
