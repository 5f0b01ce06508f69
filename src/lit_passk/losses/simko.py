"""The push of a token shared with the likeliest ones beside it (SimKO, CaSP, arXiv 2510.14807)."""

from __future__ import annotations

import torch

from lit_passk.errors import Refusal
from lit_passk.functional.policy_loss import clipped_surrogate, completion_quantile
from lit_passk.logged import Logged
from lit_passk.losses.base import LossInputs, LossOutput, PolicyLoss, check_clip, clip_fractions

LOGGED = (
    Logged(
        "train/loss/shared",
        means="With `SimKOLoss`: share of the tokens whose push up is shared with the likeliest tokens beside them.",
        healthy="About `1 - entropy_quantile` times the share of tokens with an advantage above 0.",
    ),
    Logged(
        "train/loss/top_penalised",
        means="With `SimKOLoss`: share of the tokens whose push down is `top_penalty` times as large: the undecided "
        "ones of completions with an advantage below 0 where the policy's first choice was sampled.",
    ),
)


class SimKOLoss(PolicyLoss):
    """``ClippedLoss`` that keeps alternatives alive where the policy is undecided; since version 3 the paper says CaSP.

    It changes the tokens whose entropy is above a quantile of their completion's, and no others. There, with ``r`` the
    ratio of the sampled token, ``r_n`` that of the n-th likeliest of N at the same place, and ``sg`` for "without
    gradient"::

        A > 0:  the ratio is (1 - alpha) r + (alpha / N) sum_n sg(r / r_n) r_n
        A < 0:  where the sampled token is the likeliest, A is multiplied by top_penalty

    The first has the value of ``r``, so the bounds hold for the same tokens as in ``ClippedLoss``; of its gradient the
    share ``alpha`` goes to the log-probabilities of the N likeliest, in equal parts. What the N were before the step's
    first update cancels out, and is never asked for. Unlike other losses it differs from REINFORCE with one update a
    step, too.

    Equations of version 3, defaults and the place of ``top_penalty`` (on the advantage, so that the bounds stay where
    they are) of the authors' code. That looks for a reward of exactly 1 where this takes an advantage above 0. It takes
    0.005 to 0.05 for ``alpha`` and 1.05 for ``top_penalty`` on puzzles, code and larger models.

    Args:
        num_top: N, at least 1.
        alpha: Share of the push that goes to the N likeliest, from 0 to 1.
        entropy_quantile: Quantile of a completion's entropies above which a token is changed, from 0 to 1.
        top_penalty: Factor on negative advantages where the sampled token was the likeliest, at least 0; 1 for none.
        clip_low: The ratio counts down to ``1 - clip_low``.
        clip_high: The ratio counts up to ``1 + clip_high``.

    Example:
        >>> logprobs = torch.tensor([[0.6, 0.3, 0.1], [0.9, 0.08, 0.02]]).log().requires_grad_()  # of three tokens
        >>> inputs = LossInputs(
        ...     logprobs=logprobs[:, 1],  # the second was sampled twice
        ...     old_logprobs=logprobs[:, 1].detach(),
        ...     advantages=torch.ones(2),
        ...     weights=torch.ones(2),
        ...     completion_index=torch.tensor([0, 0]),
        ...     entropy=-(logprobs * logprobs.exp()).sum(dim=1),
        ...     top_logprobs=logprobs[:, :2],
        ... )
        >>> SimKOLoss(num_top=2, alpha=0.1)(inputs).loss.backward()
        >>> logprobs.grad  # the first place is the undecided one
        tensor([[-0.0500, -0.9500,  0.0000],
                [ 0.0000, -1.0000,  0.0000]])

    """

    needs_entropy = True

    def __init__(
        self,
        num_top: int = 3,
        alpha: float = 0.01,
        entropy_quantile: float = 0.8,
        top_penalty: float = 1.1,
        clip_low: float = 0.2,
        clip_high: float = 0.2,
    ) -> None:
        check_clip("SimKOLoss", clip_low, clip_high)
        if num_top < 1 or not 0 <= alpha <= 1 or not 0 <= entropy_quantile <= 1 or not top_penalty >= 0:
            raise Refusal(
                "SimKOLoss needs num_top >= 1, alpha and entropy_quantile in [0, 1] and top_penalty >= 0, but got "
                f"{num_top}, {alpha}, {entropy_quantile} and {top_penalty}."
            )
        self.num_top = num_top
        self.alpha = alpha
        self.entropy_quantile = entropy_quantile
        self.top_penalty = top_penalty
        self.clip_low = clip_low
        self.clip_high = clip_high

    def __call__(self, inputs: LossInputs) -> LossOutput:
        """Weighted sum of token losses.

        Metrics: ``shared`` and ``top_penalised`` (the shares of tokens that are changed in either way),
        ``clip_fraction_low``, ``clip_fraction_high``, ``approx_kl``.
        """
        top = inputs.top_logprobs  # (T, N)
        if inputs.entropy is None or top is None or top.shape[1] != self.num_top:
            raise ValueError(
                f"SimKOLoss needs `entropy` and `top_logprobs` of {self.num_top} tokens in its inputs (a training run "
                "gives them)."
            )
        logprobs, advantages, entropy = inputs.logprobs, inputs.advantages, inputs.entropy.detach()  # (T,) each
        undecided = entropy > completion_quantile(entropy, inputs.completion_index, self.entropy_quantile)  # (T,)
        shared = undecided & (advantages > 0)
        penalised = undecided & (advantages < 0) & (logprobs >= top[:, 0])
        elsewhere = top.mean(dim=1) - logprobs  # (T,): its gradient moves the push from the token to the likeliest
        logprobs = logprobs + torch.where(shared, self.alpha * (elsewhere - elsewhere.detach()), 0.0)
        ratio = (logprobs - inputs.old_logprobs).exp()  # (T,)
        scaled = torch.where(penalised, self.top_penalty * advantages, advantages)
        losses = -clipped_surrogate(ratio, scaled, self.clip_low, self.clip_high)
        clipped = clip_fractions(ratio, advantages, self.clip_low, self.clip_high)
        return self.reduce(losses, inputs, {"shared": shared, "top_penalised": penalised, **clipped})
