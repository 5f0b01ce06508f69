"""How unlikely a completion was, compared with the others of its group."""

from __future__ import annotations

import torch
from torch import Tensor


def rank_ascending(values: Tensor) -> Tensor:
    """How many values of its row are smaller; equal ones share the mean of the ranks they would take.

    Args:
        values: Shape ``(P, G)``, float64.

    Returns:
        Shape ``(P, G)``, float64, from 0 to ``G - 1``.

    Example:
        >>> rank_ascending(torch.tensor([[-0.2, -0.8, -0.5, -0.8]], dtype=torch.float64))
        tensor([[3.0000, 0.5000, 2.0000, 0.5000]], dtype=torch.float64)

    """
    ranked, order = values.sort(dim=-1)  # (P, G)
    rank = torch.arange(values.shape[-1], dtype=torch.float64).expand_as(values)  # (P, G) in ascending order
    equal = ranked[..., 1:] == ranked[..., :-1]  # (P, G - 1)
    if equal.any():
        ends = torch.zeros_like(equal[..., :1])  # (P, 1)
        first = rank.masked_fill(torch.cat([ends, equal], dim=-1), 0.0).cummax(dim=-1).values  # (P, G) of those equal
        last = rank.masked_fill(torch.cat([equal, ends], dim=-1), torch.inf)
        rank = (first + last.flip(-1).cummin(dim=-1).values.flip(-1)) / 2
    return torch.empty_like(values).scatter_(-1, order, rank)


def rare_share(logprobs: Tensor, chosen: Tensor, min_share: float = 1e-6) -> Tensor:
    """Shares in inverse proportion to how likely each chosen completion is among the chosen ones of its row.

    With ``q = softmax(logprobs)`` over the chosen, none below ``min_share``, the share is ``(1 / q_i) / sum_j 1 /
    q_j``.

    Args:
        logprobs: Shape ``(P, G)``, float64.
        chosen: Shape ``(P, G)``, bool.
        min_share: Lower bound of q, so that one completion cannot take everything.

    Returns:
        Shape ``(P, G)``, float64: sums to 1 over the chosen of a row, 0 elsewhere.

    Example:
        >>> rare_share(torch.tensor([[0.5, 0.25, 0.3]]).double().log(), torch.tensor([[True, True, False]]))
        tensor([[0.3333, 0.6667, 0.0000]], dtype=torch.float64)

    """
    # (P, G); NaN in a row where none is chosen, of which nothing is taken
    likely = logprobs.masked_fill(~chosen, -torch.inf).softmax(dim=-1).clamp(min=min_share)
    inverse = torch.where(chosen, 1 / likely, 0.0)
    return inverse / inverse.sum(dim=-1, keepdim=True).clamp(min=1.0)  # each 1/q is at least 1: only empty rows clamp
