"""Pass@k Training, analytic: the average over all groups in closed form (arXiv 2508.10751, section 2.4)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.passk_strategy import PassKStrategy
from lit_passk.functional.passk_advantage import Std, analytic_advantage, check_std
from lit_passk.types import GroupContext


class PassKAnalytic(PassKStrategy):
    r"""Mean advantage of a completion over all :math:`\binom{G}{k}` groups that k of its G companions could form.

    Eqs. 11, 12, 14 and 15, with c correct completions among G::

        R     = 1 - C(G - c, k) / C(G, k)                            mean group reward = pass@k
        A_pos = (1 - R) / sqrt(R (1 - R))
        A_neg = (1 - R - C(G - c - 1, k - 1) / C(G - 1, k - 1)) / sqrt(R (1 - R))

    No randomness; a group sums to zero; ``k = 1`` is GRPO with the population standard deviation. All advantages of a
    prompt are zero when none is correct or fewer than k are wrong.

    Use it when pass@k of the trained policy matters, or as the first stage before Pass@1 training: it is the paper's
    method without the noise of drawing groups. A larger k moves the weight to harder prompts and makes advantages
    smaller; the learning rate may rise with it.

    Args:
        k: Completions per group, from 1 to ``rollout.group_size``.
        std: Divide by the standard deviation over the groups with 1/M (``population``, the paper), with 1/(M - 1)
            (``bessel``), or not at all (``none``: an unbiased pass@k gradient up to the constant (G - k)/k).

    Example:
        >>> PassKAnalytic(k=2)(torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]]))
        tensor([[ 1.0000, -0.3333, -0.3333, -0.3333],
                [ 0.0000,  0.0000,  0.0000,  0.0000]])

    """

    def __init__(self, k: int = 4, std: Std = "population") -> None:
        super().__init__(k)
        check_std(std)
        self.std: Std = std

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from ``context.correct`` or rewards of 0 and 1, shape ``(P, G)``."""
        correct = self.read_correct(rewards, context)
        return analytic_advantage(correct, self.k, self.std).to(rewards.device, torch.float32)
