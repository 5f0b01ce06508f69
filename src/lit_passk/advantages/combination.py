"""Combination Training: Pass@1 on hard prompts, Pass@k on easy ones (arXiv 2508.10751, eq. 18)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.passk_strategy import PassKStrategy
from lit_passk.functional.passk_advantage import analytic_advantage, normalize_groups
from lit_passk.types import GroupContext


class Combination(PassKStrategy):
    """Mix of both advantages by the share of correct completions: Pass@k where that is high, Pass@1 where it is low.

    Eq. 18, with c correct completions among G: ``A = c/G * A_Pass@k + (1 - c/G) * A_Pass@1``, where ``A_Pass@k`` is
    that of ``PassKAnalytic`` and ``A_Pass@1`` that of ``GRPO`` on rewards of 0 and 1, both with the population standard
    deviation. A group sums to zero.

    Use it when hard prompts should be learned as in Pass@1 training while prompts that are solved often no longer
    sharpen the policy.

    Args:
        k: Completions per group, from 1 to ``rollout.group_size``.

    Example:
        >>> Combination(k=2)(torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]]))
        tensor([[ 1.5490, -0.5163, -0.5163, -0.5163],
                [ 0.1443,  0.1443,  0.1443, -0.4330]])

    """

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from ``context.correct`` or rewards of 0 and 1, shape ``(P, G)``."""
        correct = self.read_correct(rewards, context)
        pass_at_k = analytic_advantage(correct, self.k)  # (P, G)
        solve_rate = correct.mean(dim=1, keepdim=True)  # (P, 1)
        return (solve_rate * pass_at_k + (1 - solve_rate) * normalize_groups(correct)).to(rewards.device, torch.float32)
