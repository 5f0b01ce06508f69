"""Soft clipping by a sigmoid (SAPO, arXiv 2511.20347)."""

from __future__ import annotations

import torch

from lit_passk.errors import Refusal
from lit_passk.logged import Logged
from lit_passk.losses.base import LossInputs, LossOutput, PolicyLoss

LOGGED = (
    Logged(
        "train/loss/gate",
        means="Mean of `SAPOLoss`'s gate `4 p (1 - p)`: how much of the gradient it lets through.",
        healthy="1 with one update a step, else above 0.9.",
        otherwise="Lower: see `train/loss/clip_fraction_low`, for which it stands here.",
    ),
)


class SAPOLoss(PolicyLoss):
    """``-(4 / tau) * sigmoid(tau * (ratio - 1)) * A`` with the ratio of each token: a gate in place of a bound.

    With ``p = sigmoid(tau * (ratio - 1))`` the gradient by ``logprobs`` is ``-4 p (1 - p) * ratio * A``: that of
    REINFORCE at a ratio of 1, and fading on both sides of it, never cut. ``tau`` is ``tau_pos`` where the advantage is
    above 0 and ``tau_neg`` elsewhere; the larger it is, the sooner a token fades. Objective and defaults are those of
    version 1 of the paper, which averages over completions: ``aggregation: sequence``.

    Args:
        tau_pos: Above 0.
        tau_neg: Above 0; the paper takes it a little larger, because lowering a token's probability raises those of all
            others.

    Example:
        >>> inputs = LossInputs(
        ...     logprobs=torch.tensor([-0.5, -1.0, -2.0], requires_grad=True),
        ...     old_logprobs=torch.tensor([-1.0, -1.0, -2.0]),
        ...     advantages=torch.tensor([1.0, 1.0, -1.0]),
        ...     weights=torch.full((3,), 1 / 3),
        ...     completion_index=torch.tensor([0, 0, 1]),
        ... )
        >>> SAPOLoss()(inputs).loss
        tensor(-0.9074, grad_fn=<SumBackward0>)

    """

    def __init__(self, tau_pos: float = 1.0, tau_neg: float = 1.05) -> None:
        if not (tau_pos > 0 and tau_neg > 0):
            raise Refusal(f"SAPOLoss needs tau_pos > 0 and tau_neg > 0, but got {tau_pos} and {tau_neg}.")
        self.tau_pos = tau_pos
        self.tau_neg = tau_neg

    def __call__(self, inputs: LossInputs) -> LossOutput:
        """Weighted sum of token losses; metrics: ``gate`` (mean of ``4 p (1 - p)``, 1 on policy), ``approx_kl``."""
        ratio = (inputs.logprobs - inputs.old_logprobs).exp()  # (T,)
        tau = torch.where(inputs.advantages > 0, self.tau_pos, self.tau_neg).to(ratio.dtype)  # (T,)
        p = torch.sigmoid(tau * (ratio - 1))  # (T,)
        return self.reduce(-4 / tau * p * inputs.advantages, inputs, {"gate": 4 * p * (1 - p)})
