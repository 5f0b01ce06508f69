"""Strategies that weigh prompts: MaxRL, RSGRPO, FGRPO, BayesianBoundary, Surrogate."""

import math
from fractions import Fraction
from itertools import combinations

import pytest
import torch
from helpers.rationals import expectation, normalized

from lit_passk.advantages import (
    FGRPO,
    GRPO,
    RLOO,
    RSGRPO,
    BayesianBoundary,
    Combination,
    DrGRPO,
    GroupSizeWarning,
    MaxRL,
    PassKAnalytic,
    Surrogate,
)

RATES = [Fraction(1, 50), Fraction(1, 4), Fraction(1, 2), Fraction(9, 10)]

# (right answers of 8): A_pos, A_neg
TABLE = [
    (MaxRL(), {1: (7, -1), 2: (3, -1), 3: (1.6667, -1), 4: (1, -1), 6: (0.3333, -1), 7: (0.1429, -1)}),
    (RSGRPO(2), {1: (1.5541, -0.2220), 2: (0.9225, -0.3075), 3: (0.5879, -0.3528), 4: (0.3808, -0.3808)}),
    (RSGRPO(2), {6: (0.1379, -0.4137), 7: (0.0606, -0.4241)}),
    (RSGRPO(8), {1: (0.8727, -0.1247), 2: (0.3745, -0.1248), 4: (0.1249, -0.1249), 7: (0.0179, -0.1250)}),
    (FGRPO(0.5), {1: (2.4749, -0.3536), 2: (1.5, -0.5), 3: (1.0206, -0.6124), 4: (0.7071, -0.7071)}),
    (FGRPO(0.5), {6: (0.2887, -0.8660), 7: (0.1336, -0.9354)}),
    (FGRPO(1.0), {1: (2.3150, -0.3307), 2: (1.2990, -0.4330), 3: (0.8069, -0.4841), 7: (0.0472, -0.3307)}),
    (Surrogate(lambda p: 1 / p), {2: (3, -1)}),
    (Surrogate(lambda p: (p * (1 - p)) ** -0.5), {2: (1.7321, -0.5774)}),
]


@pytest.mark.parametrize(("strategy", "values"), TABLE, ids=lambda value: getattr(type(value), "__name__", None))
def test_table(group, strategy, values):
    for num_correct, (positive, negative) in values.items():
        advantages = strategy(group(8, num_correct))[0]
        assert float(advantages[0]) == pytest.approx(positive, abs=5e-5)
        assert float(advantages[-1]) == pytest.approx(negative, abs=5e-5)


def swap_centred(group_size, num_correct, j):
    """The centred, unbiased pass@j advantage by enumeration, a mean over the group: (A_pos, A_neg)."""
    right = [i < num_correct for i in range(group_size)]
    best = {subset: any(right[i] for i in subset) for subset in combinations(range(group_size), j)}

    def advantage(i):
        with_i = [value for subset, value in best.items() if i in subset]
        return (Fraction(sum(with_i), len(with_i)) - Fraction(sum(best.values()), len(best))) * Fraction(
            j * group_size, group_size - j
        )

    return advantage(0), advantage(group_size - 1)


@pytest.mark.parametrize("group_size", [2, 3, 6])
def test_truncated_max_rl_is_the_harmonic_mix_of_enumerated_pass_at_j(group, group_size):
    for truncation in range(1, group_size):
        for num_correct in range(1, group_size):
            terms = [swap_centred(group_size, num_correct, j) for j in range(1, truncation + 1)]
            positive = sum(term[0] / j for j, term in enumerate(terms, 1))
            negative = sum(term[1] / j for j, term in enumerate(terms, 1))
            advantages = MaxRL(truncation)(group(group_size, num_correct))[0]
            assert float(advantages[0]) == pytest.approx(float(positive), rel=1e-6)
            assert float(advantages[-1]) == pytest.approx(float(negative), rel=1e-6)


@pytest.mark.parametrize("rate", RATES)
def test_max_rl_is_without_bias_for_the_truncated_log_likelihood(rate):
    """E of the estimator, exact in rationals, is the derivative of -sum_{j<=T} (1 - p)^j / j."""

    def derivative(truncation):
        return sum((1 - rate) ** (j - 1) for j in range(1, truncation + 1))

    def released(c):  # (r - mean) / mean
        return (Fraction(6 - c, c), Fraction(-1)) if c else (Fraction(0), Fraction(0))

    assert expectation(released, 6, rate) == derivative(5)
    for truncation in range(1, 6):

        def mixed(c, truncation=truncation):
            pairs = [swap_centred(6, c, j) for j in range(1, truncation + 1)]
            return (
                sum((pair[0] / j for j, pair in enumerate(pairs, 1)), Fraction(0)) if c > 0 else Fraction(0),
                sum((pair[1] / j for j, pair in enumerate(pairs, 1)), Fraction(0)) if c < 6 else Fraction(0),
            )

        assert expectation(mixed, 6, rate) == derivative(truncation)


