"""Expectations over groups, against enumeration in rationals."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb, factorial, lgamma

import pytest
import torch

from lit_passk.functional.signal import Beta, expected_over_groups, fit_prior, gradient_weight

UNIFORM = Beta(1.0, 1.0)


@pytest.mark.parametrize(
    ("size", "k", "expected"),
    [
        (8, 4, [0, 2.0, 2.0889, 1.6641, 0.9631, 0, 0, 0, 0]),
        (8, 2, [0, 3.464, 4.297, 4.472, 4.178, 3.464, 2.309, 0, 0]),
        (8, 1, [0, *(2 * (c * (8 - c)) ** 0.5 for c in range(1, 8)), 0]),  # GRPO
        (4, 4, [0, 0, 0, 0, 0]),
    ],
)
def test_gradient_weight_is_the_papers_eta(size, k, expected):
    assert gradient_weight(size, k).tolist() == pytest.approx(expected, abs=5e-4)


def test_the_papers_peak_is_at_a_quarter_for_k_of_4():
    weight = gradient_weight(32, 4)
    assert int(weight.argmax()) == 8
    assert float(weight[8]) == pytest.approx(10.36, abs=5e-3)
    assert weight[29:].eq(0).all() and weight[28] > 0  # noqa: PT018


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_sub_sampling_is_the_mean_over_all_groups(size):
    values = [Fraction(3 * c * c - 2, 7) for c in range(size + 1)]
    problems = [(c, n) for n in range(size, 7) for c in range(n + 1)]
    expected = []
    for c, n in problems:
        groups = list(combinations([1] * c + [0] * (n - c), size))
        expected.append(sum(values[sum(group)] for group in groups) / len(groups))
    correct, samples = torch.tensor(problems).unbind(dim=1)
    found = expected_over_groups(torch.tensor([float(v) for v in values]), correct, samples, UNIFORM)
    assert found.tolist() == pytest.approx([float(e) for e in expected])


def beta(a: int, b: int) -> Fraction:
    return Fraction(factorial(a - 1) * factorial(b - 1), factorial(a + b - 1))


@pytest.mark.parametrize("prior", [(1, 1), (2, 5)])
@pytest.mark.parametrize("size", [3, 8])
def test_larger_groups_are_drawn_from_the_posterior(size, prior):
    """The integral of binomial probabilities over Beta(c + a, n - c + b), in rationals."""
    values = [Fraction(c * (size - c), 3) for c in range(size + 1)]
    problems = [(c, n) for n in range(min(size, 4)) for c in range(n + 1)]
    expected = []
    for c, n in problems:
        a, b = c + prior[0], n - c + prior[1]
        chances = [comb(size, j) * beta(a + j, b + size - j) / beta(a, b) for j in range(size + 1)]
        assert sum(chances) == 1
        expected.append(sum(v * chance for v, chance in zip(values, chances, strict=True)))
    correct, samples = torch.tensor(problems).unbind(dim=1)
    numbers = torch.tensor([float(v) for v in values])
    found = expected_over_groups(numbers, correct, samples, Beta(*map(float, prior)))
    assert found.tolist() == pytest.approx([float(e) for e in expected], rel=1e-6)


@pytest.mark.parametrize("truth", [(1, 1), (1, 6), (3, 2), (2, 20)])
def test_the_prior_is_found_again(truth):
    """Counts in proportion to what the prior gives: its likelihood is then the largest."""
    a, b, n = *truth, 16
    chances = [comb(n, c) * beta(a + c, b + n - c) / beta(a, b) for c in range(n + 1)]
    counts = [round(100_000 * chance) for chance in chances]
    correct = torch.repeat_interleave(torch.arange(n + 1), torch.tensor(counts))
    prior = fit_prior(correct, torch.full_like(correct, n))
    assert prior.a == pytest.approx(a, rel=0.02)
    assert prior.b == pytest.approx(b, rel=0.02)


@pytest.mark.parametrize(
    ("correct", "a", "b"),
    [
        ([0, 4] * 9, 0.025, 0.025),  # all or nothing: the smallest concentration
        ([2] * 9, 500, 500),  # all alike: the largest
        ([0] * 9, 1e-4, None),
        ([4] * 9, None, 1e-4),
    ],
)
def test_the_bounds_themselves_are_reached(correct, a, b):
    prior = fit_prior(torch.tensor(correct), torch.full((len(correct),), 4))
    if a and b:
        assert prior == pytest.approx((a, b), rel=1e-6)
    else:
        assert (prior.a if a else prior.b) / sum(prior) == pytest.approx(1e-4, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_near_the_prior_is_likelier(seed):
    random = torch.Generator().manual_seed(seed)
    samples = torch.randint(4, 20, (60,), generator=random)
    correct = (torch.rand(60, generator=random) ** (seed + 1) * (samples + 1)).long()

    def likelihood(a, b):
        return sum(
            lgamma(a + c) + lgamma(b + n - c) - lgamma(a + b + n) - lgamma(a) - lgamma(b) + lgamma(a + b)
            for c, n in zip(correct.tolist(), samples.tolist(), strict=True)
        )

    a, b = fit_prior(correct, samples)
    best = likelihood(a, b)
    for ratio in (0.995, 1, 1.005):
        for size in (0.995, 1, 1.005):
            assert likelihood(a * ratio * size, b / ratio * size) <= best + 1e-9


@pytest.mark.parametrize(("correct", "mean"), [([0] * 9, 1e-4), ([4] * 9, 1 - 1e-4), ([2] * 9, 0.5)])
def test_counts_that_lead_beyond_all_bounds_stay_within(correct, mean):
    prior = fit_prior(torch.tensor(correct), torch.full((9,), 4))
    assert prior.a / (prior.a + prior.b) == pytest.approx(mean, abs=1e-3)
    assert 0.04 < prior.a + prior.b < 1001
