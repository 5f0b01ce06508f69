"""Strategies that weigh completions within a group: WReinforce, Unlikeliness, UCPO, DifferentialSmoothing."""

import math
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_passk.advantages import GRPO, UCPO, DifferentialSmoothing, Unlikeliness, WReinforce
from lit_passk.advantages.trial import trial_context

REWARDS = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
LOGPROBS = torch.tensor([[-0.2, -0.8, -0.5, -1.0]])

# strategy, log-probabilities, advantages: worked out by hand for r = [1, 1, 0, 0]
TABLE = [
    (Unlikeliness(std="bessel"), [-0.2, -0.8, -0.5, -1.0], [0.7385, 0.9847, -0.8616, -0.8616]),
    (Unlikeliness(std="none"), [-0.8, -0.2, -0.5, -1.0], [0.5, 0.375, -0.4375, -0.4375]),
    (UCPO(std="bessel"), [-0.2, -0.8, -0.5, -1.0], [0.8156, 0.9165, -0.8660, -0.8660]),
    (UCPO(tau=1.0, std="bessel"), [-0.2, -0.8, -0.5, -1.0], [0.6137, 1.1183, -0.8660, -0.8660]),
    (DifferentialSmoothing(), [-0.2, -0.8, -0.5, -1.0], [1.01, 1.04, -1.025, -1.05]),
]


@pytest.fixture
def context(make_context):
    return lambda correct, logprobs: make_context(correct, entropy=-torch.as_tensor(logprobs, dtype=torch.float32))


@pytest.mark.parametrize(("strategy", "logprobs", "expected"), TABLE)
def test_golden_values(context, strategy, logprobs, expected):
    assert strategy(REWARDS, context(REWARDS, [logprobs]))[0].tolist() == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("num_correct", range(9))
def test_w_reinforce_and_its_ends(group, num_correct):
    rewards = group(8, num_correct)
    correct = rewards.bool()
    for strategy, positive, negative in (
        (WReinforce(), 0.1, -1.0),
        (WReinforce(positive_weight=1, negative_weight=0), 1.0, 0.0),  # PSR: A = R
        (WReinforce(positive_weight=0), 0.0, -1.0),  # NSR: A = R - 1
        (WReinforce(positive_weight=1), 1.0, -1.0),
    ):
        advantages = strategy(rewards)
        assert advantages[correct].tolist() == pytest.approx([positive] * num_correct)
        assert advantages[~correct].tolist() == pytest.approx([negative] * (8 - num_correct))


def test_w_reinforce_counts_who_is_correct(make_context, group):
    context = make_context(group(4, 1))
    assert torch.equal(WReinforce()(torch.tensor([[0.3, 0.9, -1.0, 7.0]]), context), WReinforce()(group(4, 1)))
    for weights in ((0, 0), (-0.1, 1), (1, math.inf), (math.nan, 1)):
        with pytest.raises(ValueError, match="weights of at least 0, one of them above"):
            WReinforce(*weights)


logprob_lists = st.lists(st.floats(-8, 0, width=32), min_size=2, max_size=12)


@given(logprobs=logprob_lists, num_correct=st.integers(0, 12), beta=st.sampled_from([0.25, 1.0]))
def test_unlikeliness_equals_counting_by_hand(logprobs, num_correct, beta):
    size = len(logprobs)
    num_correct = min(num_correct, size)
    rewards = [1.0] * num_correct + [0.0] * (size - num_correct)
    shaped = []
    for reward, mine in zip(rewards, logprobs, strict=True):
        below = sum(other < mine for other in logprobs)
        equal = sum(other == mine for other in logprobs)
        shaped.append(reward * (1 - beta * (below + (equal - 1) / 2) / size))
    mean = statistics.fmean(shaped)
    context = _context(rewards, logprobs)
    assert Unlikeliness(beta, std="none")(torch.tensor([rewards]), context)[0].tolist() == pytest.approx(
        [value - mean for value in shaped], abs=1e-6
    )


@given(logprobs=logprob_lists, num_correct=st.integers(0, 12), tau=st.sampled_from([0.2, 1.0]))
def test_ucpo_moves_credit_and_keeps_its_amount(logprobs, num_correct, tau):
    size = len(logprobs)
    num_correct = min(num_correct, size)
    rewards = torch.tensor([[1.0] * num_correct + [0.0] * (size - num_correct)])
    base = GRPO()(rewards)[0].tolist()
    advantages = UCPO(tau)(rewards, _context(rewards[0].tolist(), logprobs))[0].tolist()
    assert advantages[num_correct:] == pytest.approx(base[num_correct:], rel=1e-6)
    weights = [math.exp(value) for value in logprobs[:num_correct]]
    likely = [max(weight / math.fsum(weights), 1e-6) for weight in weights]
    inverse = math.fsum(1 / q for q in likely)
    expected = [
        num_correct * ((1 - tau) / num_correct + tau / q / inverse) * a
        for q, a in zip(likely, base[:num_correct], strict=True)
    ]
    assert advantages[:num_correct] == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert sum(advantages) == pytest.approx(0, abs=1e-5 * size)


def _context(correct, logprobs):
    """Built here: a fixture may not be drawn from by hypothesis."""
    return trial_context(torch.tensor([correct]), logprob_mean=torch.tensor([logprobs], dtype=torch.float32))


def test_one_very_unlikely_answer_does_not_take_everything(context):
    """q is at least 1e-6: beyond that, rarer is not paid more."""
    correct = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    far = UCPO(1.0)(correct, context(correct, [[-0.1, -20.0, -30.0, -1.0]]))[0]
    assert float(far[1]) == pytest.approx(float(far[2]))
    assert torch.isfinite(far).all()


def test_what_needs_log_probabilities_says_so(context):
    for strategy in (Unlikeliness(), UCPO(), DifferentialSmoothing()):
        with pytest.raises(ValueError, match=f"{type(strategy).__name__} goes by the log-prob.*`logprob_mean`"):
            strategy(REWARDS)
        with pytest.raises(ValueError, match=r"must have the shape of `rewards`, \(1, 4\), but got \(2, 4\)"):
            strategy(REWARDS, context(torch.cat([REWARDS, REWARDS]), torch.cat([LOGPROBS, LOGPROBS])))


def test_coefficients_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"beta in \[0, 1\]"):
        Unlikeliness(beta=1.5)
    with pytest.raises(ValueError, match=r"tau in \[0, 1\]"):
        UCPO(tau=-0.1)
    with pytest.raises(ValueError, match=r"tau in \[0, 1\]"):
        UCPO(tau=1.5)
    with pytest.raises(ValueError, match="coefficients of at least 0"):
        DifferentialSmoothing(correct_coef=-1)


def test_groups_that_are_all_correct_or_all_wrong(context):
    ones, zeros = torch.ones(1, 4), torch.zeros(1, 4)
    rare_up = Unlikeliness()(ones, context(ones, LOGPROBS))[0]
    assert int(rare_up.argmax()) == 3
    assert float(rare_up[3]) > 0
    assert not Unlikeliness()(zeros, context(zeros, LOGPROBS)).any()
    assert not UCPO()(ones, context(ones, LOGPROBS)).any()
    assert (DifferentialSmoothing()(zeros, context(zeros, LOGPROBS)) < 0).all()
    assert (DifferentialSmoothing()(ones, context(ones, LOGPROBS)) > 0).all()