def test_max_rl_between_rloo_and_the_released_form(group):
    for num_correct in range(9):
        rewards = group(8, num_correct)
        torch.testing.assert_close(MaxRL(truncation=1)(rewards), RLOO()(rewards))
        torch.testing.assert_close(MaxRL(truncation=7)(rewards), MaxRL()(rewards))


def test_max_rl_on_graded_rewards():
    rewards = [Fraction(1, 10), Fraction(4, 10), Fraction(5, 10), Fraction(0)]
    expected = [float((reward - Fraction(1, 4)) / Fraction(1, 4)) for reward in rewards]
    assert MaxRL()(torch.tensor([[float(r) for r in rewards]]))[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_max_rl_refuses_what_it_cannot_do(group):
    with pytest.raises(ValueError, match=r"none may be negative, but one is -1.*truncation"):
        MaxRL()(torch.tensor([[1.0, -1.0]]))
    with pytest.raises(ValueError, match=r"MaxRL\(truncation=8\) needs rollout.group_size > 8, but got 8"):
        MaxRL(truncation=8).check_group_size(8)
    with pytest.raises(ValueError, match="group_size > 8"):
        MaxRL(truncation=8)(group(8, 1))
    for truncation in (0, -1, True, 2.0):
        with pytest.raises(ValueError, match="integer truncation of at least 1"):
            MaxRL(truncation)


def test_truncated_max_rl_counts_who_is_correct(make_context, group):
    shaped = group(6, 2) * 2 - 1.5
    with pytest.raises(ValueError, match="`correct`"):
        MaxRL(truncation=2)(shaped)
    assert torch.equal(MaxRL(truncation=2)(shaped, make_context(group(6, 2))), MaxRL(truncation=2)(group(6, 2)))


@pytest.mark.parametrize("beta", [-3.0, 1e-6, 0.5, 1.0, 2.0, 40.0])
def test_rs_grpo_equals_its_definition(beta):
    rewards = [0.1, 0.4, 0.5, 0.9, 0.2, 0.7, 0.0, 1.0]
    utilities = [math.exp(beta * reward) for reward in rewards]
    mean = math.fsum(utilities) / len(utilities)
    expected = [(utility / mean - 1) / beta for utility in utilities]
    advantages = RSGRPO(beta)(torch.tensor([rewards], dtype=torch.float64))[0].tolist()
    assert advantages == pytest.approx(expected, rel=1e-5, abs=1e-6 if beta > 1e-3 else 1e-4)


def test_rs_grpo_golden_values_on_graded_rewards():
    advantages = RSGRPO(2)(torch.tensor([[0.1, 0.4, 0.5, 0.9, 0.2, 0.7, 0.0, 1.0]]))[0].tolist()
    golden = [-0.3132, -0.1596, -0.0842, 0.4253, -0.2718, 0.1203, -0.3470, 0.6302]
    assert advantages == pytest.approx(golden, abs=5e-5)


def test_rs_grpo_at_its_ends(group):
    rewards = torch.tensor([[0.1, 0.4, 0.5, 0.9], [0.3, 0.3, 0.3, 0.3], [-200.0, 0.0, 300.0, 5.0]])
    assert torch.equal(RSGRPO(0)(rewards), DrGRPO()(rewards))
    torch.testing.assert_close(RSGRPO(1e-7)(rewards[:2]), DrGRPO()(rewards[:2]), rtol=1e-5, atol=1e-6)
    assert torch.isfinite(RSGRPO(2)(rewards)).all()
    assert not RSGRPO(2)(rewards)[1].any()
    for num_correct in range(1, 8):  # for large beta (1 / beta) (G / c - 1) and -1 / beta
        advantages = RSGRPO(50)(group(8, num_correct))[0]
        assert float(advantages[0]) * 50 == pytest.approx(8 / num_correct - 1, rel=1e-5)
        assert float(advantages[-1]) * 50 == pytest.approx(-1, rel=1e-5)
    with pytest.raises(ValueError, match="finite beta"):
        RSGRPO(math.inf)


@pytest.mark.parametrize("std", ["population", "bessel", "none"])
def test_f_grpo_is_grpo_times_the_share_wrong(make_context, std):
    correct = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
    rewards = correct + torch.tensor([0.0, 0.1, 0.2, 0.0, 0.1])
    context = make_context(correct)
    share_wrong = torch.tensor([[0.6], [1.0], [0.0]])
    for gamma in (0, 0.5, 2):
        expected = share_wrong**gamma * GRPO(std)(rewards)
        torch.testing.assert_close(FGRPO(gamma, std)(rewards, context), expected)
    with pytest.raises(ValueError, match="gamma of at least 0"):
        FGRPO(-1)


def test_f_grpo_equals_combination_where_pass_at_k_is_silent(group):
    for num_correct in (5, 6, 7):
        rewards = group(8, num_correct)
        torch.testing.assert_close(FGRPO(1.0)(rewards), Combination(k=4)(rewards))


# u(m) / u(1) for n = 8, m = 0 to 8
GOLDEN_BOUNDARY = {
    4: [1.375, 1, 0.7, 0.4667, 0.2917, 0.1667, 0.0833, 0.0333, 0.0083],
    16: [2.875, 1, 0.3182, 0.0909, 0.0227, 0.0048, 0.0008, 0.0001, 0.0],
}


@pytest.mark.parametrize("k", [1, 2, 4, 16, 200])
@pytest.mark.parametrize("group_size", [2, 5, 8])
def test_boundary_weights_are_the_posterior_mean_of_the_slope(group, k, group_size):
    """By exact integration: k times the integral of (1 - p)^(k - 1) under Beta(m + 1, n - m + 1)."""

    def utility(m):
        n = group_size
        beta = Fraction(math.factorial(m) * math.factorial(n - m), math.factorial(n + 1))
        moved = Fraction(math.factorial(m) * math.factorial(n - m + k - 1), math.factorial(n + k))
        return k * moved / beta

    assert sum(utility(m) for m in range(group_size + 1)) == group_size + 1
    for m in range(group_size + 1):
        weight = float(utility(m) / utility(1)) if utility(m) >= Fraction(1, 100) * (group_size + 1) else 0.0
        advantages = BayesianBoundary(k)(group(group_size, m))[0]
        expected = [-weight] * group_size if m == 0 else [weight * a for a in normalized(group_size, m)]
        assert advantages.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("k", GOLDEN_BOUNDARY)
def test_boundary_golden_values(group, k):
    ungated = BayesianBoundary(k, threshold=0.0)
    assert float(ungated(group(8, 0))[0, 0]) == pytest.approx(-GOLDEN_BOUNDARY[k][0], abs=5e-5)
    for m in range(1, 8):
        weight = float((ungated(group(8, m)) / GRPO()(group(8, m)))[0, 0])
        assert weight == pytest.approx(GOLDEN_BOUNDARY[k][m], abs=6e-5)
    assert not ungated(group(8, 8)).any()


def test_boundary_gate_and_refusals(group):
    assert BayesianBoundary(16)(group(8, 3)).any()
    assert not BayesianBoundary(16)(group(8, 6)).any()  # u(6) = .005, below .01 * 9
    with pytest.warns(GroupSizeWarning, match="closes its gate on every group of rollout.group_size = 512"):
        assert not BayesianBoundary(4)(group(512, 0)).any()  # u(0) is below 4, the gate at 5.13
    for options, message in (({"k": 0}, "integer k >= 1"), ({"threshold": 1.0}, r"threshold in \[0, 1\)")):
        with pytest.raises(ValueError, match=message):
            BayesianBoundary(**options)


def test_surrogate_contains_its_relatives(group):
    for num_correct in range(9):
        rewards = group(8, num_correct)
        torch.testing.assert_close(Surrogate(torch.ones_like)(rewards), DrGRPO()(rewards))
        torch.testing.assert_close(Surrogate(torch.reciprocal)(rewards), MaxRL()(rewards))
        torch.testing.assert_close(Surrogate(lambda p: (p * (1 - p)).rsqrt())(rewards), GRPO()(rewards))
    torch.testing.assert_close(Surrogate(torch.reciprocal)(group(2, 1)), MaxRL()(group(2, 1)))
    assert torch.equal(Surrogate(lambda p: 1.0)(group(8, 3)), Surrogate(torch.ones_like)(group(8, 3)))


def test_surrogate_of_pass_at_k_tends_to_the_unbiased_advantage(group):
    """At G = 512 the plug-in derivative k (1 - p)^(k - 1) is within 3 % of it."""
    surrogate = Surrogate(lambda p: 4 * (1 - p) ** 3)(group(512, 100))
    exact = PassKAnalytic(k=4, std="none")(group(512, 100)) * 512 * 4 / (512 - 4)
    torch.testing.assert_close(surrogate, exact, rtol=0.03, atol=0.0)


def test_surrogate_refusals(group):
    with pytest.raises(ValueError, match=r"not finite at a solve rate of 0.5"):
        Surrogate(lambda p: 1 / (p - 0.5))(group(4, 1))
    with pytest.raises(ValueError, match=r"each of 3 solve rates, but returned shape \(2,\)"):
        Surrogate(lambda p: p[:2])(group(4, 1))
    with pytest.raises(ValueError, match="needs a function"):
        Surrogate(3.0)
