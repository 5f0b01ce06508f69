"""Exact attention on the CPU of completions that share a prompt, without masks or repeated prompts.

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

from lit_passk.policy.cpu_kernels import attention_backward, attention_forward

PADDING = 1.15
"""Sequences this much shorter than a call's longest still ride along, padded: fewer calls for little waste."""


@dataclass(frozen=True, slots=True)
class Rows:
    """B runs of at most L rows of a ``(S, heads, head_dim)`` tensor."""

    runs: tuple[slice, ...]
    index: Tensor | None = None
    """Rows of all runs, a short run filled up with its first, shape ``(B * L,)``; None for one run: no copy is made."""
    padding: Tensor | None = None
    """What was filled up, shape ``(B, L)``, bool; None when nothing was."""

    def take(self, x: Tensor, zero_padding: bool = False) -> Tensor:
        """Read the runs: ``(B, heads, L, head_dim)`` of ``(S, heads, head_dim)``, or ``(B, heads, L)`` of 2-D."""
        if self.index is None:
            return x[self.runs[0]][None].transpose(1, 2)
        # Rows of a matrix are copied whole, several times faster than by x[index].
        out = x.flatten(1).index_select(0, self.index).view(len(self.runs), -1, *x.shape[1:])  # (B, L, heads, head_dim)
        if zero_padding and self.padding is not None:
            out.masked_fill_(self.padding[..., None, None], 0)
        return out.transpose(1, 2)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the kernel: rows that ask, rows that are seen."""

    query: Rows
    key: Rows
    causal: bool

    def attend(self, q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Output ``(B, heads, L, head_dim)`` and log-sum-exp ``(B, heads, L)``."""
        return attention_forward(self.query.take(q), self.key.take(k), self.key.take(v), self.causal, scale)

    def differentiate(self, grad: Tensor, saved: Sequence[Tensor], scale: float) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of queries, keys and values, each ``(B, heads, L, head_dim)``."""
        q, k, v, out, lse = saved
        return attention_backward(
            self.query.take(grad, zero_padding=True),  # so that padded queries leave keys and values alone
            self.query.take(q),
            self.key.take(k),
            self.key.take(v),
            self.query.take(out),
            self.query.take(lse),
            self.causal,
            scale,
        )


class SharedPromptPlan:
    """The kernel calls of a micro-batch.

    Args:
        prompt_lengths: Tokens of each prompt; their rows come first.
        fed_lengths: Tokens of each completion; their rows follow.
        prompt_of: Prompt of each completion, ascending.
    """

    def __init__(self, prompt_lengths: Sequence[int], fed_lengths: Sequence[int], prompt_of: Sequence[int]) -> None:
        self.num_prompt_rows = at = sum(prompt_lengths)
        num_rows = at + sum(fed_lengths)
        prompts, completions = _runs(prompt_lengths, 0), _runs(fed_lengths, at)
        own = [_rows(part) for runs in (prompts, completions) for part in _alike(runs)]
        self.within = [Call(rows, rows, True) for rows in own]
        """Prompts and completions over themselves."""
        self.within_order = _order(own, 0, num_rows)
        asked: dict[int, slice] = {}  # the rows of all completions of a prompt
        for p, run in zip(prompt_of, completions, strict=True):
            if run.stop > run.start:
                asked[p] = slice(asked.get(p, run).start, run.stop)
        parts = list(_alike_prompts(asked, prompt_lengths))
        queries, keys = ([_rows([runs[p] for p in part]) for part in parts] for runs in (asked, prompts))
        self.across = [Call(query, key, False) for query, key in zip(queries, keys, strict=True)]
        """Completions over their prompts."""
        self.across_query_order, self.across_key_order = _order(queries, at, num_rows), _order(keys, 0, at)


def shared_prompt_attention(q: Tensor, k: Tensor, v: Tensor, plan: SharedPromptPlan, scale: float) -> Tensor:
    """Attention of a packed micro-batch on the CPU.

    Args:
        q: Queries, shape ``(S, heads, head_dim)``.
        k: Keys, shape ``(S, key heads, head_dim)``; each serves as many heads in a row.
        v: Values, shaped like the keys.
        plan: Which rows attend together.
        scale: Factor on the scores.

    Returns:
        Shape ``(S, heads, head_dim)``.

    Example:
        >>> plan = SharedPromptPlan([1], [1, 1], [0, 0])  # one prompt token, two completions
        >>> q = torch.zeros(3, 1, 2)  # every score is 0: each token averages what it sees
        >>> v = torch.tensor([[[2.0, 2.0]], [[4.0, 4.0]], [[8.0, 8.0]]])
        >>> shared_prompt_attention(q, q, v, plan, 1.0)[:, 0, 0].round(decimals=4)
        tensor([2., 3., 5.])

    """
    return _SharedPromptAttention.apply(q, k, v, plan, scale)


class _SharedPromptAttention(torch.autograd.Function):
    """What ``plain_attention`` computes without window, cap and dropout, with its gradients put together by hand.

    *Forward.* ``within``: every prompt and every completion over itself, causally. ``across``: completions over their
    prompts. Softmax over both parts of what a completion sees is the mean of the parts' outputs, weighted by the
    exponentials of their log-sum-exps; ``merged`` is the log-sum-exp of both.

    *Backward.* The gradient of a score is ``p (dp - out . grad)``, where ``p = exp(score - lse)``. Given the merged
    ``out`` and ``lse``, each call of the kernel makes that p for the keys it sees, so the calls' gradients add up.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, few_k: Tensor, few_v: Tensor, plan: SharedPromptPlan, scale: float) -> Tensor:
        k, v = _repeat(few_k, q), _repeat(few_v, q)  # (S, heads, head_dim)
        outs, lses = zip(*(call.attend(q, k, v, scale) for call in plan.within), strict=True)
        # (S, heads, head_dim) and (S, heads)
        out, lse = _lay_out(outs, plan.within_order), _lay_out(lses, plan.within_order)
        if plan.across:
            outs, lses = zip(*(call.attend(q, k, v, scale) for call in plan.across), strict=True)
            far, far_lse = _lay_out(outs, plan.across_query_order), _lay_out(lses, plan.across_query_order)
            near, near_lse = out[plan.num_prompt_rows :], lse[plan.num_prompt_rows :]  # views on completions' rows
            merged = torch.logaddexp(near_lse, far_lse)
            near *= (near_lse - merged).exp_()[..., None]
            near += far.mul_((far_lse - merged).exp_()[..., None])
            near_lse.copy_(merged)
        ctx.save_for_backward(q, few_k, few_v, out, lse)
        ctx.plan, ctx.scale = plan, scale
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        plan, at = ctx.plan, ctx.plan.num_prompt_rows
        q, few_k, few_v, out, lse = ctx.saved_tensors
        saved = q, _repeat(few_k, q), _repeat(few_v, q), out, lse
        near = zip(*(call.differentiate(grad, saved, ctx.scale) for call in plan.within), strict=True)
        dq, dk, dv = (_lay_out(parts, plan.within_order) for parts in near)
        if plan.across:
            far_q, far_k, far_v = zip(
                *(call.differentiate(grad, saved, ctx.scale) for call in plan.across), strict=True
            )
            dq[at:] += _lay_out(far_q, plan.across_query_order)
            dk[:at] += _lay_out(far_k, plan.across_key_order)
            dv[:at] += _lay_out(far_v, plan.across_key_order)
        # (S, heads, head_dim) -> (S, key heads, head_dim)
        dk, dv = (x.unflatten(1, (few_k.shape[1], -1)).sum(2) if few_k.shape != q.shape else x for x in (dk, dv))
        return dq, dk, dv, None, None


