"""Groups of equal size side by side: strategies see matrices, never a hole."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, GroupSizeWarning


def buckets(owner: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Sort completions into matrices, one for each size that a group has.

    Args:
        owner: Number of the group that each completion belongs to, shape ``(N,)``, int64, in any order.

    Yields:
        Numbers of the groups of one size, ascending, shape ``(P,)``, and the rows of their completions in their order,
        shape ``(P, G)``.

    Example:
        >>> [(groups.tolist(), rows.tolist()) for groups, rows in buckets(torch.tensor([1, 0, 1, 2, 0]))]
        [([2], [[3]]), ([0, 1], [[1, 4], [0, 2]])]

    """
    sizes = owner.bincount()  # (groups,)
    sorted_rows = owner.argsort(stable=True)  # (N,)
    starts = sizes.cumsum(0) - sizes  # (groups,) where each group begins among the sorted rows
    for size in sizes[sizes > 0].unique().tolist():
        groups = (sizes == size).nonzero()[:, 0]  # (P,)
        yield groups, sorted_rows[starts[groups][:, None] + torch.arange(size)]  # (P,), (P, G)


def usable(strategy: AdvantageStrategy, size: int) -> bool:
    """Whether a strategy takes groups of this size."""
    try:
        with no_size_warnings():
            strategy.check_group_size(size)
    except ValueError:
        return False
    return True


@contextmanager
def no_size_warnings() -> Iterator[None]:
    """Silence GroupSizeWarning: groups are small here only because unscored completions are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GroupSizeWarning)
        yield
