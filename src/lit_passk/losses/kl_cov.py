"""A KL penalty on the tokens of highest covariance (KL-Cov, arXiv 2505.22617)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.logged import Logged
from lit_passk.losses.base import LossInputs, LossOutput, PolicyLoss, covariances

LOGGED = (
    Logged(
        "train/loss/penalised",
        means="Share of the tokens that `KLCovLoss` puts its penalty on.",
        healthy="Its `share`.",
    ),
)


class KLCovLoss(PolicyLoss):
    """``-ratio * A``, and for a few tokens that would lower the entropy most ``+ kl_coef * |logprobs - old_logprobs|``.

    The tokens are the ``share * N`` (at least 1) with the highest part in the covariance of log-probability and
    advantage (``losses.base.covariances``). Nothing is clipped, and with one update per step nothing is held back
    either: the penalty's gradient begins when the policy has moved.

    Section 4.2 of version 1 of the paper. N and the means are over all micro-batches and ranks of the
    update (other implementations take each micro-batch by itself) and over the tokens with an advantage (the paper's
    runs have no others: they filter groups without signal).

    Args:
        share: Share of the tokens to penalise, in (0, 1]; the paper takes 2e-3 for 7B and 2e-4 for 32B parameters.
        kl_coef: Weight of the penalty, at least 0; the paper takes 1.

    Example:
        >>> inputs = LossInputs(
        ...     logprobs=torch.tensor([-0.5, -1.0, -6.0], requires_grad=True),
        ...     old_logprobs=torch.tensor([-0.5, -1.0, -6.5]),
        ...     advantages=torch.tensor([1.0, 1.0, -1.0]),
        ...     weights=torch.full((3,), 1 / 3),
        ...     completion_index=torch.tensor([0, 0, 1]),
        ... )
        >>> KLCovLoss(share=0.4).select(inputs, update=0)
        tensor([False, False,  True])
        >>> KLCovLoss(share=0.4)(inputs).loss  # (-1 - 1 + exp(.5) + .5) / 3
        tensor(0.0496, grad_fn=<SumBackward0>)

    """

    def __init__(self, share: float = 2e-4, kl_coef: float = 1.0) -> None:
        if not 0 < share <= 1 or not kl_coef >= 0:
            raise Refusal(f"KLCovLoss needs a share in (0, 1] and kl_coef >= 0, but got {share} and {kl_coef}.")
        self.share = share
        self.kl_coef = kl_coef

    def select(self, inputs: LossInputs, update: int) -> Tensor:
        """The tokens to penalise, shape ``(T,)``, bool."""
        values = covariances(inputs)  # (T,)
        counted = int(values.isfinite().sum())
        number = min(counted, max(1, int(self.share * counted)))
        return torch.zeros_like(values, dtype=torch.bool).index_fill(0, values.topk(number).indices, True)

    def __call__(self, inputs: LossInputs) -> LossOutput:
        """Weighted sum of token losses; metrics: ``penalised`` (the share of tokens), ``approx_kl``.

        Without ``inputs.selected`` the inputs are taken for the whole update.
        """
        selected = self.select(inputs, update=0) if inputs.selected is None else inputs.selected  # (T,)
        selected = selected.to(inputs.logprobs.device)
        log_ratio = inputs.logprobs - inputs.old_logprobs  # (T,)
        losses = -log_ratio.exp() * inputs.advantages + self.kl_coef * log_ratio.abs() * selected
        return self.reduce(losses, inputs, {"penalised": selected})
