"""One gradient for a matrix that is input and output embedding at once, and as large as the vocabulary."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from lit_passk.policy.head import running_gradient


class TiedGradient:
    """Adds the gradients of looked up rows to the gradient that the head returns, in place.

    Autograd would fill a second matrix with zeros and those rows, only to add it to the first. One object serves one
    forward pass: ``lookup`` before the layers, ``output`` after them, since a backward pass takes the last first. Where
    the two embeddings are not one trained matrix, both do what happens without this class.

    Args:
        embedding: Input embedding, its weight of shape ``(V, H)``.
        weight: Weight of the output embedding.
        add_to_grad: Whether the head adds to the weight's ``.grad`` in place (``add_to`` of ``token_logprobs``).

    Example:
        >>> embedding = torch.nn.Embedding(5, 2)
        >>> tied = TiedGradient(embedding, embedding.weight)
        >>> hidden = tied.lookup(torch.tensor([1, 3]))
        >>> (hidden @ tied.output().t()).shape
        torch.Size([2, 5])

    """

    def __init__(self, embedding: nn.Module, weight: Tensor, add_to_grad: bool = False) -> None:
        self.embedding, self.weight, self.add_to_grad = embedding, weight, add_to_grad
        is_one = isinstance(embedding, nn.Embedding) and embedding.weight is weight
        self.is_tied = is_one and weight.requires_grad and torch.is_grad_enabled()
        self.gradient: Tensor | None = None
        """The head's, in the backward pass from there to the embedding."""

    def lookup(self, ids: Tensor) -> Tensor:
        """What the embedding returns for token ids, whatever its forward does beside looking up (Gemma's scales)."""
        if not self.is_tied:
            return self.embedding(ids)
        embedding = cast(nn.Embedding, self.embedding)
        sparse, embedding.sparse = embedding.sparse, True  # its backward pass then makes rows, not a matrix
        try:
            weight = _Lookup.apply(embedding.weight, self)
            return torch.func.functional_call(embedding, {"weight": weight}, (ids,))
        finally:
            embedding.sparse = sparse

    def output(self) -> Tensor:
        """The output embedding's weight, for the head to multiply by."""
        return _Output.apply(self.weight, self) if self.is_tied else self.weight


class _Output(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, tied: TiedGradient) -> Tensor:
        ctx.tied = tied
        ctx.set_materialize_grads(False)  # the head returns nothing where it has added to `.grad`
        return weight.view_as(weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, None]:
        ctx.tied.gradient = gradient
        return gradient, None


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, tied: TiedGradient) -> Tensor:
        ctx.tied = tied
        return weight.view_as(weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, rows: Tensor) -> tuple[Tensor | None, None]:
        tied: TiedGradient = ctx.tied
        gradient, tied.gradient = tied.gradient, None
        # A frequent token has thousands of rows: summed in float32 at least, and in the same order every time.
        dtype = torch.promote_types(rows.dtype, torch.float32)
        rows = torch.sparse_coo_tensor(rows._indices(), rows._values().to(dtype), rows.shape, check_invariants=False)
        rows = rows.coalesce()
        if gradient is None and tied.add_to_grad:
            gradient = running_gradient(tied.weight, dtype)
        if gradient is None:  # the loss does not depend on the head
            return rows.to_dense().to(tied.weight.dtype), None
        gradient.index_add_(0, rows.indices()[0], rows.values().to(gradient.dtype))
        return None, None
