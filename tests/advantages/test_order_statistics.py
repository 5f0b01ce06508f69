"""MaxAtK and OrderStatistic against the enumeration of all groups of k in rational numbers."""

import math
from fractions import Fraction
from itertools import combinations

import pytest
import torch
from helpers.exact import (
    expected_gradient,
    objective_gradient,
    outcomes,
    rational,
    variance,
    with_and_without,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_passk.advantages import GRPO, RLOO, MaxAtK, OrderStatistic, PassKAnalytic

NAMES = ["max", "min", "mean", "median", "top:2", "bottom:2", "cvar:0.4", "weights"]
fractions = st.builds(Fraction, st.integers(-6, 6), st.sampled_from([1, 2, 4]))  # exact as floats


def spelled_out(statistic, k):
    """How a statistic of k sorted rewards is said to the strategy, and its definition."""
    if statistic == "weights":
        weights = [Fraction((-1) ** j * (j + 1), 2) for j in range(k)]
        return [float(w) for w in weights], lambda r: sum(w * x for w, x in zip(weights, r, strict=True))
    if k == 1:
        statistic = statistic.replace(":2", ":1")
    mean = {
        "max": lambda r: r[-1:],
        "min": lambda r: r[:1],
        "mean": lambda r: r,
        "median": lambda r: r[(k - 1) // 2 : k // 2 + 1],
        "top": lambda r: r[-2:],
        "bottom": lambda r: r[:2],
        "cvar": lambda r: r[: math.ceil(Fraction(2, 5) * k)],
    }[statistic.split(":")[0]]
    return statistic, lambda r: Fraction(sum(mean(r)), len(mean(r)))


def pay_by(statistic, rewards):
    return lambda members: statistic(sorted(rewards[i] for i in members))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(rewards=st.lists(fractions, min_size=2, max_size=7))
def test_order_statistic_is_k_over_g_times_with_minus_without(name, rewards):
    for k in range(1, len(rewards)):
        said, definition = spelled_out(name, k)
        _, with_it, without = with_and_without(len(rewards), k, pay_by(definition, rewards))
        expected = [Fraction(k, len(rewards)) * (q - v) for q, v in zip(with_it, without, strict=True)]
        assert sum(expected) == 0
        actual = OrderStatistic(k, said)(torch.tensor([[float(r) for r in rewards]]))[0]
        assert actual.tolist() == pytest.approx([float(e) for e in expected], rel=1e-5, abs=1e-6)
        assert abs(float(actual.double().sum())) < 1e-5


@pytest.mark.filterwarnings("ignore:.*sees a single group")
@pytest.mark.parametrize("std", ["population", "bessel", "none"])
@settings(max_examples=25)
@given(rewards=st.lists(fractions, min_size=2, max_size=7))
def test_max_at_k_is_the_mean_normalised_advantage_of_all_groups(std, rewards):
    for k in range(1, len(rewards) + 1):
        paid, with_it, _ = with_and_without(len(rewards), k, pay_by(lambda r: r[-1], rewards))
        mean, var = sum(paid) / len(paid), variance(paid)
        if std == "bessel" and len(paid) > 1:
            var *= Fraction(len(paid), len(paid) - 1)
        spread = 1.0 if std == "none" else math.sqrt(var) or 1.0
        expected = [float(q - mean) / spread for q in with_it]
        actual = MaxAtK(k, std)(torch.tensor([[float(r) for r in rewards]]))[0].tolist()
        assert actual == pytest.approx(expected, rel=1e-5, abs=1e-6)
        assert any(actual) == any(expected)


def by_recurrence(rewards, k):
    """Weights of the rewards sorted down, by their published recurrences: O(G) for the completion of rank p alone."""
    n, down = len(rewards), sorted(rewards, reverse=True)
    mean_weight, below = [Fraction(k, n)], [Fraction(k - 1, n - 1)]
    for j in range(1, n):
        mean_weight.append(mean_weight[-1] * (n - j - k + 1) / (n - j))
        below.append(below[-1] * Fraction(n - j - k + 1, n - j - 1) if j < n - 1 else Fraction())
    own = [Fraction(1)]
    for p in range(1, n):
        own.append(own[-1] * Fraction(n - p - k + 1, n - p))
    # A better one of rank j < p wins with weight below[j], whoever else is in the group.
    best_with = [sum(below[j] * down[j] for j in range(p)) + own[p] * down[p] for p in range(n)]
    mean = sum(w * r for w, r in zip(mean_weight, down, strict=True))
    var = sum(w * (r - mean) ** 2 for w, r in zip(mean_weight, down, strict=True))
    return {r: float(best - mean) / math.sqrt(var) for r, best in zip(down, best_with, strict=True)}


@pytest.mark.parametrize("k", [2, 5, 16, 31])
def test_max_at_k_follows_the_recurrences_in_a_group_of_32(k):
    rewards = [Fraction((7 * i) % 32 - 11, 4) for i in range(32)]  # all different
    expected = by_recurrence(rewards, k)
    actual = MaxAtK(k)(torch.tensor([[float(r) for r in rewards]]))[0].tolist()
    assert actual == pytest.approx([expected[r] for r in rewards], rel=1e-5, abs=1e-6)


CONTINUOUS = torch.tensor([[0.1, 0.4, 0.5, 0.9, 0.2, 0.7, 0.0, 1.0]])


def test_golden_values_of_graded_rewards():
    swap = [-0.0404, -0.0346, -0.0261, 0.0654, -0.0404, 0.0082, -0.0404, 0.1082]
    analytic = [-0.3217, -0.2761, -0.2078, 0.5209, -0.3217, 0.0655, -0.3217, 0.8626]
    assert OrderStatistic(3)(CONTINUOUS)[0].tolist() == pytest.approx(swap, abs=5e-5)
    assert MaxAtK(3)(CONTINUOUS)[0].tolist() == pytest.approx(analytic, abs=5e-5)


@pytest.mark.parametrize("std", ["population", "bessel", "none"])
@pytest.mark.parametrize(("group_size", "k"), [(8, 1), (8, 4), (16, 5), (64, 16), (1024, 32), (1024, 1000)])
def test_max_at_k_is_passk_analytic_on_zeros_and_ones(group_size, k, std):
    correct = torch.ones(group_size + 1, group_size).tril(-1)[:: max(1, group_size // 16)]
    torch.testing.assert_close(MaxAtK(k, std)(correct), PassKAnalytic(k, std)(correct), rtol=1e-5, atol=1e-9)


@pytest.mark.filterwarnings("ignore:.*sees a single group")
def test_max_at_k_equal_to_the_group_size_is_zero():
    assert not MaxAtK(8)(CONTINUOUS).any()


@pytest.mark.parametrize("k", [1, 3, 7])
def test_identities(k):
    size = CONTINUOUS.shape[1]
    torch.testing.assert_close(MaxAtK(k, "none")(CONTINUOUS) * k / (size - k), OrderStatistic(k)(CONTINUOUS))
    torch.testing.assert_close(OrderStatistic(k, "mean")(CONTINUOUS), RLOO()(CONTINUOUS) / size)
    torch.testing.assert_close(OrderStatistic(k, "min")(CONTINUOUS), -OrderStatistic(k)(-CONTINUOUS))
    torch.testing.assert_close(OrderStatistic(k, "top:1")(CONTINUOUS), OrderStatistic(k)(CONTINUOUS))
    torch.testing.assert_close(OrderStatistic(k, f"bottom:{k}")(CONTINUOUS), OrderStatistic(k, "mean")(CONTINUOUS))
    torch.testing.assert_close(OrderStatistic(k, "cvar:1")(CONTINUOUS), OrderStatistic(k, "mean")(CONTINUOUS))
    torch.testing.assert_close(MaxAtK(1)(CONTINUOUS), GRPO()(CONTINUOUS))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_maximum_is_the_swap_centred_form(k):
    """What i adds in the place of j, averaged over all j and all k - 1 companions, times k / G."""
    rewards = [Fraction(r) for r in (3, -1, 0, 0, 2, 3)]
    size = len(rewards)
    expected = []
    for i in range(size):
        terms = [
            max(rewards[m] for m in (i, *rest)) - max(rewards[m] for m in (j, *rest))
            for j in range(size)
            if j != i
            for rest in combinations(set(range(size)) - {i, j}, k - 1)
        ]
        expected.append(float(Fraction(k, size) * sum(terms) / len(terms)))
    actual = OrderStatistic(k)(torch.tensor([[float(r) for r in rewards]]))[0].tolist()
    assert actual == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("group_size", "k"), [(3, 1), (3, 2), (4, 2), (4, 3)])
def test_is_an_unbiased_gradient(name, group_size, k):
    """Over all that a policy of three completions can sample, two of them with one reward, in rational numbers."""
    rewards, chances = [Fraction(-2), Fraction(1), Fraction(1)], [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)]
    said, definition = spelled_out(name, k)
    sampled = outcomes(3, group_size)
    advantages = OrderStatistic(k, said)(torch.tensor([[float(rewards[y]) for y in row] for row in sampled]))
    exact = [[rational(a) for a in row] for row in advantages.tolist()]
    wanted = objective_gradient(chances, k, lambda y: definition(sorted(rewards[o] for o in y)))
    assert expected_gradient(chances, sampled, exact) == wanted


@pytest.mark.parametrize(
    "statistic",
    ["best", "top", "top:0", "top:5", "top:1.5", "cvar:0", "cvar:1.1", "cvar:nan", "cvar:x", "bottom:-1", ""],
)
def test_unknown_statistics_are_refused(statistic):
    with pytest.raises(ValueError, match=r"k = 4 rewards is max, min, .* but got '"):
        OrderStatistic(4, statistic)


@pytest.mark.parametrize("weights", [[1.0, 2.0], [0.0] * 4, [1.0, 0.0, 0.0, float("nan")], []])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(ValueError, match="needs 4 finite weights"):
        OrderStatistic(4, weights)


def test_a_share_that_is_a_whole_number_of_rewards_is_not_rounded_up():
    torch.testing.assert_close(  # 0.07 * 100 is 7.000000000000001
        OrderStatistic(100, "cvar:0.07")(torch.arange(101.0)[None]),
        OrderStatistic(100, "bottom:7")(torch.arange(101.0)[None]),
    )
