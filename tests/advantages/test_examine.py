"""Trying strategies on every group: exact means, weights per prompt, what is read."""

import math
from fractions import Fraction

import pytest
import torch
from helpers.rationals import expectation

from lit_passk.advantages import (
    FGRPO,
    GRPO,
    RLOO,
    UCPO,
    AdaptiveEntropy,
    DrGRPO,
    MaxRL,
    PassKAnalytic,
    Surrogate,
    WReinforce,
)
from lit_passk.advantages.examine import (
    advantages_of,
    context_fields,
    every_group,
    expected_gradient,
    prompt_weights,
    proportion,
)


def test_every_group_once():
    groups = every_group(5)
    assert groups.shape == (32, 5)
    assert len({tuple(row) for row in groups.tolist()}) == 32
    assert groups.sum(dim=1).long().bincount().tolist() == [math.comb(5, c) for c in range(6)]


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_expected_gradient_equals_rationals(rate):
    exact = Fraction(rate).limit_denominator(100)

    def analytic(c, size=6, k=3):  # without a standard deviation: A_pos = q
        q = Fraction(math.comb(size - c, k), math.comb(size, k))
        return (q, -q * c / (size - c)) if 0 < c < size else (Fraction(0), Fraction(0))

    strategy = PassKAnalytic(k=3, std="none")
    assert expected_gradient(strategy, 6, rate) == pytest.approx(float(expectation(analytic, 6, exact)), rel=1e-6)
    derivative = 3 * (1 - rate) ** 2  # of pass@3
    assert expected_gradient(strategy, 6, rate) == pytest.approx(derivative * (6 - 3) / (6 * 3), rel=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.7])
def test_expected_gradient_of_known_objectives(rate):
    assert expected_gradient(RLOO(), 5, rate) == pytest.approx(1, rel=1e-6)
    assert expected_gradient(WReinforce(positive_weight=1), 5, rate) == pytest.approx(2, rel=1e-6)
    for truncation in range(1, 5):
        expected = sum((1 - rate) ** j for j in range(truncation))
        assert expected_gradient(MaxRL(truncation), 5, rate) == pytest.approx(expected, rel=1e-6)
    assert expected_gradient(MaxRL(), 5, rate) == pytest.approx(expected, rel=1e-6)


def test_weights_per_prompt():
    num_correct = every_group(6).sum(dim=1)
    weights = prompt_weights(FGRPO(gamma=1), GRPO(), 6)
    inside = (num_correct > 0) & (num_correct < 6)
    torch.testing.assert_close(weights[inside], 1 - num_correct[inside].double() / 6)
    assert weights[~inside].isnan().all()
    assert prompt_weights(PassKAnalytic(k=4), GRPO(), 6)[num_correct == 4].unique().tolist() == [0.0]
    assert prompt_weights(GRPO(), PassKAnalytic(k=4), 6) is None  # out of nothing comes nothing
    assert prompt_weights(UCPO(), GRPO(), 6) is None
    assert prompt_weights(Surrogate(lambda p: -1.0), DrGRPO(), 6) is None  # a weight is not negative


def test_proportion_of_single_rows():
    ours = torch.tensor([[1.0, -1.0], [0.0, 0.0]], dtype=torch.float64)
    assert proportion(ours, 2 * ours)[0].item() == pytest.approx(0.5)
    assert proportion(ours + torch.tensor([[0.0, 0.1]]), ours) is None


def test_what_a_strategy_reads():
    assert context_fields(GRPO()) == set()
    assert context_fields(PassKAnalytic(k=2)) == {"correct"}
    assert context_fields(UCPO()) == {"correct", "logprob_mean"}
    assert {"correct", "entropy", "batch"} <= context_fields(AdaptiveEntropy())


def test_graded_rewards_can_be_tried():
    correct = every_group(3)
    rewards = correct + torch.tensor([0.0, 0.1, 0.2])
    torch.testing.assert_close(advantages_of(DrGRPO(), correct, rewards), DrGRPO()(rewards).double())
