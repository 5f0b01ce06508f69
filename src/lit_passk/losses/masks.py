"""Masks on tokens and completions that the policy would hardly have sampled; they weigh nothing."""

from __future__ import annotations

from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.functional.policy_loss import completion_mean, completion_sum
from lit_passk.losses.base import LossInputs
from lit_passk.losses.correction import RolloutCorrection, check_bounds, log_ratios


class TokenMask(RolloutCorrection):
    """Leaves out tokens whose ratio of policy to engine is out of bounds; the others weigh 1 (``IcePop``: the ratio).

    Args:
        low: Tokens with a smaller ratio are left out.
        high: Tokens with a larger ratio are left out.
    """

    def __init__(self, low: float = 0.5, high: float = 2.0) -> None:
        check_bounds(self, low, high)
        self.low = low
        self.high = high

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Shape ``(T,)``, 0 or 1."""
        return _within(log_ratios(inputs), self.low, self.high)


class GeometricMask(RolloutCorrection):
    """Leaves out completions whose tokens' ratios of policy to engine have a geometric mean out of bounds.

    It sees a small difference that all tokens share, whatever the length, and not a single outlier: that is what
    ``WorstTokenMask`` is for (Liu et al. 2025, richardli.xyz/rl-collapse-3; SkyRL advises to begin with this one, at
    0.99 and 1.01).

    Args:
        low: Completions with a smaller mean are left out.
        high: Completions with a larger mean are left out.
    """

    def __init__(self, low: float = 0.99, high: float = 1.01) -> None:
        check_bounds(self, low, high)
        self.low = low
        self.high = high

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Shape ``(T,)``, 0 or 1, alike within a completion."""
        return _within(completion_mean(log_ratios(inputs), inputs.completion_index), self.low, self.high)


class WorstTokenMask(RolloutCorrection):
    """Leaves out completions of which a single token's ratio of policy to engine is out of bounds.

    Others call it an outlier mask or a veto. Meant for tokens that one of the two all but excludes, hence the wide
    bounds.

    Args:
        low: Completions with a token of a smaller ratio are left out.
        high: Completions with a token of a larger ratio are left out.
    """

    def __init__(self, low: float = 1e-4, high: float = 100.0) -> None:
        check_bounds(self, low, high)
        self.low = low
        self.high = high

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Shape ``(T,)``, 0 or 1, alike within a completion."""
        outside = 1 - _within(log_ratios(inputs), self.low, self.high)  # (T,)
        return (completion_sum(outside, inputs.completion_index) == 0).double()


class OffPolicyMask(RolloutCorrection):
    """Leaves out completions with a negative advantage that the policy of now has moved away from.

    Such are left out for which ``mean_t(rollout_logprobs - logprobs)``, an estimate of the divergence from engine to
    policy, is above ``threshold``: pushing down what the policy hardly samples any more teaches it nothing and
    destabilises (DeepSeek-V3.2, arXiv 2512.02556, off-policy sequence masking; the paper does not give its threshold).
    The policy's log-probabilities are those of now, not those before the step's first update.

    Args:
        threshold: Nats per token, above 0.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        if not threshold > 0:
            raise Refusal(f"OffPolicyMask needs threshold > 0 nats per token, but got {threshold}.")
        self.threshold = threshold

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Shape ``(T,)``, 0 or 1, alike within a completion."""
        assert inputs.rollout_logprobs is not None
        away = inputs.rollout_logprobs.double() - inputs.logprobs.detach().double()  # (T,)
        far = completion_mean(away, inputs.completion_index) > self.threshold  # (T,)
        return (~(far & (inputs.advantages < 0))).double()


def _within(log_ratio: Tensor, low: float, high: float) -> Tensor:
    ratio = log_ratio.exp()
    return ((ratio >= low) & (ratio <= high)).double()
