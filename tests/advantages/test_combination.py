import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_passk.advantages import GRPO, Combination


def enumerate_combination(rewards, k):
    """Eq. 18 with the Pass@k part averaged over all groups of k, spelled out."""
    rewards = np.array(rewards)
    groups = list(itertools.combinations(range(len(rewards)), k))
    group_rewards = np.array([rewards[list(members)].max() for members in groups])
    group_advantages = (group_rewards - group_rewards.mean()) / (group_rewards.std() or 1.0)
    pass_at_k = np.array(
        [
            np.mean([advantage for advantage, members in zip(group_advantages, groups, strict=True) if i in members])
            for i in range(len(rewards))
        ]
    )
    pass_at_1 = (rewards - rewards.mean()) / (rewards.std() or 1.0)
    return rewards.mean() * pass_at_k + (1 - rewards.mean()) * pass_at_1


@pytest.mark.filterwarnings("ignore::UserWarning")  # k = G warns, and is compared all the same
@pytest.mark.parametrize("group_size", range(1, 11))
def test_equals_enumeration_of_all_groups(group_size):
    for k in range(1, group_size + 1):
        correct = torch.tril(torch.ones(group_size + 1, group_size), diagonal=-1)  # row c has c right answers
        expected = np.array([enumerate_combination(row, k) for row in correct.tolist()])
        np.testing.assert_allclose(Combination(k)(correct), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("num_correct", "positive", "negative"),
    [
        (1, 2.4400, -0.3486), (2, 1.4296, -0.4765), (3, 0.9109, -0.5465),
        (4, 0.5602, -0.5602), (6, 0.1443, -0.4330), (7, 0.0472, -0.3307),
    ],
)  # fmt: skip
def test_table(group, num_correct, positive, negative):
    advantages = Combination(4)(group(8, num_correct))[0]
    assert float(advantages[0]) == pytest.approx(positive, abs=5e-5)
    assert float(advantages[-1]) == pytest.approx(negative, abs=5e-5)


@pytest.mark.parametrize("num_correct", [5, 6, 7])
def test_only_the_pass_at_1_part_is_left_where_fewer_than_k_are_wrong(group, num_correct):
    rewards = group(8, num_correct)
    torch.testing.assert_close(Combination(4)(rewards), (1 - num_correct / 8) * GRPO()(rewards))


@given(rewards=st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=64), data=st.data())
def test_group_sums_to_zero_and_order_does_not_matter(rewards, data):
    strategy = Combination(data.draw(st.integers(1, len(rewards) - 1)))
    order = data.draw(st.permutations(range(len(rewards))))
    advantages = strategy(torch.tensor([rewards]))
    assert abs(float(advantages.sum())) <= 1e-5 * max(1.0, float(advantages.abs().sum()))
    torch.testing.assert_close(strategy(torch.tensor([rewards])[:, order]), advantages[:, order], rtol=0, atol=0)


@given(rewards=st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=64))
def test_k_1_is_grpo(rewards):
    rewards = torch.tensor([rewards])
    torch.testing.assert_close(Combination(1)(rewards), GRPO()(rewards), rtol=1e-6, atol=1e-6)
