import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_passk.advantages import ReinforcePlusPlus


@given(rewards=st.lists(st.lists(st.floats(-10, 10, width=32), min_size=3, max_size=3), min_size=1, max_size=8))
def test_given_rewards_are_the_batch(rewards):
    flat = [reward for row in rewards for reward in row]
    mean, spread = statistics.fmean(flat), statistics.pstdev(flat)
    actual = ReinforcePlusPlus()(torch.tensor(rewards)).flatten().tolist()
    if spread > 1e-6 * max(map(abs, flat), default=0.0):
        assert actual == pytest.approx([(reward - mean) / spread for reward in flat], rel=1e-3, abs=1e-4)


def test_context_holds_the_statistics_of_all_ranks(make_context):
    rewards = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    context = make_context(rewards, reward_stats=(0.25, 0.5))
    torch.testing.assert_close(ReinforcePlusPlus()(rewards, context), torch.tensor([[1.5, -0.5], [1.5, 1.5]]))


def test_two_ranks_with_common_statistics_equal_one(make_context):
    torch.manual_seed(0)
    rewards = torch.randn(10, 4)
    stats = (float(rewards.double().mean()), float(rewards.double().std(correction=0)))
    parts = [ReinforcePlusPlus()(part, make_context(part > 0, reward_stats=stats)) for part in rewards.split([3, 7])]
    torch.testing.assert_close(torch.cat(parts), ReinforcePlusPlus()(rewards))


def test_batch_is_whitened_but_a_group_need_not_sum_to_zero():
    advantages = ReinforcePlusPlus()(torch.tensor([[1.0, 1, 1, 0], [0.0, 0, 0, 1]]))
    assert float(advantages.sum()) == pytest.approx(0, abs=1e-6)
    assert float(advantages.square().mean()) == pytest.approx(1)
    assert float(advantages[0].sum()) > 0.5


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e30])
def test_equal_rewards_give_exact_zeros(make_context, value):
    rewards = torch.full((3, 7), value)
    assert not ReinforcePlusPlus()(rewards).any()
    rounding = make_context(rewards > 0, reward_stats=(float(rewards[0, 0]) * (1 + 1e-15), abs(value) * 1e-15))
    assert not ReinforcePlusPlus()(rewards, rounding).any()


@pytest.mark.parametrize("rewards", [[[0.0, 0.0], [0.0, 0.0]], [[1.0]], [[0.0]], [[3.0, 3.0]]])
def test_rewards_that_are_all_the_same_teach_nothing(rewards):
    assert ReinforcePlusPlus()(torch.tensor(rewards)).tolist() == [[0.0] * len(row) for row in rewards]
