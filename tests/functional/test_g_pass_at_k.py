from fractions import Fraction
from itertools import combinations
from math import ceil, comb

import pytest
import torch

from lit_passk.functional.g_pass_at_k import g_pass_at_k, hypergeometric_pmf, mg_pass_at_k
from lit_passk.functional.pass_at_k import pass_at_k
from lit_passk.functional.pass_hat_k import pass_hat_k


def exact_tail(n: int, c: int, k: int, least: int) -> Fraction:
    return Fraction(sum(comb(c, j) * comb(n - c, k - j) for j in range(least, k + 1)), comb(n, k))


@pytest.mark.parametrize(
    ("n", "c", "k", "expected", "mean"),
    [
        (48, 24, 16, {0: 1, 0.25: 0.9975, 0.5: 0.6199, 0.75: 0.0152, 1: 0}, 0.0800),
        (16, 8, 8, {0: 0.9999, 0.25: 0.9949, 0.5: 0.6904, 0.75: 0.0660, 1: 0.0001}, 0.0952),
    ],
)
def test_published_values(n, c, k, expected, mean):
    for tau, value in expected.items():
        assert g_pass_at_k(torch.tensor([c]), n, k, tau).item() == pytest.approx(value, abs=5.01e-5)
    assert mg_pass_at_k(torch.tensor([c]), n, k).item() == pytest.approx(mean, abs=5e-5)


@pytest.mark.parametrize("num_correct", range(8))
@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize("tau", [0.0, 0.3, 0.5, 2 / 3, 1.0])
def test_equals_enumeration(num_correct, k, tau):
    verdicts = [1] * num_correct + [0] * (7 - num_correct)
    least = max(ceil(Fraction(tau).limit_denominator(100) * k), 1)
    subsets = list(combinations(verdicts, k))
    expected = sum(sum(subset) >= least for subset in subsets) / len(subsets)
    assert g_pass_at_k(torch.tensor([num_correct]), 7, k, tau).item() == pytest.approx(expected, abs=1e-14)


def test_ends_are_pass_at_k_and_pass_hat_k():
    correct = torch.arange(33)
    for k in (1, 5, 32):
        torch.testing.assert_close(g_pass_at_k(correct, 32, k, 0.0), pass_at_k(correct, 32, k), rtol=0, atol=1e-13)
        torch.testing.assert_close(g_pass_at_k(correct, 32, k, 1.0), pass_hat_k(correct, 32, k), rtol=1e-11, atol=0)


def test_exact_at_1024_completions_and_ragged_groups():
    samples = torch.tensor([1024, 1024, 1024, 700, 512])
    correct = torch.tensor([3, 512, 1000, 350, 512])
    for k in (2, 256, 512):
        for tau in (0.25, 0.5, 0.9):
            exact = [
                float(exact_tail(n, c, k, ceil(Fraction(str(tau)) * k)))
                for n, c in zip(samples.tolist(), correct.tolist(), strict=True)
            ]
            expected = torch.tensor(exact, dtype=torch.float64)
            torch.testing.assert_close(g_pass_at_k(correct, samples, k, tau), expected, rtol=0, atol=1e-12)


def test_mean_is_the_sum_of_its_definition():
    for k in (2, 3, 7, 8):
        terms = [g_pass_at_k(torch.tensor([6]), 10, k, i / k) for i in range(ceil(k / 2) + 1, k + 1)]
        torch.testing.assert_close(mg_pass_at_k(torch.tensor([6]), 10, k), 2 / k * torch.stack(terms).sum(0))


def test_threshold_is_not_raised_by_rounding():
    # 0.07 * 100 is 7.000000000000001 in floats, and 7 of 100 are enough.
    assert g_pass_at_k(torch.tensor([7]), 100, 100, 0.07).item() == pytest.approx(1)


def test_pmf_rows_sum_to_one_and_are_zero_outside_the_support():
    pmf = hypergeometric_pmf(torch.tensor([0, 2, 6]), 6, 4)
    torch.testing.assert_close(pmf.sum(dim=1), torch.ones(3, dtype=torch.float64))
    assert pmf[0].tolist() == [1, 0, 0, 0, 0]
    assert pmf[2].tolist() == [0, 0, 0, 0, 1]
    assert (pmf[1, 3:] == 0).all()


def test_refusals():
    with pytest.raises(ValueError, match="share in"):
        g_pass_at_k(torch.tensor([1]), 4, 2, 1.5)
    with pytest.raises(ValueError, match="k >= 2"):
        mg_pass_at_k(torch.tensor([1]), 4, 1)
    with pytest.raises(ValueError, match="completions of every problem"):
        g_pass_at_k(torch.tensor([1]), 4, 5, 0.5)