def _repeat(few: Tensor, q: Tensor) -> Tensor:
    """Keys or values once for every head of the queries."""
    return few if few.shape == q.shape else few.repeat_interleave(q.shape[1] // few.shape[1], dim=1)


def _lay_out(parts: Sequence[Tensor], order: Tensor) -> Tensor:
    """Rows of several ``(B, heads, L[, head_dim])`` in the order of the micro-batch; zeros where no part has any."""
    rows = [part.transpose(1, 2).flatten(0, 1).flatten(1) for part in parts]  # (B * L, heads * head_dim) each
    flat = torch.cat([*rows, rows[0].new_zeros(1, rows[0].shape[1])]).index_select(0, order)
    return flat.view(-1, *(parts[0].shape[1:2] + parts[0].shape[3:]))


def _order(parts: Sequence[Rows], start: int, stop: int) -> Tensor:
    """Where each row from ``start`` to ``stop`` is when the parts lie end to end; one past the end for no part's."""
    sizes = [len(rows.runs) * max(map(_length, rows.runs)) for rows in parts]
    order = torch.full((stop - start,), sum(sizes))
    at = 0
    for rows, size in zip(parts, sizes, strict=True):
        there = torch.arange(at, at + size)
        if rows.index is None:
            order[rows.runs[0].start - start : rows.runs[0].stop - start] = there
        else:
            real = slice(None) if rows.padding is None else ~rows.padding.flatten()
            order[rows.index[real] - start] = there[real]
        at += size
    return order


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


def _rows(runs: Sequence[slice]) -> Rows:
    """What is needed to read several runs at once."""
    if len(runs) == 1:
        return Rows(tuple(runs))
    starts, lengths = (torch.tensor(n)[:, None] for n in zip(*((r.start, _length(r)) for r in runs), strict=True))
    column = torch.arange(int(lengths.max()))  # (L,)
    padding = column >= lengths  # (B, L)
    index = (starts + column.where(~padding, 0)).flatten()  # (B * L,)
    return Rows(tuple(runs), index, padding if padding.any() else None)
