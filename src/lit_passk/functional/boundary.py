"""What one more solved attempt at a prompt is worth to pass@k, on average over what its solve rate may be."""

from __future__ import annotations

import torch
from torch import Tensor


def boundary_utility_table(group_size: int, k: int) -> Tensor:
    """Expected slope of pass@k after m of n attempts were correct, for every m from 0 to n (arXiv 2606.15455, eq. 8).

    The slope of pass@k in the solve rate p, averaged over ``p ~ Beta(m + 1, n - m + 1)``, the posterior of a uniform
    prior: ``u(m) = E[k (1 - p)^(k - 1)] = k prod_{j=1}^{k-1} (n - m + j) / (n + 1 + j)``. Over all m it adds up to
    ``n + 1``. ``k`` may exceed n.

    Args:
        group_size: Attempts n, at least 1.
        k: Attempts that pass@k allows, at least 1.

    Returns:
        Shape ``(n + 1,)``, float64, falling.

    Example:
        >>> boundary_utility_table(3, k=2)
        tensor([1.6000, 1.2000, 0.8000, 0.4000], dtype=torch.float64)

    """
    # u(0) = k (n + 1) / (n + k), and one more correct attempt takes the factor (n - m) / (n - m + k - 1).
    num_wrong = torch.arange(group_size, 0, -1, dtype=torch.float64)  # (n,) for m = 0 to n - 1
    first = torch.tensor([k * (group_size + 1) / (group_size + k)], dtype=torch.float64)
    return torch.cat([first, num_wrong / (num_wrong + k - 1)]).cumprod(dim=0)
