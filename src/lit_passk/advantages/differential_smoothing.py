"""Smoothing that differs for correct and wrong answers (DS-GRPO, arXiv 2511.19942)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, read_correct, read_logprob_mean, to_float64
from lit_passk.errors import Refusal
from lit_passk.functional.passk_advantage import Std, check_std, normalize_groups
from lit_passk.types import GroupContext


class DifferentialSmoothing(AdvantageStrategy):
    """GRPO plus a bonus for correct answers that were unlikely, and minus one for wrong answers that were unlikely.

    With l_i the mean log-probability per token of completion i::

        A_i = GRPO_i - correct_coef * l_i                     if i is correct
        A_i = GRPO_i + wrong_coef * l_i                       if i is wrong

    Log-probabilities are negative: correct answers are spread, wrong ones sharpened, so that neither loses the
    diversity that helps nor gains that which hurts. The formula is that of a public reproduction (the code of MaxRL
    carries it as a baseline, with both coefficients 0.05).

    Use it when entropy falls and an entropy bonus, which also spreads wrong answers, costs pass@1.

    Scale: for a mean over completions, as GRPO's.

    Edge cases: a group does not sum to zero. One that is never solved is pushed down, one that is always solved up.

    References:
        - DS-GRPO, arXiv 2511.19942.

    Args:
        correct_coef: Weight of the bonus on correct completions, at least 0.
        wrong_coef: Weight on wrong ones, at least 0.
        std: What the centred rewards are divided by, as in ``GRPO``.

    Raises:
        ValueError: When called without a context.

    Example:
        >>> from lit_passk.advantages.trial import trial_context
        >>> correct = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
        >>> context = trial_context(correct, logprob_mean=torch.tensor([[-0.2, -0.8, -0.5, -1.0]]))
        >>> DifferentialSmoothing()(correct, context)
        tensor([[ 1.0100,  1.0400, -1.0250, -1.0500]])

    """

    def __init__(self, correct_coef: float = 0.05, wrong_coef: float = 0.05, std: Std = "population") -> None:
        check_std(std)
        if not (0 <= correct_coef < math.inf and 0 <= wrong_coef < math.inf):
            raise Refusal(
                f"DifferentialSmoothing needs coefficients of at least 0, but got correct_coef={correct_coef} and "
                f"wrong_coef={wrong_coef}."
            )
        self.correct_coef = correct_coef
        self.wrong_coef = wrong_coef
        self.std: Std = std

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from rewards, ``context.correct`` and ``context.logprob_mean``."""
        logprob = read_logprob_mean(self, rewards, context)  # (P, G)
        correct = read_correct(self, rewards, context)  # (P, G)
        base = normalize_groups(to_float64(rewards), self.std)
        smoothing = torch.where(correct > 0, -self.correct_coef, self.wrong_coef) * logprob
        return (base + smoothing).to(rewards.device, torch.float32)
