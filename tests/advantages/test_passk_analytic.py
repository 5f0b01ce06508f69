import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lit_passk.advantages import GRPO, PassKAnalytic

binary_groups = st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=64)


def enumerate_groups(rewards, k, std):
    """The definition: normalise over all groups of k, then average over the groups that hold a completion."""
    groups = list(itertools.combinations(range(len(rewards)), k))
    group_rewards = np.array([max(rewards[i] for i in members) for members in groups])
    advantages = group_rewards - group_rewards.mean()
    if std != "none" and group_rewards.min() != group_rewards.max():
        advantages = advantages / group_rewards.std(ddof=1 if std == "bessel" else 0)
    return [
        np.mean([advantage for advantage, members in zip(advantages, groups, strict=True) if i in members])
        for i in range(len(rewards))
    ]


@pytest.mark.filterwarnings("ignore::UserWarning")  # k = G warns, and is compared all the same
@pytest.mark.parametrize("std", ["population", "bessel", "none"])
@pytest.mark.parametrize("group_size", range(1, 11))
def test_equals_enumeration_of_all_groups(group_size, std):
    for k in range(1, group_size + 1):
        correct = torch.tril(torch.ones(group_size + 1, group_size), diagonal=-1)  # row c has c right answers
        expected = np.array([enumerate_groups(row, k, std) for row in correct.tolist()])
        np.testing.assert_allclose(PassKAnalytic(k, std)(correct), expected, atol=1e-6)


# PASSK: group size, k, {right answers: (A_pos, A_neg)}
TABLES = [
    (8, 4, {0: (0, 0), 1: (1, -0.142857), 2: (0.52223, -0.174078), 3: (0.27735, -0.166410), 4: (0.12039, -0.120386)}),
    (8, 4, dict.fromkeys((5, 6, 7, 8), (0, 0))),
    (8, 2, {1: (1.73205, -0.24744), 2: (1.07417, -0.35806), 3: (0.74536, -0.44721), 4: (0.52223, -0.52223)}),
    (8, 2, {5: (0.34641, -0.57735), 6: (0.19245, -0.57735), 7: (0, 0)}),
    (16, 8, {1: (1, -0.06667), 2: (0.55168, -0.07881), 3: (0.33333, -0.07692), 4: (0.2, -0.06667)}),
    (16, 8, {5: (0.11396, -0.05180), 6: (0.05923, -0.03554), 7: (0.02645, -0.02057), 8: (0.00882, -0.00882)}),
    (16, 8, dict.fromkeys(range(9, 17), (0, 0))),
    (32, 4, {1: (2.64575, -0.08535), 2: (1.78980, -0.11932), 4: (1.14989, -0.16427), 8: (0.64764, -0.21588)}),
    (32, 4, {16: (0.23089, -0.23089), 24: (0.04416, -0.13249), 28: (0.00527, -0.03691)}),
    (32, 4, dict.fromkeys(range(29, 33), (0, 0))),
    (32, 8, {1: (1.73205, -0.05587), 2: (1.12006, -0.07467), 4: (0.64764, -0.09252), 8: (0.27419, -0.09140)}),
    (32, 8, {16: (0.03500, -0.03500), 24: (0.00031, -0.00093)}),
    (32, 8, dict.fromkeys(range(25, 33), (0, 0))),
]


@pytest.mark.parametrize(("group_size", "k", "values"), TABLES)
def test_table_of_advantages(group, group_size, k, values):
    for num_correct, (positive, negative) in values.items():
        advantages = PassKAnalytic(k)(group(group_size, num_correct))[0].tolist()
        assert advantages[:num_correct] == pytest.approx([positive] * num_correct, abs=1e-5)
        assert advantages[num_correct:] == pytest.approx([negative] * (group_size - num_correct), abs=1e-5)


@pytest.mark.parametrize(
    ("num_correct", "positive", "negative"), [(1, 0.5, -0.0714), (2, 0.2143, -0.0714), (3, 0.0714, -0.0429)]
)
def test_table_without_std(group, num_correct, positive, negative):
    advantages = PassKAnalytic(4, std="none")(group(8, num_correct))[0]
    assert float(advantages[0]) == pytest.approx(positive, abs=5e-5)
    assert float(advantages[-1]) == pytest.approx(negative, abs=5e-5)


