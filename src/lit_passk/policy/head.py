"""The autograd function behind ``token_logprobs``: a linear layer, log-sum-exp and entropy, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Chunk(NamedTuple):
    """How much of the logits exists at a time when they are recomputed in the backward pass."""

    tokens: int
    vocab: int


class Settings(NamedTuple):
    """What ``token_logprobs`` was asked for."""

    temperature: float
    softcap: float | None
    with_entropy: bool
    num_top: int
    chunk: Chunk | None
    keep: bool
    """Whether to keep the blocks for the backward pass."""
    dtype: torch.dtype
    """What the operands of the matrix products are rounded to."""


class HeadOutput(NamedTuple):
    """What the policy says of T trained tokens, all of it float32 and differentiable."""

    logprobs: Tensor
    """Log-probability of each token, shape ``(T,)``."""
    entropy: Tensor
    """Entropy of the distribution it was drawn from, shape ``(T,)``, nats; zeros where it was not asked for."""
    top_logprobs: Tensor
    """Log-probabilities of the likeliest tokens there, in descending order, shape ``(T, num_top)``; ``(T, 0)`` where
    they were not asked for."""


class Head(torch.autograd.Function):
    """Log-probabilities and entropy at each label, without logits of all tokens and the whole vocabulary at once.

    What ``plain_token_logprobs`` computes, with its gradients written by hand. Legend: T trained tokens, V entries of
    the vocabulary, H channels, N likeliest tokens; t is a slice of tokens, v a slice of the vocabulary.

    *Forward.* The logits, divided by the temperature, are made one block ``z`` (t, v) at a time, blocks of the
    vocabulary outside, of tokens inside. Of each row of a block are kept its largest entry ``top`` and two sums: of
    ``E = exp(z - top)``, and of ``E (z - top)``. Over all blocks they add up to the log-sum-exp, so that
    ``log p = z - lse``, and to the entropy, the mean of ``lse - z`` under p. The N largest entries of a row are those
    of a block and of the blocks before it.

    *Backward.* The gradient of a row of logits is, for a log-probability, ``(one at its token) - p``, and for its
    entropy, ``-p (log p + entropy)``. Both need p alone, which is ``E exp(top - lse)``: E is kept from the forward pass
    or, with ``chunk``, computed again from the hidden states. A block's gradient is multiplied into the gradients of
    hidden states and weight at once, and dropped.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        predictor_index: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        s: Settings,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See ``token_logprobs``."""
        with torch.autocast(states.device.type, enabled=False):
            hidden = states.index_select(0, predictor_index)  # (S, H) -> (T, H)
            blocks = _Blocks(hidden, weight, bias, s)
            tops, sums, dots = (blocks.rows.new_zeros((len(blocks.columns), len(hidden))) for _ in range(3))  # (V/v, T)
            chosen = blocks.rows.new_zeros(len(hidden))  # (T,), the label's logit
            best = blocks.rows.new_full((len(hidden), s.num_top), -torch.inf)  # (T, N), the largest logits
            best_index = labels.new_zeros(best.shape)
            kept = []
            for number, (v, matrix) in enumerate(blocks.matrices()):
                for t in blocks.row_slices:
                    z = blocks.logits(t, v, matrix)  # (t, v)
                    chosen[t] += _at_label(z, labels[t], v)
                    if s.num_top:
                        best[t], best_index[t] = _largest(z, v, best[t], best_index[t])
                    e, tops[number, t], sums[number, t], dots[number, t] = _call(_exponentials, z, s.with_entropy)
                    if s.keep:
                        kept.append(e)
            top = tops.amax(0)  # (T,), as all below
            log_sum = (sums * (tops - top).exp()).sum(0).log()
            lse = top + log_sum
            # The mean of lse - z, every term of which is positive: nothing cancels.
            entropy = -((tops - lse).exp() * (dots + (tops - lse) * sums)).sum(0) * s.with_entropy
        tokens = torch.cat([labels[:, None], best_index], dim=1)  # (T, 1 + N)
        ctx.save_for_backward(states, predictor_index, weight, bias, tokens, tops, lse, entropy, *kept)
        ctx.settings = s
        ctx.set_materialize_grads(False)
        logprobs = (torch.cat([chosen[:, None], best], dim=1) - top[:, None]) - log_sum[:, None]  # (T, 1 + N)
        logprob, top_logprobs = logprobs[:, 0].contiguous(), logprobs[:, 1:].contiguous()
        ctx.mark_non_differentiable(*([] if s.with_entropy else [entropy]), *([] if s.num_top else [top_logprobs]))
        return logprob, entropy, top_logprobs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, grad_logprob: Tensor | None, grad_entropy: Tensor | None, grad_top: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Gradients of hidden states, weight and bias."""
        states, predictor_index, weight, bias, tokens, tops, lse, entropy, *kept = ctx.saved_tensors
        s: Settings = ctx.settings
        need_hidden, _, need_weight, need_bias, *_ = ctx.needs_input_grad
        with torch.autocast(states.device.type, enabled=False):
            hidden = states.index_select(0, predictor_index)
            blocks = _Blocks(hidden, weight, bias, s)
            rows = blocks.rows
            at_tokens = lse.new_zeros(tokens.shape)  # (T, 1 + N): of the label, of the likeliest
            if grad_logprob is not None:
                at_tokens[:, 0] = grad_logprob / s.temperature
            if grad_top is not None:
                at_tokens[:, 1:] = grad_top / s.temperature
            upstream = at_tokens.sum(1)  # (T,)
            grad_hidden = rows.new_zeros(hidden.shape) if need_hidden else None
            grad_weight = rows.new_empty(weight.shape) if need_weight else None  # the first product is written there
            grad_bias = rows.new_zeros(len(weight)) if need_bias else None
            for number, (v, matrix) in enumerate(blocks.matrices()):
                for t in blocks.row_slices:
                    e = kept[number] if kept else (blocks.logits(t, v, matrix) - tops[number, t, None]).exp_()
                    share = (tops[number, t] - lse[t]).exp()  # (t,): E times this is p
                    slope, offset = -share * upstream[t], None
                    if grad_entropy is not None:
                        # -p (log p + entropy), where log p = log E + top - lse: a part with log E, and one without
                        offset = -share * grad_entropy[t].to(lse.dtype) / s.temperature
                        slope = slope + offset * (tops[number, t] - lse[t] + entropy[t])
                    d = _call(_block_gradient, e, slope, offset)  # (t, v), of the logits
                    _add_at_tokens(d, at_tokens[t], tokens[t], v)
                    if s.softcap is not None:
                        # logit = cap tanh(x / cap), whose slope is 1 - (logit / cap)^2
                        capped = (e.clamp_min(_TINY).log() + tops[number, t, None]) * (s.temperature / s.softcap)
                        d = d * (1 - capped * capped)
                    if grad_bias is not None:
                        grad_bias[v] += d.sum(0)
                    d = d.to(matrix.dtype)
                    if grad_hidden is not None:
                        _add_product(grad_hidden[t], d, matrix, first=False)
                    if grad_weight is not None:
                        _add_product(grad_weight[v], d.t(), blocks.hidden[t], first=t.start == 0)
            if grad_hidden is not None:
                # (T, H) -> (S, H): a prompt's last state predicts the first token of every completion
                grad_hidden = rows.new_zeros(states.shape).index_add_(0, predictor_index, grad_hidden)
        return (
            None if grad_hidden is None else grad_hidden.to(states.dtype),
            None,
            None if grad_weight is None else grad_weight.to(weight.dtype),
            None if grad_bias is None or bias is None else grad_bias.to(bias.dtype),
            None,
            None,
        )


