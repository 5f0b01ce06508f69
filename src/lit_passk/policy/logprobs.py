"""Log-probabilities and entropies at trained tokens from hidden states, without a (tokens x vocabulary) tensor.

The shift by one (a hidden state predicts the next token) lives in ``predictors`` and nowhere else.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.policy.head import Chunk, Head, HeadOutput, Settings, product_dtype


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
    num_top: int = 0,
) -> HeadOutput:
    """Log-probability of each label, entropy of its distribution, log-probabilities of the likeliest tokens there.

    Matrix products run in the weight's dtype (under autocast in autocast's) with float32 results; everything else is
    float32, the gradient of the weight included. All outputs have exact gradients.

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
        num_top: How many of the likeliest tokens to tell of; of equally likely ones either may be taken.

    Returns:
        Log-probabilities and entropies in nats, each ``(T,)``, and those of the likeliest, ``(T, num_top)``; float32.

    Raises:
        ValueError: If ``temperature`` is not positive, or there are fewer than ``num_top`` tokens.

    Example:
        >>> hidden, weight = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0], [2.0, 5.0]])
        >>> logprob, entropy, top = token_logprobs(hidden, weight, torch.tensor([1]), num_top=1)
        >>> logprob.exp().round(decimals=4), entropy.exp().round(decimals=4)  # two equal logits
        (tensor([0.5000]), tensor([2.]))
        >>> top.exp().round(decimals=4)
        tensor([[0.5000]])

    """
    if not temperature > 0:
        raise ValueError(f"token_logprobs needs temperature > 0, but got {temperature}. Greedy sampling has no ratio.")
    _check_num_top(num_top, len(weight))
    differentiates = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    keep = chunk is None and differentiates
    settings = Settings(temperature, softcap, with_entropy, num_top, chunk, keep, product_dtype(hidden, weight))
    if predictor_index is None:
        predictor_index = torch.arange(len(labels), device=labels.device)
    return HeadOutput(*Head.apply(hidden, predictor_index, weight, bias, labels, settings))


def _check_num_top(num_top: int, vocabulary: int) -> None:
    if not 0 <= num_top <= vocabulary:
        raise Refusal(f"The {num_top} likeliest tokens were asked for, but the policy's vocabulary has {vocabulary}.")


def logits_to_logprobs(
    logits: Tensor, labels: Tensor, temperature: float = 1.0, with_entropy: bool = True, num_top: int = 0
) -> HeadOutput:
    """The same from logits ``(T, V)`` that a model has made already, by plain operations.

    Example:
        >>> logprob, entropy, _ = logits_to_logprobs(torch.zeros(1, 4), torch.tensor([2]))
        >>> logprob.exp().round(decimals=4), entropy.exp().round(decimals=4)
        (tensor([0.2500]), tensor([4.]))

    """
    _check_num_top(num_top, logits.shape[-1])
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    logp = torch.log_softmax(logits / temperature, dim=-1)  # (T, V)
    chosen = logp.gather(-1, labels[:, None])[:, 0]  # (T,)
    entropy = -(logp.exp() * logp).sum(-1) if with_entropy else torch.zeros_like(chosen)  # (T,)
    return HeadOutput(chosen, entropy, logp.topk(num_top).values)
