import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_passk.advantages import ExceedingPassK, PassKAnalytic


def enumerate_exceeding(rewards, k):
    """Eq. 17 times the advantage averaged over all groups of k, spelled out."""
    groups = list(itertools.combinations(range(len(rewards)), k))
    group_rewards = np.array([max(rewards[i] for i in members) for members in groups])
    advantages = (group_rewards - group_rewards.mean()) / (group_rewards.std() or 1.0)
    factor = 4 / (10 * math.log(sum(rewards) + 0.5))
    return [
        factor * np.mean([a for a, members in zip(advantages, groups, strict=True) if i in members])
        for i in range(len(rewards))
    ]


@pytest.mark.filterwarnings("ignore::UserWarning")  # k = G warns, and is compared all the same
@pytest.mark.parametrize("group_size", range(1, 11))
def test_equals_enumeration_of_all_groups(group_size):
    for k in range(1, group_size + 1):
        correct = torch.tril(torch.ones(group_size + 1, group_size), diagonal=-1)  # row c has c right answers
        expected = np.array([enumerate_exceeding(row, k) for row in correct.tolist()])
        np.testing.assert_allclose(ExceedingPassK(k)(correct), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("num_correct", "positive", "negative"),
    [(1, 0.9865, -0.1409), (2, 0.2280, -0.0760), (3, 0.0886, -0.0531), (4, 0.0320, -0.0320)],
)
def test_table(group, num_correct, positive, negative):
    advantages = ExceedingPassK(4)(group(8, num_correct))[0]
    assert float(advantages[0]) == pytest.approx(positive, abs=5e-5)
    assert float(advantages[-1]) == pytest.approx(negative, abs=5e-5)


@pytest.mark.parametrize(
    ("num_correct", "natural", "decimal"),
    [(1, 5.22, 12.02), (2, 3.13, 7.20), (3, 2.67, 6.15), (8, 1.94, 4.46), (16, 1.05, 2.43)],
)
def test_table_of_magnitudes(group, num_correct, natural, decimal):
    rewards = group(32, num_correct)
    assert float(ExceedingPassK(4)(rewards).abs().sum()) == pytest.approx(natural, abs=6e-3)
    assert float(ExceedingPassK(4, log_base=10)(rewards).abs().sum()) == pytest.approx(decimal, abs=6e-3)


def test_peak_moves_to_a_single_right_answer(group):
    total = [float(ExceedingPassK(4)(group(32, c)).abs().sum()) for c in range(33)]
    assert np.argmax(total) == 1
    assert np.argmax([float(PassKAnalytic(4)(group(32, c)).abs().sum()) for c in range(33)]) == 8


@given(rewards=st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=64), data=st.data())
def test_group_sums_to_zero_and_order_does_not_matter(rewards, data):
    strategy = ExceedingPassK(data.draw(st.integers(1, len(rewards) - 1)))
    order = data.draw(st.permutations(range(len(rewards))))
    advantages = strategy(torch.tensor([rewards]))
    assert abs(float(advantages.sum())) <= 1e-5 * max(1.0, float(advantages.abs().sum()))
    torch.testing.assert_close(strategy(torch.tensor([rewards])[:, order]), advantages[:, order], rtol=0, atol=0)


@pytest.mark.parametrize("log_base", [1, 0.5, -2, float("inf"), float("nan")])
def test_log_base_must_make_sense(log_base):
    with pytest.raises(ValueError, match="above 1, but got"):
        ExceedingPassK(4, log_base=log_base)
