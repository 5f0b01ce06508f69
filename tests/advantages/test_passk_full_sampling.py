import itertools

import numpy as np
import pytest
import torch

from lit_passk.advantages import PassKFullSampling


def loop_over_groups(rewards, k):
    """Algorithm 1, spelled out."""
    groups = [list(range(start, start + k)) for start in range(0, len(rewards) - k + 1, k)]
    group_rewards = np.array([max(rewards[i] for i in members) for members in groups])
    spread = group_rewards.std()
    advantages = [0.0] * len(rewards)
    for members, reward in zip(groups, group_rewards, strict=True):
        for i in members:
            advantages[i] = (reward - group_rewards.mean()) / spread if spread > 0 else 0.0
    return advantages


@pytest.mark.filterwarnings("ignore::UserWarning")  # k > G / 2 warns, and is compared all the same
@pytest.mark.parametrize("group_size", range(1, 11))
def test_equals_loop_for_every_arrangement(group_size):
    rewards = torch.tensor(list(itertools.product([0.0, 1.0], repeat=group_size)))
    for k in range(1, group_size + 1):
        expected = np.array([loop_over_groups(row, k) for row in rewards.tolist()])
        np.testing.assert_allclose(PassKFullSampling(k)(rewards), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("num_correct", "positive", "negative", "share_silent"),
    [(1, 1.0, -0.1429, 0.0), (2, 0.4286, -0.1429, 0.571), (3, 0.1429, -0.0857, 0.857), (4, 0.0286, -0.0286, 0.971)],
)
def test_table_of_expectations_over_arrangements(num_correct, positive, negative, share_silent):
    places = list(itertools.combinations(range(8), num_correct))
    correct = torch.zeros(len(places), 8)
    for row, chosen in enumerate(places):
        correct[row, list(chosen)] = 1
    advantages = PassKFullSampling(4)(correct)
    assert float(advantages[correct == 1].mean()) == pytest.approx(positive, abs=5e-5)
    assert float(advantages[correct == 0].mean()) == pytest.approx(negative, abs=5e-5)
    assert float((advantages == 0).all(dim=1).float().mean()) == pytest.approx(share_silent, abs=5e-4)


def test_left_over_completions_get_zero_even_when_right():
    advantages = PassKFullSampling(3)(torch.tensor([[1.0, 0, 0, 0, 0, 0, 1.0, 1.0]]))
    torch.testing.assert_close(advantages, torch.tensor([[1.0, 1, 1, -1, -1, -1, 0, 0]]))


def test_depends_on_order():
    strategy = PassKFullSampling(2)
    assert not torch.equal(strategy(torch.tensor([[1.0, 1, 0, 0]])), strategy(torch.tensor([[1.0, 0, 1, 0]])))


def test_permuting_within_and_among_groups_permutes_the_result():
    strategy, rewards = PassKFullSampling(2), torch.tensor([[1.0, 0, 0, 0, 1, 1, 0, 0]])
    order = [5, 4, 2, 3, 1, 0, 7, 6]
    torch.testing.assert_close(strategy(rewards[:, order]), strategy(rewards)[:, order])


def test_warns_when_a_single_group_fits():
    with pytest.warns(UserWarning, match="Raise rollout.group_size to 8 or more"):
        PassKFullSampling(4).check_group_size(7)
