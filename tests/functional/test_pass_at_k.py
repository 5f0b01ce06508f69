import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_passk import functional
from lit_passk.functional import max_at_k, pass_at_k


def exact_pass_at_k(num_correct, num_samples, k):
    return float(1 - Fraction(math.comb(num_samples - num_correct, k), math.comb(num_samples, k)))


@pytest.mark.parametrize("num_samples", [*range(1, 13), 64, 100])
def test_equals_exact_fractions_for_every_k_and_count(num_samples):
    counts = torch.arange(num_samples + 1)
    for k in range(1, num_samples + 1):
        expected = [exact_pass_at_k(c, num_samples, k) for c in range(num_samples + 1)]
        np.testing.assert_allclose(pass_at_k(counts, num_samples, k), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("k", [1, 2, 3, 8, 31, 256, 511, 512, 700, 1023, 1024])
def test_error_below_1e_12_for_1024_samples(k):
    counts = torch.arange(1025)
    expected = [exact_pass_at_k(c, 1024, k) for c in range(1025)]
    np.testing.assert_allclose(pass_at_k(counts, 1024, k), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("num_samples", range(1, 9))
def test_equals_enumeration_of_all_subsets(num_samples):
    for num_correct, k in itertools.product(range(num_samples + 1), range(1, num_samples + 1)):
        correct = [True] * num_correct + [False] * (num_samples - num_correct)
        expected = np.mean([any(chosen) for chosen in itertools.combinations(correct, k)])
        assert float(pass_at_k(torch.tensor(num_correct), num_samples, k)) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
def test_is_unbiased(k, rate):
    """Averaged over all outcomes of 8 tries with a known success rate, it is the true chance."""
    counts = torch.arange(9)
    weights = torch.tensor([math.comb(8, c) * rate**c * (1 - rate) ** (8 - c) for c in range(9)], dtype=torch.float64)
    assert float(weights @ pass_at_k(counts, 8, k)) == pytest.approx(1 - (1 - rate) ** k, abs=1e-12)


@pytest.mark.parametrize(("num_samples", "num_correct", "k", "value"), [(64, 1, 32, 0.5), (1024, 3, 256, 0.5785)])
def test_known_values(num_samples, num_correct, k, value):
    assert float(pass_at_k(torch.tensor(num_correct), num_samples, k)) == pytest.approx(value, abs=5e-5)


def test_ragged_samples_and_broadcasting():
    num_correct, num_samples = torch.tensor([[0, 1, 3], [2, 5, 16]]), torch.tensor([4, 8, 16])
    expected = [
        [exact_pass_at_k(int(c), int(n), 4) for c, n in zip(row, num_samples, strict=True)] for row in num_correct
    ]
    np.testing.assert_allclose(pass_at_k(num_correct, num_samples, 4), expected, atol=1e-14)
    assert pass_at_k(torch.tensor([], dtype=torch.int64), 8, 4).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_integer_types(dtype):
    result = pass_at_k(torch.tensor([1, 3], dtype=dtype), torch.tensor([8, 8], dtype=dtype), 4)
    assert result.dtype == torch.float64
    np.testing.assert_allclose(result, [exact_pass_at_k(1, 8, 4), exact_pass_at_k(3, 8, 4)], atol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.tensor([1]), 7, 8), "needs n >= 8 .* n = 7"),
        ((torch.tensor([1, 1]), torch.tensor([8, 5]), 8), "needs n >= 8 .* n = 5"),
        ((torch.tensor([9]), 8, 2), "9 correct of 8"),
        ((torch.tensor([-1]), 8, 2), "-1 correct of 8"),
        ((torch.tensor([1]), 8, 0), "k >= 1, but got k = 0"),
        ((torch.tensor([0.5]), 8, 2), "integers, but has dtype torch.float32"),
        ((torch.tensor([True]), 8, 2), "integers, but has dtype torch.bool"),
    ],
)
def test_undefined_cases_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        pass_at_k(*arguments)


@pytest.mark.parametrize("k", range(1, 8))
def test_max_at_k_equals_enumeration(k):
    rewards = torch.tensor([0.3, -1.0, 0.3, 2.5, 0.0, 0.3, 7.0], dtype=torch.float64)
    expected = np.mean([max(chosen) for chosen in itertools.combinations(rewards.tolist(), k)])
    assert float(max_at_k(rewards, k)) == pytest.approx(expected, abs=1e-12)


def test_max_at_k_known_value():
    rewards = torch.tensor([0.1, 0.4, 0.5, 0.9, 0.2, 0.7, 0.0, 1.0])
    assert float(max_at_k(rewards, 3)) == pytest.approx(0.819643, abs=1e-6)


@settings(deadline=None, derandomize=True)
@given(correct=st.lists(st.booleans(), min_size=1, max_size=200), data=st.data())
def test_max_at_k_of_0_and_1_is_pass_at_k(correct, data):
    k = data.draw(st.integers(1, len(correct)))
    expected = pass_at_k(torch.tensor(sum(correct)), len(correct), k)
    assert float(max_at_k(torch.tensor(correct), k)) == pytest.approx(float(expected), abs=1e-12)


@settings(deadline=None, derandomize=True)
@given(rewards=st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=50))
def test_max_at_k_ends_are_mean_and_maximum_and_it_never_falls(rewards):
    values = [float(max_at_k(torch.tensor(rewards), k)) for k in range(1, len(rewards) + 1)]
    assert values[0] == pytest.approx(np.mean(np.array(rewards)), abs=1e-6)
    assert values[-1] == pytest.approx(max(rewards), abs=1e-6)
    assert all(left <= right + 1e-9 for left, right in itertools.pairwise(values))


def test_max_at_k_of_1024_is_exact_and_batched():
    rewards = torch.arange(1, 1025, dtype=torch.float64).expand(2, 1024)
    for k in (1, 2, 512, 1024):  # the best of k numbers out of 1..n is k (n + 1) / (k + 1) on average
        np.testing.assert_allclose(max_at_k(rewards, k), [k * 1025 / (k + 1)] * 2, rtol=1e-12)


@pytest.mark.parametrize("k", [0, 4])
def test_max_at_k_needs_k_completions(k):
    with pytest.raises(ValueError, match=f"got k = {k} and n = 3"):
        max_at_k(torch.zeros(3), k)


def test_names_are_reached_through_the_package():
    assert functional.pass_at_k is pass_at_k
