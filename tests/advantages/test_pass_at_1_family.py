"""GRPO, DrGRPO and RLOO; the table of all three is one."""

import math
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_passk.advantages import GRPO, RLOO, DrGRPO

# (right answers of 8): A_pos, A_neg
TABLE = [
    (GRPO(), {1: (2.6458, -0.3780), 2: (1.7321, -0.5774), 3: (1.2910, -0.7746), 4: (1, -1)}),
    (GRPO(), {6: (0.5774, -1.7321), 7: (0.3780, -2.6458)}),
    (GRPO("bessel"), {1: (2.4749, -0.3536), 2: (1.6202, -0.5401), 3: (1.2076, -0.7246), 4: (0.9354, -0.9354)}),
    (GRPO("bessel"), {6: (0.5401, -1.6202), 7: (0.3536, -2.4749)}),
    (DrGRPO(), {1: (0.875, -0.125), 2: (0.75, -0.25), 3: (0.625, -0.375), 4: (0.5, -0.5)}),
    (DrGRPO(), {6: (0.25, -0.75), 7: (0.125, -0.875)}),
    (RLOO(), {1: (1, -0.1429), 2: (0.8571, -0.2857), 3: (0.7143, -0.4286), 4: (0.5714, -0.5714)}),
    (RLOO(), {6: (0.2857, -0.8571), 7: (0.1429, -1)}),
]
rewards_lists = st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=32)


@pytest.mark.parametrize(("strategy", "values"), TABLE, ids=lambda value: getattr(type(value), "__name__", None))
def test_table(group, strategy, values):
    for num_correct, (positive, negative) in values.items():
        advantages = strategy(group(8, num_correct))[0]
        assert float(advantages[0]) == pytest.approx(positive, abs=5e-5)
        assert float(advantages[-1]) == pytest.approx(negative, abs=5e-5)


@given(rewards=rewards_lists)
def test_grpo_equals_python_statistics(rewards):
    mean = statistics.fmean(rewards)
    for std, spread in (("population", statistics.pstdev(rewards)), ("bessel", statistics.stdev(rewards))):
        expected = [(reward - mean) / spread if spread else 0.0 for reward in rewards]
        assert GRPO(std)(torch.tensor([rewards]))[0].tolist() == pytest.approx(expected, rel=1e-5, abs=1e-5)


@given(rewards=rewards_lists)
def test_rloo_equals_leaving_one_out(rewards):
    expected = [reward - statistics.fmean(rewards[:i] + rewards[i + 1 :]) for i, reward in enumerate(rewards)]
    assert RLOO()(torch.tensor([rewards]))[0].tolist() == pytest.approx(expected, rel=1e-5, abs=1e-4)


@given(rewards=rewards_lists)
def test_dr_grpo_is_grpo_without_std(rewards):
    rewards = torch.tensor([rewards])
    assert torch.equal(DrGRPO()(rewards), GRPO("none")(rewards))
    torch.testing.assert_close(
        DrGRPO()(rewards), rewards - rewards.double().mean(), rtol=1e-5, atol=1e-5, check_dtype=False
    )


@given(rewards=rewards_lists, data=st.data())
def test_group_sums_to_zero_and_order_does_not_matter(rewards, data):
    order = data.draw(st.permutations(range(len(rewards))))
    for strategy in (GRPO(), GRPO("bessel"), DrGRPO(), RLOO()):
        advantages = strategy(torch.tensor([rewards]))
        assert abs(float(advantages.sum())) <= 1e-5 * max(1.0, float(advantages.abs().sum()))
        torch.testing.assert_close(strategy(torch.tensor([rewards])[:, order]), advantages[:, order])


@given(rewards=rewards_lists, scale=st.sampled_from([0.5, 2.0, 64.0]), shift=st.sampled_from([-8.0, 0.0, 16.0]))
def test_grpo_does_not_see_scale_and_shift(rewards, scale, shift):
    rewards = torch.tensor([[round(reward) for reward in rewards]], dtype=torch.float32)
    torch.testing.assert_close(GRPO()(rewards * scale + shift), GRPO()(rewards))


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-30, 1e30])
@pytest.mark.parametrize("strategy", [GRPO(), GRPO("bessel"), DrGRPO(), RLOO()], ids=lambda s: type(s).__name__)
def test_equal_rewards_give_exact_zeros_and_not_amplified_rounding(strategy, value):
    assert not strategy(torch.full((1, 7), value)).any()


def test_rloo_needs_a_companion():
    with pytest.raises(ValueError, match="group_size >= 2, but got 1"):
        RLOO()(torch.ones(3, 1))
    with pytest.raises(ValueError, match="group_size >= 2, but got 1"):
        RLOO().check_group_size(1)


def test_grpo_of_a_single_completion_is_zero():
    for std in ("population", "bessel", "none"):
        assert not GRPO(std)(torch.ones(3, 1)).any()


def test_hand_computed_case():
    """Rewards 1, 2, 3, 6: mean 3, squares 4 + 1 + 0 + 9 = 14."""
    rewards = torch.tensor([[1.0, 2.0, 3.0, 6.0]])
    centred = torch.tensor([[-2.0, -1.0, 0.0, 3.0]])
    torch.testing.assert_close(GRPO()(rewards), centred / math.sqrt(14 / 4))
    torch.testing.assert_close(GRPO("bessel")(rewards), centred / math.sqrt(14 / 3))
    torch.testing.assert_close(RLOO()(rewards), centred * 4 / 3)
