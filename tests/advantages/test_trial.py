"""What strategies are tried with, and where moments of a run lie."""

import math

import pytest
import torch

from lit_passk.advantages import UCPO, DifferentialSmoothing, Unlikeliness
from lit_passk.advantages.moments import place
from lit_passk.advantages.trial import trial_context


def test_a_trial_context_agrees_with_itself():
    context = trial_context(torch.tensor([[1, 0, 0], [0, 0, 0]]))
    assert context.entropy.tolist() == [[1.0] * 3] * 2
    assert context.logprob_mean.tolist() == [[-1.0] * 3] * 2
    assert context.logprob_sum.tolist() == [[-10.0] * 3] * 2
    assert context.batch.reward_mean == pytest.approx(1 / 6)
    assert context.batch.reward_std == pytest.approx(math.sqrt(5) / 6)
    empty = trial_context(torch.zeros((0, 3)))
    assert (empty.batch.reward_mean, empty.batch.reward_std) == (0.0, 0.0)


def test_a_moment_is_the_first_step_at_or_past_a_share():
    assert [place("X", share, 100) for share in (0.0, 0.07, 0.071, 1.0)] == [0, 7, 8, 100]  # exact: whole numbers
    assert place("X", 0.5, 1) == 1
    assert place("X", 5, -1) == 5


@pytest.mark.parametrize(
    "make", [lambda: UCPO(tau=0.0), lambda: Unlikeliness(beta=0.0), lambda: DifferentialSmoothing(0.0, 0.0)]
)
def test_zero_switches_a_term_off(make):
    assert make() is not None
