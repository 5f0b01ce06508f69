import math
from fractions import Fraction

import pytest
import torch
from helpers.exact import expected_gradient, objective_gradient, outcomes
from hypothesis import given
from hypothesis import strategies as st

from lit_passk.advantages import RLOO, LeaveOneOutMaxK, LogMeanExp


def spelled_out(rewards, beta):
    def f(values):
        best = max(values)
        return best + beta * math.log(sum(math.exp((r - best) / beta) for r in values) / len(values))

    return [f(rewards) - f(rewards[:i] + rewards[i + 1 :]) for i in range(len(rewards))]


@pytest.mark.parametrize(
    ("num_correct", "positive", "negative"),
    [(1, 0.4430, -0.0314), (2, 0.1402, -0.0352), (4, 0.0428, -0.0375), (6, 0.0139, -0.0383), (7, 0.0059, -0.0385)],
)
def test_golden_values(group, num_correct, positive, negative):
    advantages = LogMeanExp(0.3)(group(8, num_correct))[0]
    assert float(advantages[0]) == pytest.approx(positive, abs=5e-5)
    assert float(advantages[-1]) == pytest.approx(negative, abs=5e-5)


@given(
    rewards=st.lists(st.integers(-8, 8).map(lambda i: i / 4), min_size=2, max_size=12),
    beta=st.sampled_from([0.02, 0.3, 1.0, 30.0]),
)
def test_equals_the_definition(rewards, beta):
    actual = LogMeanExp(beta)(torch.tensor([rewards]))[0].tolist()
    assert actual == pytest.approx(spelled_out(rewards, beta), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("rewards", [[0.1, 0.4, 0.5, 0.9], [1.0, 1.0, 0.0], [3.0, -3.0], [0.0, 0.0, 0.0, 1e-3]])
def test_its_ends_are_the_maximum_and_the_mean(rewards):
    rewards = torch.tensor([rewards])
    for tiny in (1e-6, 1e-300):  # exp(reward / beta) would be infinite
        torch.testing.assert_close(LogMeanExp(tiny)(rewards), LeaveOneOutMaxK()(rewards), atol=1e-5, rtol=1e-4)
    for huge in (1e5, 1e9):  # the exponentials differ in their last digits only
        expected = RLOO()(rewards) / rewards.shape[1]
        torch.testing.assert_close(LogMeanExp(huge)(rewards), expected, atol=1e-6, rtol=1e-3)


def test_is_an_unbiased_gradient_of_the_log_mean_exp_of_all_completions():
    rewards, chances = [-0.5, 1.0, 0.25], [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)]

    def pay(y):
        return 0.3 * math.log(sum(math.exp(rewards[o] / 0.3) for o in y) / len(y))

    for group_size in (2, 4):
        sampled = outcomes(3, group_size)
        advantages = LogMeanExp(0.3)(torch.tensor([[rewards[y] for y in row] for row in sampled])).tolist()
        expected = [float(part) for part in objective_gradient(chances, group_size, pay)]
        assert expected_gradient(chances, sampled, advantages) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("beta", [0, -1, math.inf, math.nan])
def test_beta_must_be_positive(beta):
    with pytest.raises(ValueError, match="finite beta above 0"):
        LogMeanExp(beta)


def test_a_single_completion_is_refused():
    with pytest.raises(ValueError, match="group_size >= 2, but got 1"):
        LogMeanExp()(torch.ones(3, 1))
