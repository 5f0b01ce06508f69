"""The advantage of a correct completion when a truncated log-likelihood is maximised (MaxRL, arXiv 2602.02710)."""

from __future__ import annotations

import torch
from torch import Tensor


def truncated_log_table(group_size: int, truncation: int) -> Tensor:
    """Advantage of a correct completion for every number c of correct ones, from 0 to G, and truncation T.

    The gradient of ``-sum_{j<=T} (1 - p)^j / j`` is ``sum_{j<=T} grad pass@j / j``. Each term has the estimator ``G j /
    (G - j) q_j`` per correct completion (a mean over the group), ``q_j = C(G - c, j) / C(G, j)``, exactly centred and
    unbiased, so ``A_pos = sum_{j<=T} G / (G - j) q_j``. At ``T = 1`` that is RLOO, at ``T = G - 1`` it telescopes to
    ``(G - c) / c``.

    Args:
        group_size: Completions G, at least 2.
        truncation: T, from 1 to ``G - 1``.

    Returns:
        Shape ``(G + 1,)``, float64; 0 for c = G, and 0 for c = 0, where there is no correct completion.

    Example:
        >>> truncated_log_table(4, truncation=1), truncated_log_table(4, truncation=3)
        (tensor([0.0000, 1.0000, 0.6667, 0.3333, 0.0000], dtype=torch.float64), \
tensor([0.0000, 3.0000, 1.0000, 0.3333, 0.0000], dtype=torch.float64))

    """
    assert 1 <= truncation < group_size
    num_wrong = torch.arange(group_size, -1, -1, dtype=torch.float64)[:, None]  # (G + 1, 1) for c = 0 to G
    drawn = torch.arange(truncation, dtype=torch.float64)  # (T,) how many were drawn before
    share_failing = ((num_wrong - drawn).clamp(min=0) / (group_size - drawn)).cumprod(dim=1)  # (G + 1, T), q_1 to q_T
    table = (share_failing * (group_size / (group_size - drawn - 1))).sum(dim=1)  # (G + 1,)
    table[0] = 0.0
    return table
