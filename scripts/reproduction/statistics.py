"""From what was measured of each seed to means, intervals and p-values over seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import mpmath
import torch

from lit_passk.functional.pass_at_k import pass_at_k


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval; ``p`` is of a two-sided test that the true mean is 0."""

    mean: float
    low: float
    high: float
    p: float
    seeds: int


def over_seeds(values: Sequence[float]) -> Estimate:
    """Student's t over seeds: mean, 95 % interval, p-value.

    Example:
        >>> estimate = over_seeds([0.1, 0.2, 0.3])
        >>> round(estimate.low, 3), round(estimate.high, 3), round(estimate.p, 3)
        (-0.048, 0.448, 0.074)

    """
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return Estimate(mean, math.nan, math.nan, math.nan, n)
    error = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1) / n)
    half = error * t_quantile(0.975, n - 1)
    p = (1.0 if mean == 0 else 0.0) if error == 0 else 2 * (1 - t_cdf(abs(mean) / error, n - 1))
    return Estimate(mean, mean - half, mean + half, p, n)


def t_cdf(t: float, degrees: int) -> float:
    """Student's distribution function at ``t >= 0``."""
    x = degrees / (degrees + t * t)
    return float(1 - mpmath.betainc(degrees / 2, 0.5, 0, x, regularized=True) / 2)


def t_quantile(share: float, degrees: int) -> float:
    """The quantile of Student's distribution above 1/2, by bisection."""
    low, high = 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, degrees) < share else (low, middle)
    return low


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm, 1979), in the given order.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, p_values[i] * (len(p_values) - rank)))
        corrected[i] = largest
    return corrected


def mean_pass_at_k(correct: Sequence[int], samples: int, k: int) -> float:
    """Mean unbiased pass@k over problems."""
    return float(pass_at_k(torch.tensor(correct), samples, k).mean())


def at_equal(path: Sequence[tuple[float, float]], x: float) -> float | None:
    """The y of a path of (x, y) points where it first reaches ``x``, linear between points; None if it never does.

    Example:
        >>> at_equal([(0.0, 1.0), (0.2, 0.8), (0.4, 0.2)], 0.3)
        0.5

    """
    for (x0, y0), (x1, y1) in itertools.pairwise(path):
        if min(x0, x1) <= x <= max(x0, x1) and x0 != x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return None
