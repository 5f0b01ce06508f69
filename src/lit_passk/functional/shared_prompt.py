"""Exact attention of completions that share a prompt, without masks, padding of keys or repeated prompts.

A completion attends to its prompt (all of it) and to itself (causally). Both are plain attentions whose outputs merge
by their log-sum-exps. The flash kernel's backward pass needs of the forward pass only output and log-sum-exp; fed with
the *merged* ones, each part gives exactly its share of the gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward

PADDING = 1.15
"""Sequences this much shorter than a call's longest still ride along, padded: fewer calls for little waste."""


@dataclass(frozen=True, slots=True)
class Rows:
    """B runs of at most L rows of a ``(S, heads, head_dim)`` tensor."""

    run: slice | None
    """The rows, when there is one run: no copy is made."""
    index: Tensor | None = None
    """Shape ``(B, L)``; a short run repeats its first row."""
    padding: Tensor | None = None
    """Where ``index`` is such a repetition, shape ``(B, L)``, bool; None when nowhere."""
    real: Tensor | None = None
    """Places of the other entries in the flattened ``index``, shape ``(rows,)``."""

    def take(self, x: Tensor, zero_padding: bool = False) -> Tensor:
        """Read the runs: ``(B, heads, L, head_dim)`` of ``(S, heads, head_dim)``, or ``(B, heads, L)`` of 2-D."""
        if self.index is None:
            return x[self.run][None].transpose(1, 2)
        out = x[self.index]
        if zero_padding and self.padding is not None:
            out.masked_fill_(self.padding[..., None, None], 0)
        return out.transpose(1, 2)

    def put(self, into: Tensor, x: Tensor, add: bool = False) -> None:
        """Write ``(B, heads, L[, head_dim])`` to the runs, or add it to what is there."""
        x = x.transpose(1, 2)
        if self.index is None:
            rows = into[self.run]
            rows.add_(x[0]) if add else rows.copy_(x[0])
            return
        index, x = self.index.flatten(), x.flatten(0, 1)
        if self.real is not None:
            index, x = index[self.real], x[self.real]
        into[index] = x + into[index] if add else x


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the kernel: rows that ask, rows that are seen."""

    query: Rows
    key: Rows
    causal: bool

    def attend(self, q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Output ``(B, heads, L, head_dim)`` and log-sum-exp ``(B, heads, L)``."""
        return _forward(self.query.take(q), self.key.take(k), self.key.take(v), 0.0, self.causal, scale=scale)

    def differentiate(self, grad: Tensor, saved: Sequence[Tensor], scale: float) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of queries, keys and values, each ``(B, heads, L, head_dim)``."""
        q, k, v, out, lse = saved
        return _backward(
            self.query.take(grad, zero_padding=True),  # so that padded queries leave keys and values alone
            self.query.take(q),
            self.key.take(k),
            self.key.take(v),
            self.query.take(out),
            self.query.take(lse),
            0.0,
            self.causal,
            scale=scale,
        )


class SharedPromptPlan:
    """The kernel calls of a micro-batch: prompts over themselves, completions over themselves, over their prompts.

    Args:
        prompt_lengths: Tokens of each prompt; their rows come first.
        fed_lengths: Tokens of each completion; their rows follow.
        prompt_of: Prompt of each completion, ascending.
        device: Where the tokens are.
    """

    def __init__(
        self, prompt_lengths: Sequence[int], fed_lengths: Sequence[int], prompt_of: Sequence[int], device: torch.device
    ) -> None:
        self.num_prompt_rows = sum(prompt_lengths)
        prompts = _runs(prompt_lengths, 0)
        completions = _runs(fed_lengths, self.num_prompt_rows)
        own = [_rows(runs, device) for runs in _alike(completions)]
        self.within = [Call(rows, rows, True) for rows in (*(_rows(r, device) for r in _alike(prompts)), *own)]
        asked: dict[int, slice] = {}  # the rows of all completions of a prompt
        for p, run in zip(prompt_of, completions, strict=True):
            if run.stop > run.start:
                asked[p] = slice(asked.get(p, run).start, run.stop)
        self.across = [
            Call(_rows([asked[p] for p in part], device), _rows([prompts[p] for p in part], device), False)
            for part in _alike_prompts(asked, prompt_lengths)
        ]


def shared_prompt_attention(q: Tensor, k: Tensor, v: Tensor, plan: SharedPromptPlan, scale: float) -> Tensor:
    """Attention of a packed micro-batch on the CPU.

    Args:
        q: Queries, shape ``(S, heads, head_dim)``.
        k: Keys, same shape.
        v: Values, same shape.
        plan: Which rows attend together.
        scale: Factor on the scores.

    Returns:
        Shape ``(S, heads, head_dim)``.

    Example:
        >>> plan = SharedPromptPlan([1], [1, 1], [0, 0], torch.device("cpu"))  # one prompt token, two completions
        >>> q = torch.zeros(3, 1, 2)  # every score is 0: each token averages what it sees
        >>> v = torch.tensor([[[2.0, 2.0]], [[4.0, 4.0]], [[8.0, 8.0]]])
        >>> shared_prompt_attention(q, q, v, plan, 1.0)[:, 0, 0]
        tensor([2., 3., 5.])

    """
    return _SharedPromptAttention.apply(q, k, v, plan, scale)


class _SharedPromptAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, plan: SharedPromptPlan, scale: float) -> Tensor:
        out, lse = torch.empty_like(q), q.new_empty(q.shape[:2], dtype=torch.promote_types(q.dtype, torch.float32))
        for call in plan.within:
            part, part_lse = call.attend(q, k, v, scale)
            call.query.put(out, part)
            call.query.put(lse, part_lse)
        for call in plan.across:
            far, far_lse = call.attend(q, k, v, scale)
            near, near_lse = call.query.take(out), call.query.take(lse)
            merged = torch.logaddexp(near_lse, far_lse)
            near = near * (near_lse - merged).exp_()[..., None] + far * (far_lse - merged).exp_()[..., None]
            call.query.put(out, near)
            call.query.put(lse, merged)
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.plan, ctx.scale = plan, scale
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # read once: checkpointed blocks are computed again for it
        grads = [torch.empty_like(x) for x in saved[:3]]
        for call in (*ctx.plan.within, *ctx.plan.across):
            parts = call.differentiate(grad, saved, ctx.scale)
            for rows, into, part in zip((call.query, call.key, call.key), grads, parts, strict=True):
                rows.put(into, part, add=not call.causal)  # every row is in one causal call, and that came first
        return *grads, None, None


def _runs(lengths: Sequence[int], start: int) -> list[slice]:
    """Runs of rows, end to end from ``start``."""
    runs = []
    for length in lengths:
        runs.append(slice(start, start + length))
        start += length
    return runs


def _alike(runs: Sequence[slice]) -> Iterator[list[slice]]:
    """The runs that are not empty, in parts of nearly equal lengths."""
    part: list[slice] = []
    for run in sorted(runs, key=_length, reverse=True):
        if _length(run) == 0:
            break
        if part and _length(part[0]) > PADDING * _length(run) + 1:
            yield part
            part = []
        part.append(run)
    if part:
        yield part


def _alike_prompts(asked: dict[int, slice], prompt_lengths: Sequence[int]) -> Iterator[list[int]]:
    """Prompts of exactly equal lengths, for keys cannot be padded without a mask, that are asked by alike many rows."""
    by_length: dict[int, dict[int, int]] = {}
    for p, run in asked.items():
        by_length.setdefault(prompt_lengths[p], {})[run.start] = p
    for owners in by_length.values():
        for part in _alike([asked[p] for p in owners.values()]):
            yield [owners[run.start] for run in part]


def _length(run: slice) -> int:
    return run.stop - run.start


def _rows(runs: Sequence[slice], device: torch.device) -> Rows:
    """Index tensors for several runs; none for one."""
    if len(runs) == 1:
        return Rows(runs[0])
    starts, lengths = (torch.tensor(n, device=device) for n in zip(*((r.start, _length(r)) for r in runs), strict=True))
    place = torch.arange(int(lengths.max()), device=device)
    padding = place >= lengths[:, None]
    index = starts[:, None] + place.where(~padding, 0)
    if not padding.any():
        return Rows(None, index)
    return Rows(None, index, padding, (~padding).flatten().nonzero()[:, 0])
