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
    AdvantageStrategy,
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


def test_what_a_strategy_is_shown_differs_from_completion_to_completion():
    """Of every completion something else, so that whatever a strategy looks at is seen."""

    class Shows(AdvantageStrategy):
        def __call__(self, rewards, context=None):
            self.context = context
            return torch.zeros_like(rewards)

    shown = Shows()
    correct = every_group(4)
    advantages_of(shown, correct, step=7)
    context = shown.context
    assert (context.step, context.max_steps) == (7, 100)
    assert context.correct.equal(correct.bool())
    assert bool(((context.logprob_mean > -1) & (context.logprob_mean <= -0.1)).all())
    assert len(context.logprob_mean.unique()) == context.logprob_mean.numel()
    assert float(context.logprob_mean.min()) < -0.9 < -0.2 < float(context.logprob_mean.max())
    answers = context.answers
    assert bool((answers[correct.bool()] == 0).all())
    assert answers[0].tolist() == [1, 2, 3, 1], "all wrong"


def test_proportion_refuses_other_signs_and_what_is_not_in_proportion():
    theirs = torch.tensor([[1.0, -1.0], [2.0, -2.0], [0.0, 0.0]]).double()
    assert proportion(torch.tensor([[3.0, -3.0], [1.0, -1.0], [0.0, 0.0]]).double(), theirs)[:2].tolist() == [3.0, 0.5]
    assert torch.isnan(proportion(theirs, theirs)[2])
    assert proportion(-theirs, theirs) is None
    assert proportion(theirs + torch.tensor([[0.0, 0.01], [0.0, 0.0], [0.0, 0.0]]), theirs) is None
    assert proportion(theirs + torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.5, 0.0]]), theirs) is None, "out of nothing"
    assert proportion(theirs * (1 + 1e-7), theirs) is not None, "rounding"
    small = torch.tensor([[1e-6, -1e-6]]).double()
    assert float(proportion(2 * small, small)) == pytest.approx(2)
