"""Attention over a packed micro-batch, called by every layer through transformers' attention interface.

A layer brings its own scale, window and soft cap, so no mask is shared between layers that differ. Three ways:

- CPU, nothing special about the layer: ``shared_prompt_attention``, which computes visible pairs only. A completion's
  attention is the merger of two unmasked-or-causal ones, over its prompt and over itself, by their log-sum-exps.
- CUDA: FlexAttention with one block mask a window size.
- Everything else: ``plain_attention``, one sequence at a time under a mask. That is ``kernels="plain"``; on the CPU a
  window that binds, a soft cap, dropout, or a torch whose kernels have changed; on CUDA dropout and very small heads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from lit_passk.policy.cpu_kernels import kernels_usable
from lit_passk.policy.packed_batch import PackedBatch
from lit_passk.policy.plain import masked_attention, plain_attention
from lit_passk.policy.shared_prompt import SharedPromptPlan, shared_prompt_attention

ATTENTION = "lit_passk_packed"
"""Name under which transformers finds ``packed_attention``."""


USE_FLEX: bool | None = None
"""Whether to use FlexAttention; None means on CUDA. Tests run its definition on the CPU."""
MIN_FLEX_HEAD_DIM = 16
"""Its kernels refuse smaller heads."""


class PackedLayout:
    """Who sees whom in a micro-batch; what attention needs of it is worked out once and serves every layer.

    Args:
        batch: The micro-batch.
        plain: Whether every layer computes by ``plain_attention``.
    """

    def __init__(self, batch: PackedBatch, plain: bool = False) -> None:
        self.batch = batch
        self.flex = not plain and (batch.input_ids.is_cuda if USE_FLEX is None else USE_FLEX)
        self.shares = not plain and batch.input_ids.device.type == "cpu" and kernels_usable()
        """Whether layers with nothing special about them may compute by ``shared_prompt_attention``."""
        self.longest = max(
            max(batch.prompt_lengths),
            *(batch.prompt_lengths[p] + n for p, n in zip(batch.prompt_of, batch.fed_lengths, strict=True)),
            0,
        )
        self._plan: SharedPromptPlan | None = None
        self._block_masks: dict[int | None, BlockMask] = {}

    @property
    def plan(self) -> SharedPromptPlan:
        """Which tokens attend together, for ``shared_prompt_attention``."""
        if self._plan is None:
            b = self.batch
            self._plan = SharedPromptPlan(b.prompt_lengths, b.fed_lengths, b.prompt_of)
        return self._plan

    def binding(self, window: int | None) -> int | None:
        """The window, or None when no sequence of the micro-batch is longer."""
        return None if window is None or window >= self.longest else window

    def block_mask(self, window: int | None) -> BlockMask:
        """Visibility of every token pair as FlexAttention wants it."""
        if window not in self._block_masks:
            b, device = self.batch, self.batch.input_ids.device
            position = b.position_ids
            # Put together on the CPU, where lengths are known: on the device each would be waited for.
            prompt_lengths, fed = torch.tensor(b.prompt_lengths), torch.tensor(b.fed_lengths, dtype=torch.int64)
            # For each token of a prompt (first line) or of a completion (second): which one it belongs to.
            at_prompt = torch.repeat_interleave(prompt_lengths)  # (tokens of prompts,)
            at_branch = torch.repeat_interleave(fed)  # (fed tokens of completions,)
            of_branch = torch.tensor(b.prompt_of, dtype=torch.int64)[at_branch]
            prompt = torch.cat([at_prompt, of_branch]).to(device)  # (S,)
            branch = torch.cat([torch.full_like(at_prompt, -1), at_branch]).to(device)  # (S,), -1 for a prompt's tokens

            def visible(_batch: Tensor, _head: Tensor, i: Tensor, j: Tensor) -> Tensor:
                seen = (prompt[i] == prompt[j]) & ((branch[j] == -1) | (branch[i] == branch[j]))
                seen = seen & (position[j] <= position[i])
                return seen if window is None else seen & (position[i] - position[j] < window)

            self._block_masks[window] = _create_block_mask(visible, len(position), device)
        return self._block_masks[window]


@torch.compiler.disable  # its calls depend on the lengths in a micro-batch; what is worth compiling compiles itself
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
        scaling: Factor on the scores, None for ``head_dim ** -0.5``.
        sliding_window: How many positions back this layer sees, itself included.
        softcap: Cap on the scores.
        packed_layout: Which tokens share a group; None for a padded batch.
        **kwargs: What else the model passes.

    Returns:
        Output of shape ``(1, S, heads, head_dim)``, and None.
    """
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if packed_layout is None:
        return _padded_attention(module, query, key, value, attention_mask, dropout, scale, softcap, kwargs)
    query, key = query.to(value.dtype), key.to(value.dtype)  # under autocast rotary embeddings make them float32
    window = packed_layout.binding(sliding_window)
    if packed_layout.flex and dropout == 0 and query.shape[-1] >= MIN_FLEX_HEAD_DIM:
        return _flex(query, key, value, packed_layout.block_mask(window), scale, softcap), None
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))  # (S, heads, head_dim), fewer heads in k and v
    if packed_layout.shares and window is None and softcap is None and dropout == 0:
        return shared_prompt_attention(q, k, v, packed_layout.plan, scale)[None], None
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))  # as many heads as q has
    return plain_attention(q, k, v, packed_layout.batch, scale, window, softcap, dropout)[None], None


def _padded_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: float,
    scale: float,
    softcap: float | None,
    kwargs: dict[str, Any],
) -> tuple[Tensor, None]:
    """What other callers of the model get, generation among them; the mask is ``sdpa``'s and holds the window."""
    if softcap is None:
        return sdpa_attention_forward(module, query, key, value, mask, dropout, scale, **kwargs)
    if mask is None:
        length, total = query.shape[2], key.shape[2]
        mask = torch.ones(length, total, dtype=torch.bool, device=query.device).tril(total - length)
    key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], dim=1) for x in (key, value))
    return masked_attention(query, key, value, mask, scale, softcap, dropout).transpose(1, 2).contiguous(), None


_compiled: dict[str, Any] = {}


def _compiled_flex() -> Any:
    """FlexAttention needs the compiler to be a kernel; compiled once."""
    if "attention" not in _compiled:
        _compiled["attention"] = torch.compile(flex_attention)
    return _compiled["attention"]


def _create_block_mask(visible: Any, size: int, device: torch.device) -> BlockMask:
    """Compiled on CUDA, where the uncompiled one would hold every pair of tokens."""
    if device.type != "cuda":
        return create_block_mask(visible, None, None, size, size, device=device)
    if "mask" not in _compiled:
        _compiled["mask"] = torch.compile(create_block_mask)
    return _compiled["mask"](visible, None, None, size, size, device=device)


def _flex(query: Tensor, key: Tensor, value: Tensor, mask: BlockMask, scale: float, softcap: float | None) -> Tensor:
    """FlexAttention, compiled on CUDA; output of shape ``(1, S, heads, head_dim)``."""
    cap = None
    if softcap is not None:
        limit = softcap

        def cap(score: Tensor, *_: Tensor) -> Tensor:
            return torch.tanh(score / limit) * limit

    run = _compiled_flex() if query.is_cuda else flex_attention
    out = run(query, key, value, cap, mask, scale, query.shape[1] != key.shape[1])
    return out.transpose(1, 2).contiguous()


AttentionInterface.register(ATTENTION, packed_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
