"""Log-probabilities and entropies of trained tokens from hidden states."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def token_logprobs(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    with_entropy: bool = True,
) -> tuple[Tensor, Tensor]:
    """Log-probability of each target token and entropy of its distribution.

    Args:
        hidden: Hidden states that predict the targets, shape ``(T, H)``.
        weight: Output embedding, shape ``(V, H)``.
        target: Token ids, shape ``(T,)``, int64.
        bias: Output bias, shape ``(V,)``.
        temperature: Divides the logits.
        softcap: Cap on the logits (before the temperature), None for none.
        with_entropy: False returns zeros for the entropy.

    Returns:
        Log-probabilities and entropies in nats, each ``(T,)``, float32.
    """
    logits = F.linear(hidden, weight, bias)
    if softcap is not None:
        logits = (logits / softcap).tanh() * softcap
    logp = F.log_softmax(logits.float() / temperature, dim=-1)
    chosen = logp.gather(-1, target[:, None])[:, 0]
    entropy = -(logp.exp() * logp).sum(-1) if with_entropy else chosen.detach() * 0
    return chosen, entropy