@pytest.mark.parametrize(
    ("group_size", "k", "peak", "efficiency"),
    [
        (8, 2, 3, 4.472), (8, 4, 2, 2.0889), (16, 2, 6, None), (16, 4, 4, None), (16, 8, 2, None),
        (32, 4, 8, 10.36), (32, 8, 4, 5.18), (32, 16, 2, None),
    ],
)  # fmt: skip
def test_sum_of_magnitudes_peaks_where_the_paper_says(group, group_size, k, peak, efficiency):
    total = [float(PassKAnalytic(k)(group(group_size, c)).abs().sum()) for c in range(group_size + 1)]
    assert np.argmax(total) == peak
    assert efficiency is None or total[peak] == pytest.approx(efficiency, abs=5e-3)


@pytest.mark.parametrize(("num_correct", "weight"), [(1, 0.37796), (2, 0.30151), (3, 0.21483), (4, 0.12039), (5, 0)])
def test_is_grpo_times_a_weight(group, num_correct, weight):
    rewards = group(8, num_correct)
    torch.testing.assert_close(PassKAnalytic(4)(rewards), weight * GRPO()(rewards), atol=2e-5, rtol=0)


@pytest.mark.parametrize("group_size", range(2, 9))
def test_without_std_is_the_unbiased_swap_estimator_up_to_a_constant(group_size):
    """A_i (no std) * k / (G - k) = k/G * mean over j != i and T of max(r_i, T) - max(r_j, T), |T| = k - 1."""
    for k, num_correct in itertools.product(range(1, group_size), range(group_size + 1)):
        rewards = [1.0] * num_correct + [0.0] * (group_size - num_correct)
        swap = []
        for i in range(group_size):
            terms = [
                max(rewards[i], *(rewards[t] for t in rest)) - max(rewards[j], *(rewards[t] for t in rest))
                if rest
                else rewards[i] - rewards[j]
                for j in range(group_size)
                if j != i
                for rest in itertools.combinations(set(range(group_size)) - {i, j}, k - 1)
            ]
            swap.append(k / group_size * np.mean(terms))
        actual = (
            PassKAnalytic(k, std="none")(torch.tensor([rewards]))[0] * k / (group_size - k) if group_size > k else 0
        )
        np.testing.assert_allclose(actual, swap, atol=1e-6)


@given(rewards=binary_groups, data=st.data())
def test_group_sums_to_zero_and_order_does_not_matter(rewards, data):
    k = data.draw(st.integers(1, len(rewards) - 1))
    order = data.draw(st.permutations(range(len(rewards))))
    for std in ("population", "bessel", "none"):
        strategy = PassKAnalytic(k, std)
        advantages = strategy(torch.tensor([rewards]))
        assert abs(float(advantages.sum())) <= 1e-5 * max(1.0, float(advantages.abs().sum()))
        torch.testing.assert_close(strategy(torch.tensor([rewards])[:, order]), advantages[:, order], rtol=0, atol=0)


@given(rewards=binary_groups)
def test_k_1_is_grpo_with_population_std(rewards):
    rewards = torch.tensor([rewards])
    torch.testing.assert_close(PassKAnalytic(1)(rewards), GRPO()(rewards), rtol=1e-6, atol=1e-6)


@given(rewards=binary_groups, data=st.data())
def test_zero_exactly_where_no_group_differs(rewards, data):
    k = data.draw(st.integers(1, len(rewards) - 1))
    num_wrong = rewards.count(0.0)
    has_signal = num_wrong < len(rewards) and num_wrong >= k
    assert bool(PassKAnalytic(k)(torch.tensor([rewards])).any()) == has_signal


@pytest.mark.parametrize("k", [1, 2, 32, 511, 512, 1000, 1023])
def test_large_groups_match_exact_integers(group, k):
    for num_correct in (1, 2, 10, 300, 512, 1022, 1023):
        failing, total = math.comb(1024 - num_correct, k), math.comb(1024, k)
        advantages = PassKAnalytic(k)(group(1024, num_correct))[0]
        # sqrt(q / (1 - q)) with exact integers; rounded once, at the end
        positive = math.sqrt(failing / (total - failing))
        assert float(advantages[0]) == pytest.approx(positive, rel=1e-6, abs=1e-37)
        assert float(advantages[-1]) == pytest.approx(
            -positive * num_correct / (1024 - num_correct), rel=1e-6, abs=1e-37
        )


def test_unknown_std_is_refused():
    with pytest.raises(ValueError, match="population, bessel, none, but got 'sample'"):
        PassKAnalytic(4, std="sample")
