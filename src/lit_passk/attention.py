"""Attention over a packed micro-batch, called by every layer through transformers' attention interface."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from lit_passk.functional.packing import PackedBatch

NAME = "lit_passk_packed"


class PackedLayout:
    """Who sees whom in a micro-batch, one mask for each window size."""

    def __init__(self, batch: PackedBatch) -> None:
        self.batch = batch
        self._masks: dict[int | None, Tensor] = {}

    def mask(self, window: int | None) -> Tensor:
        """Visibility, shape ``(S, S)``, bool."""
        if window not in self._masks:
            b = self.batch
            distance = b.position_ids[:, None] - b.position_ids[None, :]
            seen = (b.prompt[:, None] == b.prompt[None, :]) & (distance >= 0)
            seen &= (b.branch[None, :] == -1) | (b.branch[:, None] == b.branch[None, :])
            self._masks[window] = seen if window is None else seen & (distance < window)
        return self._masks[window]


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    packed_layout: PackedLayout | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend within groups when a layout is given, else as any padded batch does.

    Args:
        module: The attention layer.
        query: Shape ``(1, heads, S, head_dim)``.
        key: Shape ``(1, key heads, S, head_dim)``.
        value: Shape ``(1, key heads, S, head_dim)``.
        attention_mask: Ignored with a layout.
        dropout: Chance to drop an attention weight.
        scaling: Factor on the scores.
        sliding_window: How many positions back this layer sees, itself included.
        softcap: Cap on the scores.
        packed_layout: Which tokens share a group; None for a padded batch.
        **kwargs: What else the model passes.

    Returns:
        Output of shape ``(1, S, heads, head_dim)``, and None.
    """
    if packed_layout is None:
        if softcap is None:
            return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
        mask = (
            attention_mask
            if attention_mask is not None
            else torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril(
                key.shape[2] - query.shape[2]
            )
        )
    else:
        mask = packed_layout.mask(sliding_window)
    repeat = query.shape[1] // key.shape[1]
    if repeat > 1:
        key, value = key.repeat_interleave(repeat, 1), value.repeat_interleave(repeat, 1)
    if softcap is None:
        out = F.scaled_dot_product_attention(query, key, value, mask, dropout, scale=scaling)
    else:
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        scores = torch.tanh(query @ key.transpose(-1, -2) * (scale / softcap)) * softcap
        weights = scores.masked_fill(~mask, float("-inf")).softmax(-1, dtype=torch.float32).to(query.dtype)
        out = F.dropout(weights, dropout) @ value
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
