"""Expectations over the beta-binomial distribution, against rationals."""

from __future__ import annotations

from fractions import Fraction
from math import comb, prod

import pytest
import torch

from lit_passk.functional.beta_binomial import beta_binomial_mean


def exact(values: list[int], a: Fraction, b: Fraction) -> Fraction:
    """The sum over c of values[c] C(G, c) B(a + c, b + G - c) / B(a, b), by rising factorials."""
    size = len(values) - 1

    def rising(x: Fraction, n: int) -> Fraction:
        return prod((x + i for i in range(n)), start=Fraction(1))

    return sum(
        values[c] * comb(size, c) * rising(a, c) * rising(b, size - c) / rising(a + b, size) for c in range(size + 1)
    )


@pytest.mark.parametrize("size", [1, 2, 7, 32])
def test_is_the_exact_mean(size):
    values = [(3 * c * c + 5) % 11 for c in range(size + 1)]
    pairs = [(1, 1), (Fraction(1, 2), 3), (7, Fraction(5, 4)), (40, 2), (1, 900), (600, 1)]
    a, b = (torch.tensor([float(pair[i]) for pair in pairs], dtype=torch.float64) for i in (0, 1))
    found = beta_binomial_mean(torch.tensor(values, dtype=torch.float64), a, b)
    expected = [float(exact(values, Fraction(x), Fraction(y))) for x, y in pairs]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_many_completions_and_sure_rates_neither_overflow_nor_vanish():
    a, b = torch.tensor([1.0, 1e6, 1e4, 1.0]), torch.tensor([1e6, 1.0, 1e4, 1.0])
    found = beta_binomial_mean(torch.arange(2049), a, b)
    assert found.tolist() == pytest.approx((2048 * a.double() / (a.double() + b.double())).tolist(), rel=1e-9)
