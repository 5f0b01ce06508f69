"""Three estimators of KL(policy || reference) from sampled tokens (Schulman, http://joschu.net/blog/kl-approx.html).

With ``d = logprobs - ref_logprobs`` of a token that the policy sampled:

========= =================== ========================= ============================================================
estimator value               derivative by ``logprobs`` as a loss term, the expected gradient is that of
========= =================== ========================= ============================================================
k1        ``d``               ``1``                     nothing: it is zero. A value to log, not a penalty.
k2        ``d^2 / 2``         ``d``                     KL(policy || reference), exactly. The value is biased.
k3        ``exp(-d) - 1 + d`` ``1 - exp(-d)``           KL(reference || policy). The value is unbiased and never < 0.
========= =================== ========================= ============================================================

Values: k1 and k3 have the mean KL(policy || reference); k1 has the larger variance and may be negative. The gradients
hold for the distribution of one token, sampled from the current policy: what a token does to the prefixes of later
ones is left out, as in every per-token penalty.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

KLEstimator = Literal["k1", "k2", "k3"]
"""Which estimator of KL(policy || reference) is used."""


def kl_estimate(logprobs: Tensor, ref_logprobs: Tensor, estimator: KLEstimator) -> Tensor:
    """Estimate KL(policy || reference) at each sampled token.

    Args:
        logprobs: The policy's log-probability of each token it sampled, shape ``(T,)``.
        ref_logprobs: The reference's log-probability of the same tokens, shape ``(T,)``.
        estimator: ``k1``, ``k2`` or ``k3``; see the table above for what their gradients do.

    Returns:
        Shape ``(T,)``, nats, differentiable by ``logprobs``.

    Raises:
        ValueError: If ``estimator`` is not one of the three.

    Example:
        >>> import torch
        >>> logprobs, ref_logprobs = torch.tensor([-1.0, -2.0]), torch.tensor([-1.5, -1.5])
        >>> kl_estimate(logprobs, ref_logprobs, "k3")
        tensor([0.1065, 0.1487])

    """
    difference = logprobs - ref_logprobs
    if estimator == "k1":
        return difference
    if estimator == "k2":
        return difference.square() / 2
    if estimator == "k3":
        return (-difference).expm1() + difference
    raise ValueError(f"The KL estimator must be one of {', '.join(get_args(KLEstimator))}, but got {estimator!r}.")
