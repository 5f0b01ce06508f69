"""From what was measured of each seed and problem to means, intervals and p-values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import mpmath
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval; ``p`` is of a two-sided test that the true mean is the one asked about."""

    mean: float
    low: float
    high: float
    p: float
    seeds: int


def estimate(values: Tensor, null: float = 0.0) -> Estimate:
    """The mean for new seeds and new problems, from what was measured of some of both.

    Every seed was measured on the same problems, so values of one seed are not independent, nor those of one problem.
    The variance of the mean is that of the crossed random-effects model ``value = mean + seed + problem + rest``, with
    mean squares ``MS`` of S seeds and P problems: ``(max(MS_seed, MS_rest) + max(0, MS_problem - MS_rest)) / (S P)``,
    since no component of it is below 0; degrees of freedom are Satterthwaite's, ``S - 1`` for the first of them.
    With one column (a quantity that has no problems) this is Student's t over seeds.

    Args:
        values: Shape ``(S, P)``, float64: differences between two trainings of a seed on a problem, for instance.
        null: The mean under the hypothesis that ``p`` is about.

    Example:
        >>> import torch
        >>> found = estimate(torch.tensor([[0.1], [0.2], [0.3]], dtype=torch.float64))
        >>> round(found.low, 3), round(found.high, 3), round(found.p, 3)
        (-0.048, 0.448, 0.074)

    """
    num_seeds, num_problems = values.shape
    mean = float(values.mean())
    if num_seeds < 2:
        return Estimate(mean, math.nan, math.nan, math.nan, num_seeds)
    seeds, problems = values.mean(dim=1, keepdim=True), values.mean(dim=0, keepdim=True)  # (S, 1), (1, P)
    of_seeds = num_problems * float((seeds - mean).square().sum()) / (num_seeds - 1)
    parts = [(of_seeds, num_seeds - 1)]
    if num_problems > 1:
        of_problems = num_seeds * float((problems - mean).square().sum()) / (num_problems - 1)
        freedom = (num_seeds - 1) * (num_problems - 1)
        rest = float((values - seeds - problems + mean).square().sum()) / freedom
        parts = [(max(of_seeds, rest), num_seeds - 1)]
        if of_problems > rest:
            parts += [(of_problems, num_problems - 1), (-rest, freedom)]
    variance = math.fsum(square for square, _ in parts)
    if variance <= 0:
        return Estimate(mean, mean, mean, float(mean == null), num_seeds)
    degrees = variance**2 / math.fsum(square**2 / free for square, free in parts)
    error = math.sqrt(variance / (num_seeds * num_problems))
    half = t_quantile(0.975, degrees) * error
    return Estimate(mean, mean - half, mean + half, t_two_sided(abs(mean - null) / error, degrees), num_seeds)


def t_two_sided(t: float, degrees: float) -> float:
    """The chance that Student's t is further from 0 than ``t >= 0``."""
    return float(mpmath.betainc(degrees / 2, 0.5, 0, degrees / (degrees + t * t), regularized=True))


@lru_cache
def t_quantile(share: float, degrees: float) -> float:
    """The quantile of Student's distribution above 1/2, by Newton's method from the normal one, which is below it."""
    t = NormalDist().inv_cdf(share)
    scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(degrees * math.pi) / 2
    while True:  # the distribution function is concave above 0, so no step goes too far
        density = math.exp(scale - (degrees + 1) / 2 * math.log1p(t * t / degrees))
        step = (share - 1 + t_two_sided(t, degrees) / 2) / density
        t += step
        if step < 1e-9 * t:
            return t


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


def place(path: Sequence[float], x: float) -> tuple[int, float] | None:
    """Where a path first reaches ``x``, linear between its points: the point before, and the share of the way from it.

    None if it never does.

    Example:
        >>> place([0.0, 0.2, 0.4], 0.25)
        (1, 0.25)

    """
    for i, (before, after) in enumerate(itertools.pairwise(path)):
        if min(before, after) <= x <= max(before, after) and before != after:
            return i, (x - before) / (after - before)
    return None
