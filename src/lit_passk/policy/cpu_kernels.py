"""Torch's flash attention on the CPU, called directly for its log-sum-exp; private operators, so checked before use.

``scaled_dot_product_attention`` runs the same kernels and keeps the log-sum-exp to itself. Without it the attentions of
a completion over its prompt and over itself cannot be merged.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)

aten: Any = torch.ops.aten
NAME = "_scaled_dot_product_flash_attention_for_cpu"
ARGUMENTS = (
    ["query", "key", "value", "dropout_p", "is_causal", "attn_mask", "scale"],
    ["grad_out", "query", "key", "value", "out", "logsumexp", "dropout_p", "is_causal", "attn_mask", "scale"],
)
"""What forward and backward kernel take in the version that this was written for."""


def attention_forward(q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float) -> tuple[Tensor, Tensor]:
    """Output ``(B, heads, L, head_dim)`` and log-sum-exp ``(B, heads, L)`` of queries, keys and values shaped alike."""
    return getattr(aten, NAME)(q, k, v, 0.0, causal, scale=scale)


def attention_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, causal: bool, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of queries, keys and values, from the gradient of the output and both results of the forward pass."""
    return getattr(aten, f"{NAME}_backward")(grad, q, k, v, out, lse, 0.0, causal, scale=scale)


@cache
def kernels_usable() -> bool:
    """Whether this version of torch has both kernels as they are called here; if not, warns, once."""
    fault = _fault()
    if fault is not None:
        log.warning(
            "The CPU attention kernels of torch %s are not those that lit-passk knows: %s. Attention is computed under "
            "masks, as with `kernels: plain`: the same numbers, slower. Install torch 2.13 to have the fast one.",
            torch.__version__,
            fault,
        )
    return fault is None


def _fault() -> str | None:
    """What is wrong with the kernels: gone, other arguments, or other results for three tokens."""
    for name, expected in zip((NAME, f"{NAME}_backward"), ARGUMENTS, strict=True):
        operator = getattr(aten, name, None)
        if operator is None:
            return f"there is no {name}"
        arguments = [argument.name for argument in operator.default._schema.arguments]
        if arguments != expected:
            return f"{name} takes {', '.join(arguments)}"
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        numbers = torch.linspace(-1, 1, 4 * 3 * 8, device="cpu", dtype=torch.float32).sin()
        q, k, v, grad = numbers.view(4, 1, 1, 3, 8)
        try:
            out, lse = attention_forward(q, k, v, True, 0.5)
            found = [out, lse, *attention_backward(grad, q, k, v, out, lse, True, 0.5)]
        except (RuntimeError, TypeError, ValueError) as error:
            return f"{NAME} fails: {error}"
        for x, expected_x in zip(found, _by_definition(grad, q, k, v, 0.5), strict=True):
            if x.shape != expected_x.shape or not torch.allclose(x, expected_x, atol=1e-4):
                return f"{NAME} gives other numbers"
    return None


def _by_definition(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Sequence[Tensor]:
    """Output, log-sum-exp and the three gradients of causal attention, from the formulas."""
    length = q.shape[-2]
    future = torch.ones(length, length, dtype=torch.bool, device=q.device).triu(1)
    scores = (q @ k.mT * scale).masked_fill(future, -torch.inf)  # (B, heads, L, L)
    weights = scores.softmax(-1)
    out = weights @ v
    slope = weights * (grad @ v.mT - (grad * out).sum(-1, keepdim=True))  # of the scores
    return out, scores.logsumexp(-1), slope @ k * scale, slope.mT @ q * scale, weights.mT @ grad
