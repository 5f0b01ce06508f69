"""The arithmetic in float64; tests/advantages compares the strategies with enumeration."""

import math
from fractions import Fraction

import pytest
import torch
from helpers.exact import variance, with_and_without

from lit_passk.functional.groups import share_by_count
from lit_passk.functional.order_statistics import gain_of_joining, statistic_advantage, statistic_weights

NAMES = ["max", "min", "mean", "median", "top:3", "bottom:2", "cvar:0.3"]


def paid(weights, num_ones):
    """A group of zeros and ones is paid the weights of its largest members."""
    return sum(weights[len(weights) - num_ones :])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("group_size", "k"), [(12, 3), (64, 16), (200, 150)])
def test_equals_counting_zeros_and_ones_in_groups_that_cannot_be_enumerated(name, group_size, k):
    """Two ways without a line in common: gaps of sorted rewards and their covariance; the number of ones in a group."""
    weights = statistic_weights(name, k)
    by_count = torch.tensor([paid(weights, n) for n in range(k + 1)], dtype=torch.float64)
    ones = torch.ones(group_size + 1, group_size, dtype=torch.float64).tril(-1)
    for std in ("none", "population", "bessel"):
        table = share_by_count(by_count, group_size, std)  # (G + 1, 2)
        expected = table[torch.arange(group_size + 1)[:, None], ones.long()]
        torch.testing.assert_close(statistic_advantage(ones, weights, std), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weights", [(0.0, 0.0, 1.0), (0.0, 0.5, 0.5), (-1.0, 2.0, 0.25), (0.25, -1.0, 0.5)])
def test_is_exact_to_float64(weights):
    rewards = [Fraction(r) for r in (7, -3, 0, 0, 2, 11, -3)]
    by_weight = [Fraction(w) for w in weights]

    def pay(members):
        return sum(w * r for w, r in zip(by_weight, sorted(rewards[i] for i in members), strict=True))

    values, with_it, _ = with_and_without(7, 3, pay)
    mean = sum(values) / len(values)
    spread = math.sqrt(variance(values))
    given = torch.tensor([[float(r) for r in rewards]], dtype=torch.float64)
    for offset in (0.0, 2.0**30):  # whole numbers: nothing is rounded on the way in
        actual = statistic_advantage(given + offset, weights)[0].tolist()
        assert actual == pytest.approx([float(q - mean) for q in with_it], rel=1e-13, abs=1e-13)
        actual = statistic_advantage(given + offset, weights, "population")[0].tolist()
        assert actual == pytest.approx([float(q - mean) / spread for q in with_it], rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1e200])
def test_neither_tiny_nor_huge_rewards_are_squared_away(scale):
    rewards = torch.tensor([[1.0, 0.25, 0.5, 0.0, 0.0]], dtype=torch.float64)
    for name in ("max", "top:2"):
        weights = statistic_weights(name, 3)
        expected = statistic_advantage(rewards, weights, "population")
        torch.testing.assert_close(statistic_advantage(scale * rewards, weights, "population"), expected)


def test_equal_rewards_among_others_get_equal_advantages_to_the_bit():
    rewards = torch.tensor([[0.1, 0.7, 0.1, 0.3, 0.7, 0.1]], dtype=torch.float64)
    for advantages in (statistic_advantage(rewards, (0.0, 0.2, 0.8)), gain_of_joining(rewards, 3)):
        assert len(set(advantages[0, [0, 2, 5]].tolist())) == len(set(advantages[0, [1, 4]].tolist())) == 1


def test_rare_groups_keep_their_digits():
    """Of C(64, 32) groups one in 1.8e18 misses all the ones: sqrt(q / (1 - q)) of the closed form."""
    rewards = torch.zeros(1, 64, dtype=torch.float64)
    rewards[0, :32] = 1
    q = Fraction(1, math.comb(64, 32))
    advantages = statistic_advantage(rewards, statistic_weights("max", 32), "population")
    assert float(advantages[0, 0]) == pytest.approx(math.sqrt(q / (1 - q)), rel=1e-9)
    assert float(advantages[0, -1]) == pytest.approx(-math.sqrt(q / (1 - q)), rel=1e-9)
