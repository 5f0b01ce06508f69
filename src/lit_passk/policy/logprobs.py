"""Log-probabilities and entropies of trained tokens from hidden states, without a (tokens x vocabulary) tensor.

The shift by one (a hidden state predicts the next token) lives in ``predictors`` and nowhere else.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.policy.head import Chunk, Head, Settings, product_dtype


def predictors(before: Tensor, first: Tensor, lengths: Tensor) -> Tensor:
    """Index of the hidden state that predicts each token of several completions.

    Args:
        before: Index of the token before each completion (its prompt's last), shape ``(n,)``, int64.
        first: Index of each completion's own first token, shape ``(n,)``, int64.
        lengths: Tokens of each completion, at least 1, shape ``(n,)``, int64.

    Returns:
        One index per token, completions end to end, shape ``(lengths.sum(),)``, int64.

    Example:
        >>> predictors(torch.tensor([2, 2]), torch.tensor([3, 4]), torch.tensor([2, 3]))
        tensor([2, 3, 2, 4, 5])

    """
    begin = lengths.cumsum(0) - lengths  # (n,)
    column = torch.arange(int(lengths.sum()), device=lengths.device) - torch.repeat_interleave(begin, lengths)  # (C,)
    return torch.where(
        column == 0,
        torch.repeat_interleave(before, lengths),
        torch.repeat_interleave(first, lengths) + column - 1,
    )


def token_logprobs(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    with_entropy: bool = True,
    chunk: Chunk | None = None,
    predictor_index: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Log-probability of each label and entropy of its distribution.

    Matrix products run in the weight's dtype (under autocast in autocast's) with float32 results; everything else is
    float32, the gradient of the weight included. Both outputs have exact gradients.

    Args:
        hidden: Hidden states, shape ``(S, H)``.
        weight: Output embedding, shape ``(V, H)``.
        labels: Token ids, shape ``(T,)``, int64.
        bias: Output bias, shape ``(V,)``.
        temperature: Divides the logits, above 0.
        softcap: Cap on the logits (before the temperature), None for none.
        with_entropy: False returns zeros for the entropy.
        chunk: Size of the pieces in which logits are made, dropped and made again for the backward pass. None keeps
            ``T * V`` float32 numbers until then, which saves a quarter of the matrix products.
        predictor_index: Row of ``hidden`` that predicts each label, shape ``(T,)``, int64; None means row t predicts
            label t.

    Returns:
        Log-probabilities and entropies in nats, each ``(T,)``, float32.

    Raises:
        ValueError: If ``temperature`` is not positive.

    Example:
        >>> hidden, weight = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0], [2.0, 5.0]])
        >>> logprob, entropy = token_logprobs(hidden, weight, torch.tensor([1]))
        >>> logprob.exp().round(decimals=4), entropy.exp().round(decimals=4)  # two equal logits
        (tensor([0.5000]), tensor([2.]))

    """
    if not temperature > 0:
        raise ValueError(f"token_logprobs needs temperature > 0, but got {temperature}. Greedy sampling has no ratio.")
    differentiates = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    keep = chunk is None and differentiates
    settings = Settings(temperature, softcap, with_entropy, chunk, keep, product_dtype(hidden, weight))
    if predictor_index is None:
        predictor_index = torch.arange(len(labels), device=labels.device)
    logprob, entropy = Head.apply(hidden, predictor_index, weight, bias, labels, settings)
    return logprob, entropy


def logits_to_logprobs(
    logits: Tensor, labels: Tensor, temperature: float = 1.0, with_entropy: bool = True
) -> tuple[Tensor, Tensor]:
    """The same from logits ``(T, V)`` that a model has made already, by plain operations.

    Example:
        >>> logprob, entropy = logits_to_logprobs(torch.zeros(1, 4), torch.tensor([2]))
        >>> logprob.exp().round(decimals=4), entropy.exp().round(decimals=4)
        (tensor([0.2500]), tensor([4.]))

    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    logp = torch.log_softmax(logits / temperature, dim=-1)  # (T, V)
    chosen = logp.gather(-1, labels[:, None])[:, 0]  # (T,)
    entropy = -(logp.exp() * logp).sum(-1) if with_entropy else torch.zeros_like(chosen)  # (T,)
    return chosen, entropy
