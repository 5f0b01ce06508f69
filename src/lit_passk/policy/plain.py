"""The policy's arithmetic written down plainly: no custom gradients, nothing in place, stock operations of torch.

``CausalPolicy(model, kernels="plain")`` computes by ``plain_attention`` and ``plain_token_logprobs`` alone: slower, and
the same up to rounding. They are what the fast kernels are tested against, and what to switch to when a loss looks
wrong. The fast path calls them where a layer, a head or a version of torch is beyond its kernels.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from lit_passk.policy.head import HeadOutput
from lit_passk.policy.logprobs import logits_to_logprobs
from lit_passk.policy.packed_batch import PackedBatch

CHUNK = 512
"""Trained tokens whose logits exist at a time."""


def plain_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    batch: PackedBatch,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Each prompt over itself, then each completion over its prompt and itself, under a mask.

    Args:
        q: Queries, shape ``(S, heads, head_dim)``.
        k: Keys, of the same shape.
        v: Values, of the same shape.
        batch: The micro-batch: which rows are whose.
        scale: Factor on the scores.
        window: How many positions back a token sees, itself included; None for all.
        softcap: Cap on the scores.
        dropout: Chance to drop an attention weight.

    Returns:
        Shape ``(S, heads, head_dim)``.
    """
    starts = accumulate((*batch.prompt_lengths, *batch.fed_lengths), initial=0)
    rows = [slice(start, stop) for start, stop in pairwise(starts)]  # of each prompt, then of each completion
    prompts, completions = rows[: len(batch.prompt_lengths)], rows[len(batch.prompt_lengths) :]
    seen = [[own] for own in prompts]
    seen += [[prompts[p], own] for p, own in zip(batch.prompt_of, completions, strict=True)]
    out = []
    for own, parts in zip(rows, seen, strict=True):
        one_k, one_v = (torch.cat([x[part] for part in parts]).transpose(0, 1) for x in (k, v))  # (heads, L, head_dim)
        position = torch.arange(one_k.shape[1], device=q.device)  # (L,)
        distance = (
            position[len(position) - (own.stop - own.start) :, None] - position
        )  # (own rows, L): how far back a key lies
        mask = (distance >= 0) & (distance < (window or len(position)))
        one = masked_attention(q[own].transpose(0, 1), one_k, one_v, mask, scale, softcap, dropout)
        out.append(one.transpose(0, 1))  # (own rows, heads, head_dim)
    return torch.cat(out)


def masked_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float, softcap: float | None, dropout: float
) -> Tensor:
    """Attention under a boolean mask; soft-capped scores are beyond ``scaled_dot_product_attention``."""
    if softcap is None:
        return F.scaled_dot_product_attention(q, k, v, mask, dropout, scale=scale)
    scores = torch.tanh(q @ k.transpose(-1, -2) * (scale / softcap)) * softcap  # (..., L, keys)
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(v.dtype)
    return F.dropout(weights, dropout) @ v


def plain_token_logprobs(
    head: nn.Module,
    hidden: Tensor,
    batch: PackedBatch,
    temperature: float = 1.0,
    softcap: float | None = None,
    with_entropy: bool = True,
    num_top: int = 0,
) -> HeadOutput:
    """Log-probabilities and entropies at a micro-batch's trained tokens from hidden states ``(S, H)``.

    Logits are made by the module ``head``, whatever it is, a chunk of tokens at a time, and made again for the backward
    pass. See ``token_logprobs``.
    """

    def of_chunk(states: Tensor, labels: Tensor) -> HeadOutput:
        logits = head(states)  # (chunk, V)
        if softcap is not None:
            logits = torch.tanh(logits / softcap) * softcap
        return logits_to_logprobs(logits, labels, temperature, with_entropy, num_top)

    states = hidden[batch.predictor_index]  # (S, H) -> (T, H)
    chunks = zip(states.split(CHUNK), batch.labels.split(CHUNK), strict=True)
    parts = [checkpoint(of_chunk, *chunk, use_reentrant=False) for chunk in chunks]
    return HeadOutput(*(torch.cat(outputs) for outputs in zip(*parts, strict=True)))
