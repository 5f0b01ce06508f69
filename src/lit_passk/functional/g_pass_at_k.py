"""G-Pass@k(tau) and mG-Pass@k: the chance that a share tau of k completions is correct (arXiv 2412.13147)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.functional.pass_at_k import check_counts
from lit_passk.functional.solve_rate import threshold_count


def hypergeometric_pmf(num_correct: Tensor, num_samples: int | Tensor, k: int) -> Tensor:
    """Chance that exactly j of ``k`` completions drawn without replacement are correct, for every j.

    Args:
        num_correct: Correct completions c of each problem, shape ``(P,)``, integer.
        num_samples: Completions n of each problem, one number or shape ``(P,)``, at least ``k``.
        k: Completions drawn, at least 0.

    Returns:
        Shape ``(P, k + 1)``, float64; column j is C(c, j) C(n - c, k - j) / C(n, k). Rows sum to 1.

    Example:
        >>> hypergeometric_pmf(torch.tensor([2]), num_samples=4, k=2)
        tensor([[0.1667, 0.6667, 0.1667]], dtype=torch.float64)

    """
    correct, samples = check_counts(num_correct, num_samples, ks=[k] if k else [])
    c, wrong = correct[:, None].to(torch.float64), (samples - correct)[:, None].to(torch.float64)  # (P, 1)
    j = torch.arange(k + 1, device=correct.device, dtype=torch.float64)
    possible = (j <= c) & (k - j <= wrong)  # (P, k + 1)
    # pmf(j) / pmf(j - 1), summed as logarithms and normalised at the end: no binomial is ever formed, so nothing
    # overflows, and the largest term, where the mass is, is off by rounding alone.
    ratio = torch.log((c - j + 1) * (k - j + 1)) - torch.log(j * (wrong - k + j))
    inside = possible & possible.roll(1, dims=1)
    inside[:, 0] = False
    log_weight = torch.where(inside, ratio, 0.0).cumsum(dim=1)
    return torch.softmax(log_weight.masked_fill(~possible, -torch.inf), dim=1)


def g_pass_at_k(num_correct: Tensor, num_samples: int | Tensor, k: int, tau: float) -> Tensor:
    """Chance that at least max(ceil(tau k), 1) of ``k`` completions are correct.

    ``tau=0`` is pass@k and ``tau=1`` is pass^k.

    Args:
        num_correct: Correct completions of each problem, shape ``(P,)``, integer.
        num_samples: Completions of each problem, one number or shape ``(P,)``, at least ``k``.
        k: Completions drawn.
        tau: Share of the ``k`` that must be correct, in ``[0, 1]``.

    Returns:
        Shape ``(P,)``, float64 in ``[0, 1]``.

    Raises:
        ValueError: For ``tau`` outside ``[0, 1]`` or fewer than ``k`` completions.

    Example:
        >>> g_pass_at_k(torch.tensor([24]), num_samples=48, k=16, tau=0.5)
        tensor([0.6199], dtype=torch.float64)

    """
    return _upper_tail(num_correct, num_samples, k)[:, int(threshold_count(tau, k).clamp_min(1))]


def mg_pass_at_k(num_correct: Tensor, num_samples: int | Tensor, k: int) -> Tensor:
    """Mean of G-Pass@k(tau) over tau in (0.5, 1]: (2 / k) sum_{i = ceil(k/2) + 1}^{k} G-Pass@k(i / k).

    Args:
        num_correct: Correct completions of each problem, shape ``(P,)``, integer.
        num_samples: Completions of each problem, one number or shape ``(P,)``, at least ``k``.
        k: Completions drawn. For ``k=1`` the sum is empty, so 2 is the least.

    Returns:
        Shape ``(P,)``, float64 in ``[0, 1]``.

    Raises:
        ValueError: For ``k < 2`` or fewer than ``k`` completions.

    Example:
        >>> mg_pass_at_k(torch.tensor([24]), num_samples=48, k=16)
        tensor([0.0800], dtype=torch.float64)

    """
    if k < 2:
        raise ValueError(f"mG-Pass@k averages over thresholds above k / 2 and needs k >= 2, but got k={k}.")
    return _upper_tail(num_correct, num_samples, k)[:, (k + 1) // 2 + 1 :].sum(dim=1) * (2 / k)


def _upper_tail(num_correct: Tensor, num_samples: int | Tensor, k: int) -> Tensor:
    """Chance of at least j correct ones, shape ``(P, k + 1)``; k at least 1."""
    check_counts(num_correct, num_samples, ks=[k])
    pmf = hypergeometric_pmf(num_correct, num_samples, k)  # (P, k + 1)
    # Summed from the far end, so that small tails keep their digits.
    return pmf.flip(1).cumsum(dim=1).flip(1).clamp_max(1.0)
