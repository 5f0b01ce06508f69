"""Numbers made from solve rates alone: mean@n and coverage at a threshold."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.functional.pass_at_k import check_counts


def mean_at_n(num_correct: Tensor, num_samples: int | Tensor) -> Tensor:
    """Share of each problem's completions that are correct: mean@n, also written avg@n; estimates pass@1.

    Args:
        num_correct: Correct completions of each problem, any shape, integer.
        num_samples: Completions of each problem, one number or one each, at least 1.

    Returns:
        Shape of ``num_correct``, float64 in ``[0, 1]``.

    Example:
        >>> mean_at_n(torch.tensor([1, 4]), num_samples=4)
        tensor([0.2500, 1.0000], dtype=torch.float64)

    """
    correct, samples = check_counts(num_correct, num_samples, ks=[1])
    return correct.to(torch.float64) / samples


def coverage(num_correct: Tensor, num_samples: int | Tensor, threshold: float) -> Tensor:
    """Whether each problem is solved in at least a share ``threshold`` of its completions (Cover@tau).

    The mean over the problems is the coverage. At least one completion must be correct, so ``threshold=0`` counts the
    problems that were ever solved.

    Args:
        num_correct: Correct completions of each problem, any shape, integer.
        num_samples: Completions of each problem, one number or one each, at least 1.
        threshold: Solve rate to reach, in ``[0, 1]``.

    Returns:
        Shape of ``num_correct``, float64, 0 or 1.

    Raises:
        ValueError: For a threshold outside ``[0, 1]``.

    Example:
        >>> coverage(torch.tensor([0, 1, 3, 4]), num_samples=4, threshold=0.75).mean()
        tensor(0.5000, dtype=torch.float64)

    """
    correct, samples = check_counts(num_correct, num_samples, ks=[1])
    return (correct >= threshold_count(threshold, samples).clamp_min(1)).to(torch.float64)


def threshold_count(share: float, total: int | Tensor) -> Tensor:
    """The fewest of ``total`` that make up at least ``share`` of it: ceil(share * total), int64.

    A product that should be whole may come out a little above it (0.07 * 100 is 7.000000000000001 in floats), so one
    part in a billion is forgiven.

    Raises:
        ValueError: For a share outside ``[0, 1]``.

    Example:
        >>> threshold_count(0.07, 100)
        tensor(7)

    """
    if not 0 <= share <= 1:
        raise ValueError(f"A threshold must be a share in [0, 1], but got {share}.")
    return torch.ceil(torch.as_tensor(total, dtype=torch.float64) * share - 1e-9).to(torch.int64)
