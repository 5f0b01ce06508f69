"""The arithmetic of policy losses: surrogates at a ratio, means over completions, and what a token weighs."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

Aggregation = Literal["token", "sequence", "constant"]
"""How token losses become one number; see ``token_weights``."""


def token_weights(
    num_tokens: Tensor, aggregation: Aggregation, total_tokens: int, total_completions: int, max_tokens: int
) -> Tensor:
    """The weight of each token of a completion, so that ``sum(weights * token_losses)`` is the aggregated loss.

    ``token``: the mean over all tokens of the batch (DAPO). ``sequence``: the mean over completions of their token
    means (GRPO). ``constant``: the sum over tokens divided by ``total_completions * max_tokens`` (Dr. GRPO), so that
    length changes no token's weight. The totals count the whole batch, over all micro-batches and ranks, with the
    completions that are left out of the forward pass because their advantage is zero.

    Args:
        num_tokens: Tokens of each completion, shape ``(N,)``, integer, at least 1.
        aggregation: ``token``, ``sequence`` or ``constant``.
        total_tokens: Completion tokens of the batch.
        total_completions: Completions of the batch.
        max_tokens: Most tokens a completion may have.

    Returns:
        Shape ``(N,)``, float32: the weight of one token of each completion.

    Raises:
        ValueError: If ``aggregation`` is not one of the three, or a completion is empty.

    Example:
        >>> lengths = torch.tensor([1, 3])
        >>> token_weights(lengths, "token", total_tokens=4, total_completions=2, max_tokens=5)
        tensor([0.2500, 0.2500])
        >>> token_weights(lengths, "sequence", total_tokens=4, total_completions=2, max_tokens=5)
        tensor([0.5000, 0.1667])
        >>> token_weights(lengths, "constant", total_tokens=4, total_completions=2, max_tokens=5)
        tensor([0.1000, 0.1000])

    """
    if (num_tokens < 1).any():
        raise ValueError(f"Every completion needs at least 1 token, but one has {int(num_tokens.min())}.")
    if aggregation == "token":
        return torch.full_like(num_tokens, 1 / total_tokens, dtype=torch.float32)
    if aggregation == "sequence":
        return 1 / (num_tokens.to(torch.float32) * total_completions)
    if aggregation == "constant":
        return torch.full_like(num_tokens, 1 / (total_completions * max_tokens), dtype=torch.float32)
    raise ValueError(f"`aggregation` must be one of {', '.join(get_args(Aggregation))}, but got {aggregation!r}.")


def clipped_surrogate(ratio: Tensor, advantages: Tensor, clip_low: float, clip_high: float) -> Tensor:
    """``min(ratio * A, clip(ratio, 1 - clip_low, 1 + clip_high) * A)``, to be maximised (PPO, arXiv 1707.06347, eq. 7).

    The gradient by ``ratio`` is ``A``, and zero where the ratio has already moved past the bound in the direction the
    advantage asks for.

    Args:
        ratio: ``exp(logprobs - old_logprobs)``, shape ``(T,)``.
        advantages: Shape ``(T,)``.
        clip_low: How far below 1 the ratio may count.
        clip_high: How far above 1 the ratio may count.

    Example:
        >>> ratio, advantages = torch.tensor([1.5, 1.5, 0.5, 0.5]), torch.tensor([1.0, -1.0, 1.0, -1.0])
        >>> clipped_surrogate(ratio, advantages, clip_low=0.2, clip_high=0.2)
        tensor([ 1.2000, -1.5000,  0.5000, -0.8000])

    """
    return torch.minimum(ratio * advantages, ratio.clamp(1 - clip_low, 1 + clip_high) * advantages)


def completion_mean(values: Tensor, completion_index: Tensor) -> Tensor:
    """Replace each token's value by the mean over its completion; differentiable.

    Args:
        values: Shape ``(T,)``.
        completion_index: Which completion a token belongs to, shape ``(T,)``, int64; a completion's tokens lie side by
            side.

    Returns:
        Shape ``(T,)``.

    Example:
        >>> completion_mean(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([4, 4, 7])).round(decimals=4)
        tensor([2., 2., 5.])

    """
    counts = completion_sum(torch.ones_like(values), completion_index)
    return completion_sum(values, completion_index) / counts


def completion_sum(values: Tensor, completion_index: Tensor) -> Tensor:
    """Replace each token's value by the sum over its completion; differentiable, and no waiting for a GPU.

    Args:
        values: Shape ``(T,)``.
        completion_index: Which completion a token belongs to, shape ``(T,)``, int64; a completion's tokens lie side by
            side.

    Returns:
        Shape ``(T,)``.

    Example:
        >>> completion_sum(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([4, 4, 7]))  # exact: small whole numbers
        tensor([4., 4., 5.])

    """
    number = is_first_token(completion_index).cumsum(0) - 1  # (T,), the completions counted from 0
    # As many sums as tokens: how many completions there are only the device knows.
    return torch.zeros_like(values).index_add(0, number, values)[number]


def completion_quantile(values: Tensor, completion_index: Tensor, q: float) -> Tensor:
    """Replace each token's value by a quantile over its completion, by ``torch.quantile``'s rule; no waiting for a GPU.

    Args:
        values: Shape ``(T,)``.
        completion_index: As in ``completion_sum``.
        q: From 0 (the least) to 1 (the largest); between two values the quantile is on the line from one to the other.

    Returns:
        Shape ``(T,)``.

    Example:
        >>> completion_quantile(torch.tensor([1.0, 4.0, 2.0, 7.0]), torch.tensor([0, 0, 0, 1]), 0.5)  # exact: as given
        tensor([2., 2., 2., 7.])

    """
    begins = is_first_token(completion_index)  # (T,)
    number = begins.cumsum(0) - 1  # (T,), the completions counted from 0
    order = values.argsort()
    order = order[number[order].argsort(stable=True)]  # completion by completion, and in each from the least
    ranked = values[order]  # (T,): a completion's values lie where they lay
    first = torch.where(begins, torch.arange(len(values), device=values.device), 0).cummax(0).values  # (T,)
    place = q * (completion_sum(torch.ones_like(values), completion_index) - 1)  # (T,), rank of the quantile
    below = place.floor()
    low, high = ranked[first + below.long()], ranked[first + place.ceil().long()]
    return low + (place - below) * (high - low)


def is_first_token(completion_index: Tensor) -> Tensor:
    """Where a completion begins, shape ``(T,)``, bool; arguments as in ``completion_sum``.

    Example:
        >>> is_first_token(torch.tensor([4, 4, 7]))
        tensor([ True, False,  True])

    """
    first = torch.ones_like(completion_index, dtype=torch.bool)
    first[1:] = completion_index[1:] != completion_index[:-1]
    return first
