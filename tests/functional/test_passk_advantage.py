from math import comb, sqrt

import pytest
import torch

from lit_passk.functional.passk_advantage import analytic_advantage, normalize_groups


def test_normalize_groups_hand_computed():
    rewards = torch.tensor([[1.0, 2, 3, 6], [5, 5, 5, 5]], dtype=torch.float64)
    centred = torch.tensor([-2.0, -1, 0, 3], dtype=torch.float64)  # sum of squares 14
    for std, spread in (("population", (14 / 4) ** 0.5), ("bessel", (14 / 3) ** 0.5), ("none", 1.0)):
        result = normalize_groups(rewards, std)
        torch.testing.assert_close(result[0], centred / spread)
        assert not result[1].any()


def test_normalize_groups_takes_any_leading_shape():
    rewards = torch.rand(2, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(normalize_groups(rewards)[1, 2], normalize_groups(rewards[1, 2]))
    assert normalize_groups(torch.zeros(0, 5)).shape == (0, 5)


@pytest.mark.parametrize(("num_correct", "bessel"), [(1, 0.99283), (2, 0.99283)])
def test_bessel_is_a_small_constant_factor(num_correct, bessel):
    correct = (torch.arange(8) < num_correct)[None]
    ratio = analytic_advantage(correct, 4, "bessel") / analytic_advantage(correct, 4)
    torch.testing.assert_close(ratio, torch.full_like(ratio, bessel), atol=5e-6, rtol=0)


def test_analytic_advantage_of_equations_14_and_15_literally():
    """The paper's form, a difference of ratios, agrees with the form used here."""
    group_size, k = 16, 4
    for c in range(1, group_size - k + 1):
        mean = 1 - comb(group_size - c, k) / comb(group_size, k)
        spread = sqrt(mean * (1 - mean))
        positive = (1 - mean) / spread
        negative = (1 - mean - comb(group_size - c - 1, k - 1) / comb(group_size - 1, k - 1)) / spread
        actual = analytic_advantage((torch.arange(group_size) < c)[None], k)[0]
        assert actual[:c].tolist() == pytest.approx([positive] * c, rel=1e-12)
        assert actual[c:].tolist() == pytest.approx([negative] * (group_size - c), rel=1e-10)
