import json
import math
from fractions import Fraction

import pytest
import torch
from helpers.exact import variance, with_and_without
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonargparse import ArgumentParser

from lit_passk.advantages import (
    GRPO,
    AdvantageStrategy,
    GroupAdvantage,
    GroupReward,
    MaxAtK,
    PassKAnalytic,
    PassKBootstrap,
    PassKFullSampling,
)
from lit_passk.functional.groups import all_groups, share_among_members

fractions = st.builds(Fraction, st.integers(-6, 6), st.sampled_from([1, 2, 4]))


class AtLeast(GroupReward):
    """Pays for so many good members: neither a maximum nor linear."""

    def __init__(self, wanted: int = 2) -> None:
        self.wanted = wanted

    def __call__(self, rewards):
        return ((rewards > 0.5).sum(dim=-1) >= self.wanted).double()


class Spread(GroupReward):
    def __call__(self, rewards):
        return rewards.amax(dim=-1) - rewards.amin(dim=-1)


def spread(rewards):
    return max(rewards) - min(rewards)


def at_least_two(rewards):
    return Fraction(sum(r > Fraction(1, 2) for r in rewards) >= 2)


def middle(rewards):
    return Fraction(sum(sorted(rewards)[(len(rewards) - 1) // 2 : len(rewards) // 2 + 1]), 2 - len(rewards) % 2)


def spelled_out(rewards, k, pay, std, reduction):
    """By the definition, over every group of k."""
    paid, with_it, _ = with_and_without(len(rewards), k, lambda members: pay([rewards[i] for i in members]))
    mean, var = sum(paid) / len(paid), variance(paid)
    if std == "bessel" and len(paid) > 1:
        var *= Fraction(len(paid), len(paid) - 1)
    divisor = 1.0 if std == "none" else math.sqrt(var) or 1.0
    times = math.comb(len(rewards) - 1, k - 1) if reduction == "sum" else 1
    return [float(q - mean) * times / divisor for q in with_it]


def named(part):
    """The same in every process, which a function's or an object's own text is not."""
    return part if isinstance(part, str) else getattr(part, "__name__", type(part).__name__)


@pytest.mark.filterwarnings("ignore:.*sees a single group")
@pytest.mark.parametrize(("reduction", "std"), [("mean", "population"), ("sum", "bessel"), ("mean", "none")])
@pytest.mark.parametrize(
    ("f", "pay"), [(Spread(), spread), (AtLeast(), at_least_two), ("median", middle), ("min", min)], ids=named
)
@settings(max_examples=10)
@given(rewards=st.lists(fractions, min_size=2, max_size=6), binary=st.booleans())
def test_all_groups_equal_enumeration(f, pay, reduction, std, rewards, binary):
    rewards = [Fraction(r > 0) for r in rewards] if binary else rewards
    for k in range(1, len(rewards) + 1):
        expected = spelled_out(rewards, k, pay, std, reduction)
        strategy = GroupAdvantage(f, k, "all", reduction, std)
        actual = strategy(torch.tensor([[float(r) for r in rewards]]))[0].tolist()
        assert actual == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.filterwarnings("ignore:.*single group")
@pytest.mark.parametrize("group_size", [2, 5, 9])
def test_the_strategies_of_the_paper_are_instances(group_size):
    correct = torch.rand(40, group_size, generator=torch.Generator().manual_seed(0)).round()
    for k in range(1, group_size + 1):
        assert torch.equal(GroupAdvantage("max", k, "disjoint")(correct), PassKFullSampling(k)(correct))
        assert torch.equal(GroupAdvantage("max", k, "bootstrap", "sum")(correct), PassKBootstrap(k)(correct))
        for std in ("population", "bessel", "none"):
            general = GroupAdvantage("max", k, "all", std=std)(correct)
            torch.testing.assert_close(general, PassKAnalytic(k, std)(correct), rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(general, MaxAtK(k, std)(correct), rtol=1e-5, atol=1e-6)


class Best(GroupReward):
    def __call__(self, rewards):
        return rewards.amax(dim=-1)


@pytest.mark.parametrize(("group_size", "k"), [(8, 4), (64, 8), (1024, 512)])
def test_counting_zeros_and_ones_forms_no_group(group_size, k):
    """C(1024, 512) groups could not be enumerated; the maximum, as a class of one's own, is Pass@k all the same."""
    correct = torch.ones(group_size + 1, group_size).tril(-1)[:: max(1, group_size // 8)]
    torch.testing.assert_close(GroupAdvantage(Best(), k)(correct), PassKAnalytic(k)(correct), rtol=1e-5, atol=1e-7)


def test_groups_of_one_are_grpo():
    rewards = torch.tensor([[0.1, 0.4, 0.5, 0.9, 0.2]])
    for groups in ("disjoint", "all"):
        for f in ("max", "min", "mean", "median", [3.0]):
            torch.testing.assert_close(GroupAdvantage(f, 1, groups)(rewards), GRPO()(rewards))


@pytest.mark.parametrize("groups", ["disjoint", "bootstrap"])
@pytest.mark.parametrize(("f", "pay"), [("top:2", lambda r: sum(sorted(r)[1:]) / 2), (Spread(), spread)], ids=named)
def test_chosen_groups_equal_a_loop_over_them(groups, f, pay):
    rewards = [0.25, 1.0, -0.5, 0.0, 1.0, 0.75, 2.0]
    strategy = GroupAdvantage(f, 3, groups, num_groups=4, seed=7)
    members = [[0, 1, 2], [3, 4, 5]] if groups == "disjoint" else strategy.draw_groups(0, 0, 7).tolist()
    paid = [pay([rewards[i] for i in group]) for group in members]
    mean = sum(paid) / len(paid)
    std = math.sqrt(sum((p - mean) ** 2 for p in paid) / len(paid))
    for i, actual in enumerate(strategy(torch.tensor([rewards]))[0].tolist()):
        terms = [(p - mean) / std for p, group in zip(paid, members, strict=True) if i in group]
        assert actual == pytest.approx(sum(terms) / max(len(terms), 1), abs=1e-6)


@pytest.mark.parametrize("f", ["top:3", "bottom:2", "cvar:0.5", "median", [0.5, -1.0, 0.0, 0.25]], ids=lambda f: str(f))
def test_drawn_groups_converge_to_all_groups(f):
    """Statistics of several rewards, whose standard deviation over all groups has a formula of its own."""
    rewards = torch.tensor([[0.1, 0.4, 0.5, 0.9, 0.2, 0.7, 0.0, 1.0]])
    drawn = GroupAdvantage(f, 4, "bootstrap", num_groups=50_000)(rewards)
    torch.testing.assert_close(drawn, GroupAdvantage(f, 4)(rewards), atol=0.03, rtol=0)


def test_too_many_groups_to_enumerate_are_refused_and_the_way_out_is_named():
    rewards = torch.rand(2, 40, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"enumerate 847,660,528 groups of 10 .* `groups: bootstrap`"):
        GroupAdvantage(Spread(), 10)(rewards)
    assert GroupAdvantage(Spread(), 10)(rewards.round()).any()
    assert GroupAdvantage(Spread(), 10, "bootstrap")(rewards).any()
    with pytest.raises(ValueError, match="float32 cannot hold"):
        GroupAdvantage("max", 512, reduction="sum").check_group_size(1024)


def test_a_reward_that_is_not_one_number_per_group_is_refused():
    class Members(GroupReward):
        def __call__(self, rewards):
            return rewards

    with pytest.raises(ValueError, match=r"Members must return one number for each group, shape \(3,\)"):
        GroupAdvantage(Members(), 2)(torch.tensor([[0.5, 1.0, 0.0]]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": "some"}, "disjoint, bootstrap, all, but got 'some'"),
        ({"reduction": "max"}, "sum or mean, but got 'max'"),
        ({"std": "sample"}, "population, bessel, none, but got 'sample'"),
        ({"f": "best"}, "is max, min, mean"),
        ({"f": "my_project.groups.Missing"}, "no GroupReward at 'my_project.groups.Missing'"),
        ({"f": [1.0, 2.0]}, "needs 4 finite weights"),
        ({"num_groups": 0}, "num_groups >= 1 .* got 0"),
        ({"seed": -1}, "seed >= 0, but got -1"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GroupAdvantage(**arguments)


def configure(advantage: AdvantageStrategy) -> AdvantageStrategy:
    return advantage


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        ("max", (0.0, 0.0, 1.0)),
        ("cvar:0.5", (0.5, 0.5, 0.0)),
        ([0, 0.5, 1], (0.0, 0.5, 1.0)),
        ({"class_path": f"{__name__}.AtLeast", "init_args": {"wanted": 3}}, None),
    ],
    ids=str,
)
def test_f_is_a_name_weights_or_a_class_in_yaml(f, expected):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_function_arguments(configure)
    settings = json.dumps({"class_path": "GroupAdvantage", "init_args": {"f": f, "k": 3, "std": "none"}})
    strategy = parser.instantiate_classes(parser.parse_args(["--advantage", settings])).advantage
    assert (strategy.k, strategy.std, strategy.weights) == (3, "none", expected)
    if expected is None:
        assert strategy.f.wanted == 3


def test_f_on_the_command_line():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_function_arguments(configure)
    path = f"{__name__}.AtLeast"
    options = ["--advantage", "GroupAdvantage", "--advantage.f", path, "--advantage.f.wanted", "3"]
    assert parser.instantiate_classes(parser.parse_args(options)).advantage.f.wanted == 3


def test_f_is_any_function_in_python():
    rewards = torch.tensor([[0.1, 0.4, 0.5, 0.9, 0.2]])
    torch.testing.assert_close(GroupAdvantage(lambda r: r.amax(dim=-1), 3)(rewards), GroupAdvantage("max", 3)(rewards))


class DiverseSets(AdvantageStrategy):
    """Sets of k are paid for their mean reward times how many different answers they hold, as a user would write it."""

    def __init__(self, k: int = 2) -> None:
        self.k = k

    def __call__(self, rewards, context=None):
        members = all_groups(rewards.shape[1], self.k)  # (M, k)
        answers = context.answers[:, members].sort(dim=-1).values  # (P, M, k)
        different = 1 + (answers.diff(dim=-1) != 0).sum(dim=-1)  # (P, M)
        paid = rewards[:, members].mean(dim=-1) * different / self.k
        return share_among_members(paid.double(), members, rewards.shape[1], "sum", "none").float()


def test_the_pieces_serve_a_strategy_of_ones_own(make_context, group):
    rewards = group(4, 3)
    context = make_context(rewards, answers=torch.tensor([[0, 0, 1, 2]]))
    # Pairs pay 1/2 (same answer), 1, 1, and 1/2 with the wrong one: their mean is 2/3 less each.
    pairs = {(0, 1): 0.5, (0, 2): 1.0, (0, 3): 0.5, (1, 2): 1.0, (1, 3): 0.5, (2, 3): 0.5}
    mean = sum(pairs.values()) / 6
    expected = [sum(paid - mean for members, paid in pairs.items() if i in members) for i in range(4)]
    assert DiverseSets()(rewards, context)[0].tolist() == pytest.approx(expected, abs=1e-6)
