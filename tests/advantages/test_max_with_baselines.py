"""PKPO and LeaveOneOutMaxK: max@k with other baselines, against enumeration and their published values."""

from fractions import Fraction
from itertools import combinations

import pytest
import torch
from helpers.exact import expected_gradient, objective_gradient, outcomes, rational, with_and_without
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_passk.advantages import PKPO, RLOO, LeaveOneOutMaxK

fractions = st.builds(Fraction, st.integers(-6, 6), st.sampled_from([1, 2, 4]))
GRADED = torch.tensor([[0.1, 0.4, 0.5, 0.9, 0.2, 0.7, 0.0, 1.0]])
VARIANTS = ["s", "sloo", "sloo_minus_one"]

# Correct of 8, k: (A_pos, A_neg)
BINARY = [
    ("s", 4, {1: (0.5, 0.2143), 2: (0.5, 0.3571), 3: (0.5, 0.4429), 4: (0.5, 0.4857), 6: (0.5, 0.5)}),
    ("sloo", 4, {1: (0.5, -0.1122), 2: (0.1735, -0.1327), 3: (0.0102, -0.1122), 4: (-0.0551, -0.0857)}),
    ("sloo", 4, {6: (-0.0714, -0.0714), 7: (-0.0714, -0.0714)}),
    ("sloo", 2, {1: (0.25, -0.0459), 2: (0.1684, -0.0782), 4: (0.0459, -0.1020), 6: (-0.0221, -0.0714)}),
    ("sloo_minus_one", 4, {1: (0.5, 0), 2: (0.2857, 0), 3: (0.1429, 0), 4: (0.0571, 0), 6: (0, 0), 7: (0, 0)}),
    ("sloo_minus_one", 2, {1: (0.25, 0), 2: (0.2143, 0), 4: (0.1429, 0), 6: (0.0714, 0)}),
]


def best(rewards, members):
    return max(rewards[i] for i in members)


@pytest.mark.parametrize(("variant", "k", "values"), BINARY)
def test_golden_values_of_zeros_and_ones(group, variant, k, values):
    for num_correct, (positive, negative) in values.items():
        advantages = PKPO(k, variant)(group(8, num_correct))[0].tolist()
        assert advantages[:num_correct] == pytest.approx([positive] * num_correct, abs=5e-5)
        assert advantages[num_correct:] == pytest.approx([negative] * (8 - num_correct), abs=5e-5)


@pytest.mark.parametrize(
    ("strategy", "values"),
    [
        (PKPO(3, "s"), [0.2821, 0.2857, 0.2911, 0.3482, 0.2821, 0.3125, 0.2821, 0.375]),
        (PKPO(3, "sloo"), [-0.0864, -0.0804, -0.0714, 0.0249, -0.0864, -0.0353, -0.0864, 0.0701]),
        (PKPO(3), [0, 0.0125, 0.0232, 0.1125, 0.0018, 0.0589, 0, 0.15]),
        (LeaveOneOutMaxK(), [0, 0, 0, 0, 0, 0, 0, 0.1]),
        (LeaveOneOutMaxK(8), [0, 0, 0, 0, 0, 0, 0, 0.1]),
    ],
)
def test_golden_values_of_graded_rewards(strategy, values):
    assert strategy(GRADED)[0].tolist() == pytest.approx(values, abs=5e-5)


def spelled_out(variant, rewards, k):
    """The definitions by enumeration: each completion's share of max@k, and the baselines of the paper."""
    n = len(rewards)
    share = Fraction(k, n)
    _, with_it, without = with_and_without(n, k, lambda members: best(rewards, members))
    if variant == "s" or (variant == "sloo" and k == n):
        return [share * q for q in with_it]
    if variant == "sloo":
        return [share * q - Fraction(k, n - 1) * v for q, v in zip(with_it, without, strict=True)]
    gains = []
    for i in range(n):
        others = [m for m in range(n) if m != i]
        if k == 1:  # no group is left without i: the mean of the others is its baseline
            gains.append(rewards[i] - sum(rewards[m] for m in others) / (n - 1))
            continue
        joined = [best(rewards, (i, *rest)) - best(rewards, rest) for rest in combinations(others, k - 1)]
        gains.append(sum(joined) / len(joined))
    return [share * gain for gain in gains]


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=20)
@given(rewards=st.lists(fractions, min_size=2, max_size=7))
def test_equals_enumeration(variant, rewards):
    given_rewards = torch.tensor([[float(r) for r in rewards]])
    for k in range(1, len(rewards) + 1):
        expected = [float(a) for a in spelled_out(variant, rewards, k)]
        assert PKPO(k, variant)(given_rewards)[0].tolist() == pytest.approx(expected, rel=1e-5, abs=1e-6)
        if k > 1 and variant == "sloo_minus_one":
            scaled = [a * len(rewards) / k for a in expected]
            assert LeaveOneOutMaxK(k)(given_rewards)[0].tolist() == pytest.approx(scaled, rel=1e-5, abs=1e-6)


@given(rewards=st.lists(fractions, min_size=2, max_size=12))
def test_leave_one_out_of_all_is_the_lead_over_the_second_best(rewards):
    expected = [
        float(max(rewards) - max(rewards[:i] + rewards[i + 1 :])) if rewards[i] == max(rewards) else 0.0
        for i in range(len(rewards))
    ]
    assert LeaveOneOutMaxK()(torch.tensor([[float(r) for r in rewards]]))[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("group_size", "k"), [(2, 2), (3, 1), (3, 2), (4, 2), (4, 3)])
def test_is_an_unbiased_gradient_of_max_at_k(variant, group_size, k):
    rewards, chances = [Fraction(-2), Fraction(1), Fraction(1)], [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)]
    sampled = outcomes(3, group_size)
    advantages = PKPO(k, variant)(torch.tensor([[float(rewards[y]) for y in row] for row in sampled]))
    exact = [[rational(a) for a in row] for row in advantages.tolist()]
    assert expected_gradient(chances, sampled, exact) == objective_gradient(chances, k, lambda y: best(rewards, y))


def test_wrong_completions_are_left_alone_by_the_last_variant_and_no_other(group):
    assert not PKPO(4)(group(8, 2))[0, 2:].any()
    assert (PKPO(4, "sloo")(group(8, 2))[0, 2:] < 0).all()


def test_integers_are_numbers_like_any_other():
    assert torch.equal(PKPO(3)((10 * GRADED).round().long()), PKPO(3)((10 * GRADED).round()))


def test_at_k_1_it_is_rloo_divided_by_the_number_of_completions():
    torch.testing.assert_close(PKPO(1)(GRADED), RLOO()(GRADED) / 8)
    with pytest.raises(ValueError, match="group_size >= 2, but got 1"):
        PKPO(1)(torch.ones(3, 1))


@pytest.mark.parametrize("k", [0, 1])
def test_a_group_of_one_has_nothing_to_leave_out(k):
    with pytest.raises(ValueError, match="k >= 2"):
        LeaveOneOutMaxK(k)
    with pytest.raises(ValueError, match="group_size >= 2, but got 1"):
        LeaveOneOutMaxK()(torch.ones(3, 1))


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="s, sloo, sloo_minus_one, but got 'loo'"):
        PKPO(4, "loo")


@pytest.mark.parametrize("k", [2, 100, 1023, 1024])
def test_large_groups_sum_to_k_times_max_at_k(k):
    """The expected maximum of k of the numbers 1 to 1024 is known."""
    advantages = PKPO(k, "s")(torch.arange(1.0, 1025.0)[None]).double()
    assert float(advantages.sum()) == pytest.approx(k * k * 1025 / (k + 1), rel=1e-6)
