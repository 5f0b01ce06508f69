import math
from collections import Counter

import pytest
import torch

from lit_passk.advantages import PassKAnalytic, PassKBootstrap


def binomial_mean(draws, chance, value):
    return sum(math.comb(draws, j) * chance**j * (1 - chance) ** (draws - j) * value(j) for j in range(draws + 1))


def expected_positive(group_size, k, num_correct):
    """Expectation of the summed advantage of a right answer when as many groups are drawn as there are completions.

    With J of M groups positive, each of them gives sqrt((M - J) / J), and a right answer is in a positive group with
    probability (k / G) / R: k / (G R) * E[sqrt(J (M - J))], J ~ Binomial(M, R).
    """
    chance = 1 - math.comb(group_size - num_correct, k) / math.comb(group_size, k)
    mean = binomial_mean(group_size, chance, lambda j: math.sqrt(j * (group_size - j)))
    return k / group_size / chance * mean


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("group_size", "k", "num_correct", "ratio"),
    [(8, 4, 1, 3.71), (8, 4, 2, 3.42), (8, 4, 3, 2.48), (32, 4, 8, 3.92), (32, 8, 4, 7.85)],
)
def test_sum_is_about_k_times_the_analytic_value(group, group_size, k, num_correct, ratio):
    rewards = group(group_size, num_correct).expand(4000, -1)
    analytic = PassKAnalytic(k)(rewards[:1])[0]
    expected = expected_positive(group_size, k, num_correct)
    assert expected / float(analytic[0]) == pytest.approx(ratio, abs=1e-2)  # the table was simulated

    advantages = PassKBootstrap(k)(rewards)
    right, wrong = advantages[:, :num_correct].double(), advantages[:, num_correct:].double()
    noise = 5 * float(right.mean(dim=1).std()) / math.sqrt(len(rewards))
    assert float(right.mean()) == pytest.approx(expected, abs=noise)
    # The drawn groups have k members each and sum to zero, so the completions do, in expectation too.
    assert float(wrong.mean()) == pytest.approx(-num_correct / (group_size - num_correct) * expected, abs=noise)


def test_share_of_draws_without_signal(group):
    silent = (PassKBootstrap(4)(group(8, 3).expand(4000, -1)) == 0).all(dim=1).double().mean()
    chance = 1 - math.comb(5, 4) / math.comb(8, 4)
    assert float(silent) == pytest.approx(chance**8, abs=5 * math.sqrt(0.25 / 4000))
    assert chance**8 == pytest.approx(0.55, abs=5e-3)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_equals_a_loop_over_the_drawn_groups(reduction):
    rewards = torch.tensor([[0.0, 1, 0, 0, 1, 0, 0]])
    strategy = PassKBootstrap(3, num_groups=2, reduction=reduction, seed=7)
    groups = strategy.draw_groups(step=0, problem_id=0, group_size=7).tolist()
    group_rewards = [max(rewards[0, i].item() for i in members) for members in groups]
    mean = sum(group_rewards) / 2
    std = math.sqrt(sum((reward - mean) ** 2 for reward in group_rewards) / 2)
    assert std > 0
    assert len({i for members in groups for i in members}) < 7  # somebody is in no group
    for i, actual in enumerate(strategy(rewards)[0].tolist()):
        terms = [(reward - mean) / std for reward, members in zip(group_rewards, groups, strict=True) if i in members]
        expected = sum(terms) if reduction == "sum" else sum(terms) / max(len(terms), 1)
        assert actual == pytest.approx(expected, abs=1e-6)


def test_groups_are_distinct_members_and_all_subsets_are_equally_likely():
    groups = PassKBootstrap(3, num_groups=20_000).draw_groups(step=0, problem_id=0, group_size=6)
    counts = Counter(tuple(sorted(set(members))) for members in groups.tolist())
    assert set(map(len, counts)) == {3}
    assert len(counts) == math.comb(6, 3)
    chi_square = sum((count - 1000) ** 2 / 1000 for count in counts.values())
    assert chi_square < 43.8  # 99.9 % quantile with 19 degrees of freedom


@pytest.mark.parametrize(("k", "num_correct"), [(1, 3), (2, 1), (4, 2), (4, 4), (7, 1)])
def test_mean_converges_to_analytic(group, k, num_correct):
    rewards = group(8, num_correct)
    actual = PassKBootstrap(k, num_groups=100_000, reduction="mean")(rewards)
    torch.testing.assert_close(actual, PassKAnalytic(k)(rewards), atol=0.03, rtol=0)


def test_error_of_the_mean_shrinks_with_the_number_of_groups(group):
    rewards = group(8, 2)
    errors = [
        float((PassKBootstrap(4, n, "mean")(rewards.expand(20, -1)) - PassKAnalytic(4)(rewards)).square().mean().sqrt())
        for n in (100, 10_000)
    ]
    assert errors[1] < errors[0] / 5  # a hundredfold of groups: a tenth of the error


def test_depends_on_seed_step_and_prompt_and_repeats(group, make_context):
    rewards = group(16, 4)

    def draw(seed=0, step=0, problem_id=0):
        context = make_context(rewards, problem_ids=torch.tensor([problem_id]), step=step)
        return PassKBootstrap(4, seed=seed)(rewards, context)

    assert torch.equal(draw(), draw())
    assert torch.equal(draw(), PassKBootstrap(4)(rewards))  # without a context: step 0, row number
    assert len({tuple(draw(**key)[0].tolist()) for key in ({}, {"seed": 1}, {"step": 1}, {"problem_id": 1})}) == 4


def test_global_random_state_is_left_alone(group):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    PassKBootstrap(4)(group(8, 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_depends_on_the_order_of_completions(group):
    rewards = group(16, 4)
    assert not torch.equal(PassKBootstrap(4)(rewards.flip(1)).flip(1), PassKBootstrap(4)(rewards))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_groups": 0}, "num_groups >= 1 .* got 0"),
        ({"reduction": "max"}, "sum or mean, but got 'max'"),
        ({"seed": -1}, "seed >= 0, but got -1"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PassKBootstrap(4, **arguments)