_TINY = torch.finfo(torch.float32).tiny
_BLOCK_BYTES = {"cpu": 2**23}
"""Size of a block of logits that is kept: on a CPU it should stay in the cache until its sums are taken."""


class _Blocks:
    """Cuts the logits into blocks and makes them one at a time."""

    def __init__(self, hidden: Tensor, weight: Tensor, bias: Tensor | None, s: Settings) -> None:
        self.settings, self.weight, self.bias = s, weight, bias
        self.hidden = self.operand(hidden)
        self.rows = hidden.new_empty(0, dtype=torch.float64 if s.dtype == torch.float64 else torch.float32)
        num_rows, num_columns = max(1, len(hidden)), len(weight)
        if s.chunk is None:
            row_step = num_rows
            column_step = max(1024, _BLOCK_BYTES.get(hidden.device.type, 2**28) // (4 * num_rows))
        else:
            row_step, column_step = s.chunk
        self.row_slices = [slice(at, min(at + row_step, num_rows)) for at in range(0, num_rows, row_step)]
        self.columns = [slice(at, min(at + column_step, num_columns)) for at in range(0, num_columns, column_step)]

    def operand(self, x: Tensor) -> Tensor:
        """Round to the products' dtype. Only CUDA multiplies halves into float32; elsewhere float32 is exact."""
        x = x.to(self.settings.dtype)
        return x.float() if x.itemsize < 4 and not x.is_cuda else x

    def matrices(self) -> Iterator[tuple[slice, Tensor]]:
        """Each block of columns with its part of the weight, shape ``(columns, H)``."""
        return ((v, self.operand(self.weight[v])) for v in self.columns)

    def logits(self, t: slice, v: slice, matrix: Tensor) -> Tensor:
        """Logits over temperature, shape ``(rows, columns)``, float32."""
        z = _product(self.hidden[t], matrix.t())
        if self.bias is not None:
            z += self.bias[v]
        if self.settings.softcap is not None:
            z = z.div_(self.settings.softcap).tanh_().mul_(self.settings.softcap)
        return z if self.settings.temperature == 1 else z.div_(self.settings.temperature)


def _exponentials(z: Tensor, with_dot: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``exp(z - top)``, its row maxima ``top``, row sums and row sums of ``exp(z - top) (z - top)``; overwrites z."""
    top = z.amax(1)
    z.sub_(top[:, None])
    if not with_dot:
        z.exp_()
        return z, top, z.sum(1), torch.zeros_like(top)
    e = z.exp()
    return e, top, e.sum(1), z.mul_(e).sum(1)


def _block_gradient(e: Tensor, slope: Tensor, offset: Tensor | None) -> Tensor:
    """``E (slope + offset log E)`` row by row, 0 where E has underflowed."""
    if offset is None:
        return e * slope[:, None]
    return e.clamp_min(_TINY).log_().mul_(offset[:, None]).add_(slope[:, None]).mul_(e)


def _at_label(z: Tensor, labels: Tensor, v: slice) -> Tensor:
    """A row's logit of its label, 0 when that lies in another block. No synchronisation with the device."""
    inside = (labels >= v.start) & (labels < v.stop)
    return torch.where(inside, z.gather(1, (labels - v.start).clamp(0, z.shape[1] - 1)[:, None])[:, 0], 0)


def _largest(z: Tensor, v: slice, before: Tensor, index_before: Tensor) -> tuple[Tensor, Tensor]:
    """A row's N largest logits and their tokens, shape ``(t, N)``, of this block and of those before it."""
    values, columns = z.topk(min(before.shape[1], z.shape[1]), dim=1)
    largest = torch.cat([before, values], dim=1).topk(before.shape[1], dim=1)
    return largest.values, torch.cat([index_before, columns + v.start], dim=1).gather(1, largest.indices)


def _add_at_tokens(d: Tensor, values: Tensor, tokens: Tensor, v: slice) -> None:
    """Add values to a row's entries of some tokens, both ``(t, 1 + N)``, where those lie in this block."""
    inside = (tokens >= v.start) & (tokens < v.stop)
    columns = (tokens - v.start).clamp(0, d.shape[1] - 1)
    d.scatter_add_(1, columns, torch.where(inside, values, 0))


def _product(a: Tensor, b: Tensor) -> Tensor:
    return torch.mm(a, b) if a.itemsize >= 4 else torch.mm(a, b, out_dtype=torch.float32)


def _add_product(total: Tensor, a: Tensor, b: Tensor, first: bool) -> None:
    """Add a matrix product to a float32 total, or write it there the first time."""
    if a.itemsize < 4:
        product = _product(a, b)
        total.copy_(product) if first else total.add_(product)
    elif first:
        torch.mm(a, b, out=total)
    else:
        total.addmm_(a, b)


def product_dtype(hidden: Tensor, weight: Tensor) -> torch.dtype:
    """Autocast's dtype when that is on, else the weight's."""
    device = hidden.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype


_compiled: dict[Any, Any] = {}


def _call(function: Any, e: Tensor, *args: Any) -> Any:
    """Fuse the element-wise passes over a block on a GPU, where they are bound by memory."""
    if e.device.type != "cuda":
        return function(e, *args)
    if function not in _compiled:
        _compiled[function] = torch.compile(function, dynamic=True)
    return _compiled[function](e, *args)
