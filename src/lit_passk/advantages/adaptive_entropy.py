"""Adaptive Training: Pass@1 where the policy explores already, Pass@k where it does not (arXiv 2508.10751, 4.2.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.base import to_float64
from lit_passk.advantages.passk_strategy import PassKStrategy
from lit_passk.errors import Refusal
from lit_passk.functional.passk_advantage import analytic_advantage, normalize_groups
from lit_passk.types import GroupContext


class AdaptiveEntropy(PassKStrategy):
    """Ranks the prompts of a step by entropy: those above the quantile get Pass@1 advantages, the rest Pass@k.

    ``A_Pass@1`` is that of ``GRPO`` on rewards of 0 and 1, ``A_Pass@k`` that of ``PassKAnalytic``, both with the
    population standard deviation. The entropy of a prompt is the mean of ``context.entropy`` over its completions; it
    is compared with the quantile (linear interpolation) over ``context.batch.prompt_entropy``, which holds all prompts
    of all ranks. Outside a training run, where
    ``context.batch`` is None, the prompts at hand are the batch.

    Use it when prompts differ in how much the policy still explores on them, and only those where it does not are to be
    held open.

    Args:
        k: Completions per group, from 1 to ``rollout.group_size``.
        quantile: Share of the prompts that get Pass@k advantages, in ``[0, 1]``; the paper takes half.

    Raises:
        ValueError: When called without a context.

    Example:
        >>> from lit_passk.advantages.trial import trial_context
        >>> correct = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
        >>> context = trial_context(correct, entropy=torch.tensor([[0.9, 1.1, 1.0, 1.2], [0.2, 0.1, 0.3, 0.2]]))
        >>> AdaptiveEntropy(k=2)(correct, context)
        tensor([[ 1.7321, -0.5774, -0.5774, -0.5774],
                [ 1.0000, -0.3333, -0.3333, -0.3333]])

    """

    def __init__(self, k: int = 4, quantile: float = 0.5) -> None:
        super().__init__(k)
        if not 0 <= quantile <= 1:
            raise Refusal(f"AdaptiveEntropy needs a quantile in [0, 1], but got {quantile}.")
        self.quantile = quantile

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from ``context.correct`` and the entropies; context is needed."""
        if context is None:
            raise ValueError(
                "AdaptiveEntropy ranks prompts by their entropy, but was called without a context. Pass a GroupContext "
                "with `entropy` and `batch` (a training run does)."
            )
        correct = self.read_correct(rewards, context)
        entropy = to_float64(context.entropy).mean(dim=1)  # (P, G) -> (P,)
        if len(entropy) == 0:
            return correct.to(rewards.device, torch.float32)
        batch_entropy = entropy if context.batch is None else to_float64(context.batch.prompt_entropy)
        # The prompt at the quantile itself is not above it, even where float32 rounding says so.
        threshold = torch.quantile(batch_entropy, self.quantile) * (1 + 1e-6)
        pass_at_k = analytic_advantage(correct, self.k)  # (P, G)
        explores = entropy > threshold  # (P,)
        return torch.where(explores[:, None], normalize_groups(correct), pass_at_k).to(rewards.device, torch.float32)
