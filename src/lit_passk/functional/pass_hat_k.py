"""pass^k: the chance that k completions are all correct."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.functional.pass_at_k import check_counts, fail_at_k_table


def pass_hat_k(num_correct: Tensor, num_samples: int | Tensor, k: int) -> Tensor:
    """Estimate, without bias, the chance that all of ``k`` completions are correct: C(c, k) / C(n, k).

    It is the chance of ``k`` failures with correct and wrong swapped, so small values keep their digits.

    Args:
        num_correct: Correct completions of each problem, any shape, integer.
        num_samples: Completions of each problem, at least ``k``: one number for all, or a tensor that broadcasts.
        k: Completions that must all be correct.

    Returns:
        Probability per problem, float64 in ``[0, 1]``.

    Raises:
        ValueError: If a problem has fewer than ``k`` completions or impossible counts.

    Example:
        >>> pass_hat_k(torch.tensor([0, 2, 4]), num_samples=4, k=2)
        tensor([0.0000, 0.1667, 1.0000], dtype=torch.float64)

    """
    correct, samples = check_counts(num_correct, num_samples, ks=[k])
    result = torch.empty(correct.shape, dtype=torch.float64, device=correct.device)
    for n in samples.unique().tolist():
        chosen = samples == n
        result[chosen] = fail_at_k_table(n, k).to(result.device)[n - correct[chosen]]
    return result
