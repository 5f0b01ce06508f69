"""pass@k and max@k from finitely many samples, without bias, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pass_at_k(num_correct: Tensor, num_samples: int | Tensor, k: int) -> Tensor:
    """Estimate, without bias, the chance that at least one of ``k`` completions is correct.

    ``1 - C(n - c, k) / C(n, k)`` for c correct completions among n (Chen et al. 2021, arXiv 2107.03374, eq. 1; the
    Pass@k training paper, arXiv 2508.10751, eq. 11), as a product of k ratios: nothing overflows, and it is exactly 1
    where fewer than k completions are wrong.

    Args:
        num_correct: Correct completions of each problem, any shape, integer.
        num_samples: Completions of each problem, at least ``k``: one number for all, or a tensor that broadcasts.
        k: Attempts allowed, at least 1.

    Returns:
        Probability per problem, float64 in ``[0, 1]``, error below 1e-12 up to 1024 completions.

    Raises:
        ValueError: If a problem has fewer than ``k`` completions (the estimate does not exist), or its
            ``num_correct`` is not in ``[0, num_samples]``.

    Example:
        >>> pass_at_k(torch.tensor([0, 1, 4]), num_samples=4, k=2)
        tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64)
        >>> pass_at_k(torch.tensor([1, 1]), num_samples=torch.tensor([4, 8]), k=4)
        tensor([1.0000, 0.5000], dtype=torch.float64)

    """
    num_correct, samples = check_counts(num_correct, num_samples, ks=[k])
    result = torch.empty(num_correct.shape, dtype=torch.float64, device=num_correct.device)
    for n in samples.unique().tolist():
        chosen = samples == n
        result[chosen] = pass_at_k_table(n, k).to(result.device)[num_correct[chosen]]
    return result


def max_at_k(rewards: Tensor, k: int) -> Tensor:
    """Estimate, without bias, the expected best reward of ``k`` completions.

    ``sum_i C(i - 1, k - 1) / C(n, k) * r_(i)`` over the rewards in ascending order (PKPO, arXiv 2505.15201, eq. 12);
    equals ``pass_at_k`` for rewards of 0 and 1.

    Args:
        rewards: Rewards of each problem's completions, shape ``(..., n)``, any number type.
        k: Attempts allowed, from 1 to n.

    Returns:
        Expected best reward per problem, shape ``(...)``, float64.

    Raises:
        ValueError: If there are fewer than ``k`` completions.

    Example:
        >>> max_at_k(torch.tensor([0.0, 0.5, 1.0]), k=2)
        tensor(0.8333, dtype=torch.float64)

    """
    num_samples = rewards.shape[-1]
    if not 1 <= k <= num_samples:
        raise ValueError(f"max@{k} needs 1 <= k <= n, but got k = {k} and n = {num_samples} completions per problem.")
    rank = torch.arange(num_samples - 1, k - 1, -1, dtype=torch.float64, device=rewards.device)
    # C(i-1, k-1) / C(i, k-1) = (i-k+1) / i walks from the weight k/n of the best reward down to that of rank k.
    best = torch.full((1,), k / num_samples, dtype=torch.float64, device=rewards.device)
    weights = torch.cat([best, (rank - k + 1) / rank]).cumprod(0)
    ranked = rewards.to(torch.float64).sort(dim=-1, descending=True).values
    return ranked[..., : num_samples - k + 1] @ weights


def fail_at_k_table(num_samples: int, k: int) -> Tensor:
    """The chance ``C(n - c, k) / C(n, k)`` that ``k`` of ``n`` completions are all wrong, for every c from 0 to n.

    Args:
        num_samples: Completions n, at least ``k``.
        k: Attempts, at least 1.

    Returns:
        Shape ``(n + 1,)``, float64: entry c is for c correct completions. Relative error below ``n`` ulp.

    Example:
        >>> fail_at_k_table(4, k=2)
        tensor([1.0000, 0.5000, 0.1667, 0.0000, 0.0000], dtype=torch.float64)

    """
    assert 1 <= k <= num_samples
    # With the c-th completion turned right, C(n-c, k) / C(n-c+1, k) = (i - k) / i for i = n - c + 1.
    i = torch.arange(num_samples, 0, -1, dtype=torch.float64)
    steps = (i - k).clamp(min=0) / i
    return torch.cat([torch.ones(1, dtype=torch.float64), steps]).cumprod(0)


def pass_at_k_table(num_samples: int, k: int) -> Tensor:
    """``pass_at_k`` for every number of correct completions from 0 to n, shape ``(n + 1,)``, float64."""
    return 1 - fail_at_k_table(num_samples, k)


def check_counts(num_correct: Tensor, num_samples: int | Tensor, ks: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return both counts as int64 tensors of one shape; raise a ValueError where pass@k is not defined for them."""
    num_correct = torch.as_tensor(num_correct)
    samples = torch.as_tensor(num_samples, device=num_correct.device)
    for name, count in (("num_correct", num_correct), ("num_samples", samples)):
        if count.is_floating_point() or count.is_complex() or count.dtype == torch.bool:
            raise ValueError(f"`{name}` must hold integers, but has dtype {count.dtype}.")
    num_correct, samples = torch.broadcast_tensors(num_correct.to(torch.int64), samples.to(torch.int64))
    bad = (num_correct < 0) | (num_correct > samples)
    if bad.any():
        raise ValueError(
            f"`num_correct` must be in [0, num_samples], but got {num_correct[bad][0]} correct of {samples[bad][0]}."
        )
    for k in ks:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ValueError(f"pass@k needs an integer k >= 1, but got k = {k!r}.")
        if (samples < k).any():
            raise ValueError(
                f"pass@{k} needs n >= {k} completions of every problem, but one has n = {samples.min()}. "
                f"Sample more completions or drop k = {k}."
            )
    return num_correct, samples
