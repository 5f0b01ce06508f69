"""Tokens of high covariance left out (Clip-Cov, arXiv 2505.22617)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.functional.policy_loss import clipped_surrogate
from lit_passk.functional.random import derive_seed
from lit_passk.logged import Logged
from lit_passk.losses.base import LossInputs, LossOutput, PolicyLoss, check_clip, clip_fractions, covariances

LOGGED = (
    Logged(
        "train/loss/left_out",
        means="Share of the tokens whose gradient `ClipCovLoss` left out.",
        healthy="About its `share`.",
        otherwise="0: no token's covariance lies between `cov_low` and `cov_high`.",
    ),
)


class ClipCovLoss(PolicyLoss):
    """``ClippedLoss`` without the gradient of a few tokens that would lower the entropy most.

    The entropy falls where likely tokens have high advantages: by the covariance of the two. Of the N tokens of an
    update, ``share * N`` (at least 1) drawn at random among those whose part in it (``losses.base.covariances``) lies
    between ``cov_low`` and ``cov_high`` have no loss. Tokens that the clip holds back already are not drawn.

    Section 4.2 of version 1 of the paper, the draw as in the authors' code. N and the means are over all micro-batches
    and ranks of the update (other implementations take each micro-batch by itself) and over the tokens with an
    advantage (the paper's runs have no others: they filter groups without signal).

    Args:
        share: Share of the tokens to leave out, in (0, 1].
        cov_low: Covariance above which a token may be drawn.
        cov_high: Covariance below which a token may be drawn.
        clip_low: The ratio counts down to ``1 - clip_low``.
        clip_high: The ratio counts up to ``1 + clip_high``.
        seed: Of the draw, with the number of the update.

    Example:
        >>> inputs = LossInputs(
        ...     logprobs=torch.tensor([-0.5, -1.0, -6.0], requires_grad=True),
        ...     old_logprobs=torch.tensor([-0.5, -1.0, -6.0]),
        ...     advantages=torch.tensor([1.0, 1.0, -1.0]),
        ...     weights=torch.full((3,), 1 / 3),
        ...     completion_index=torch.tensor([0, 0, 1]),
        ... )
        >>> covariances(inputs).round(decimals=4)
        tensor([1.3333, 1.0000, 4.6667], dtype=torch.float64)
        >>> ClipCovLoss(share=0.5, cov_low=1.2, cov_high=3.0).select(inputs, update=0)
        tensor([ True, False, False])

    """

    def __init__(
        self,
        share: float = 2e-4,
        cov_low: float = 1.0,
        cov_high: float = 5.0,
        clip_low: float = 0.2,
        clip_high: float = 0.2,
        seed: int = 0,
    ) -> None:
        check_clip("ClipCovLoss", clip_low, clip_high)
        if not 0 < share <= 1 or not cov_low < cov_high:
            raise Refusal(
                f"ClipCovLoss needs a share in (0, 1] and cov_low < cov_high, but got {share}, {cov_low} and "
                f"{cov_high}."
            )
        self.share = share
        self.cov_low = cov_low
        self.cov_high = cov_high
        self.clip_low = clip_low
        self.clip_high = clip_high
        self.seed = seed

    def select(self, inputs: LossInputs, update: int) -> Tensor:
        """Draw the tokens to leave out, shape ``(T,)``, bool."""
        values = covariances(inputs)  # (T,), on the CPU as all below
        ratio = (inputs.logprobs.detach() - inputs.old_logprobs).exp()  # (T,)
        low, high = clip_fractions(ratio, inputs.advantages, self.clip_low, self.clip_high).values()
        eligible = (values > self.cov_low) & (values < self.cov_high) & ~(low | high).cpu()  # (T,)
        candidates = eligible.nonzero()[:, 0]
        number = max(1, int(self.share * int(values.isfinite().sum())))
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "clip_cov", update))
        drawn = candidates[torch.randperm(len(candidates), generator=generator)[:number]]
        return torch.zeros_like(eligible).index_fill(0, drawn, True)

    def __call__(self, inputs: LossInputs) -> LossOutput:
        """Weighted sum of token losses.

        Metrics: ``left_out`` (the share drawn), ``clip_fraction_low``, ``clip_fraction_high``, ``approx_kl``. Without
        ``inputs.selected`` the inputs are taken for the whole update.
        """
        selected = self.select(inputs, update=0) if inputs.selected is None else inputs.selected  # (T,)
        selected = selected.to(inputs.logprobs.device)
        ratio = (inputs.logprobs - inputs.old_logprobs).exp()  # (T,)
        losses = -clipped_surrogate(ratio, inputs.advantages, self.clip_low, self.clip_high)
        clipped = clip_fractions(ratio, inputs.advantages, self.clip_low, self.clip_high)
        return self.reduce(losses.masked_fill(selected, 0.0), inputs, {"left_out": selected, **clipped})
