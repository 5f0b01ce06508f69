"""The advantage that groups carry: the strategies' own, and the closed forms of docs/sampling.md."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import pytest
import torch

from lit_passk.advantages import (
    GRPO,
    AdaptiveEntropy,
    AdvantageStrategy,
    Combination,
    DrGRPO,
    ExceedingPassK,
    PassKAnalytic,
    PassKBootstrap,
    PassKFullSampling,
    ReinforcePlusPlus,
    Schedule,
    VoteAtK,
)
from lit_passk.advantages.mass import advantage_mass, check_counts_suffice
from lit_passk.errors import Refusal
from lit_passk.functional.beta_binomial import beta_binomial_mean


@pytest.mark.parametrize(("size", "k"), [(4, 1), (8, 4), (16, 3), (32, 8)])
def test_closed_form_of_pass_at_k(size, k):
    """The sum is 2 c sqrt(q / (1 - q)), with q the share of groups of k without a correct completion."""
    found = advantage_mass(PassKAnalytic(k), size)
    for c, value in enumerate(found.tolist()):
        q = Fraction(math.comb(size - c, k), math.comb(size, k))
        assert value == pytest.approx(2 * c * math.sqrt(q / (1 - q)) if 0 < q < 1 else 0, rel=1e-5)


@pytest.mark.parametrize(("size", "k"), [(3, 1), (4, 2), (5, 2), (5, 3)])
def test_unnormalised_mass_in_rationals_over_every_outcome(size, k):
    """Over all 2^G outcomes at pass rate p, groups carry 2 (G - k) p (1 - p)^k on average."""
    for p in (Fraction(1, 7), Fraction(2, 3)):
        total = Fraction(0)
        for outcome in product([0, 1], repeat=size):
            chance = math.prod(p if x else 1 - p for x in outcome)
            c = sum(outcome)
            q = Fraction(
                math.comb(size - c, k), math.comb(size, k)
            )  # A of a correct one; of a wrong one -c q / (G - c)
            mass = c * q + (size - c) * abs(-c * q / (size - c)) if c < size else 0
            total += chance * mass
        assert total == 2 * (size - k) * p * (1 - p) ** k


@pytest.mark.parametrize(("a", "b"), [(1, 1), (3, 9), (2, 40)])
def test_closed_form_under_the_posterior(a, b):
    """2 (G - k) E[p (1 - p)^k] = 2 (G - k) a b (b + 1) ... (b + k - 1) / ((a + b) ... (a + b + k))."""
    size, k = 12, 4
    rising = math.prod(Fraction(b + i, a + b + 1 + i) for i in range(k))
    expected = 2 * (size - k) * Fraction(a, a + b) * rising
    mass = advantage_mass(PassKAnalytic(k, std="none"), size)
    found = beta_binomial_mean(mass, torch.tensor([float(a)]), torch.tensor([float(b)]))
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize(
    "strategy", [GRPO(), DrGRPO(), Combination(3), ExceedingPassK(2)], ids=lambda s: type(s).__name__
)
def test_strategies_that_count_are_asked_once_for_each_count(strategy):
    size = 8
    found = advantage_mass(strategy, size)
    correct = torch.ones(size + 1, size).tril(-1)
    assert found.tolist() == pytest.approx(strategy(correct).abs().sum(dim=1).tolist(), rel=1e-5)
    check_counts_suffice(strategy, size)


def test_strategies_that_draw_or_go_by_the_order_are_averaged():
    """Full sampling: 2 groups of 2 differ where one of them holds a correct completion; all advantages are then 1."""
    found = advantage_mass(PassKFullSampling(2), 4)
    assert found[[0, 1, 3, 4]].tolist() == pytest.approx([0, 4, 0, 0])
    assert 0 < found[2] < 4, "two correct ones may be in one group or in both"
    check_counts_suffice(PassKFullSampling(2), 4)
    check_counts_suffice(PassKBootstrap(2), 6)


class NeedsAnswers(AdvantageStrategy):
    def __call__(self, rewards, context=None):
        raise ValueError("NeedsAnswers needs answers.")


class Remembers(AdvantageStrategy):
    def __init__(self):
        self.calls = 0

    def __call__(self, rewards, context=None):
        self.calls += 1
        return rewards - rewards.mean(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        (AdaptiveEntropy(2), "AdaptiveEntropy does not"),
        (ReinforcePlusPlus(), "ReinforcePlusPlus does not"),
        (VoteAtK(3), "VoteAtK does not"),
        (NeedsAnswers(), "it says: NeedsAnswers needs answers."),
    ],
)
def test_strategies_that_look_at_more_are_refused(strategy, why):
    with pytest.raises(Refusal, match=why):
        check_counts_suffice(strategy, 8)


class LooksAt(AdvantageStrategy):
    """Goes by who is correct, and a little by something else."""

    def __init__(self, field):
        self.field = field

    def __call__(self, rewards, context=None):
        name, _, part = self.field.partition(".")
        value = getattr(context, name)
        value = getattr(value, part) if part else value
        value = torch.as_tensor(value).double()
        value = value[:, None] if value.ndim == 1 else value
        return GRPO()(rewards) * (1 + 0.5 * value).float()


FIELDS = ("logprob_mean", "logprob_sum", "entropy", "num_tokens", "truncated", "answers")
OF_THE_BATCH = ("batch.reward_mean", "batch.reward_std", "batch.prompt_entropy")


@pytest.mark.parametrize("field", [*FIELDS, *OF_THE_BATCH])
def test_a_little_of_anything_else_is_noticed(field):
    with pytest.raises(Refusal, match="LooksAt does not: its advantages also depend on answers, entropies"):
        check_counts_suffice(LooksAt(field), 8)


@pytest.mark.parametrize("field", ["correct", "step"])
def test_who_is_correct_and_when_is_no_more(field):
    check_counts_suffice(LooksAt(field), 8)


def test_the_length_of_the_run_is_told():
    schedule = Schedule([PassKAnalytic(2), GRPO()], [0.5])
    check_counts_suffice(schedule, 8, max_steps=10)
    with pytest.raises(Refusal, match="unknown length"):
        check_counts_suffice(schedule, 8)
    assert torch.equal(advantage_mass(schedule, 4, step=5, max_steps=10), advantage_mass(GRPO(), 4))


def test_a_single_group_costs_no_warning(recwarn):
    advantage_mass(PassKAnalytic(4), 4)
    assert not recwarn.list


def test_a_copy_is_asked_at_the_step_in_use():
    strategy = Remembers()
    advantage_mass(strategy, 4)
    assert strategy.calls == 0
    schedule = Schedule([PassKAnalytic(2), GRPO()], [0.5])
    assert torch.equal(advantage_mass(schedule, 4, step=4, max_steps=10), advantage_mass(PassKAnalytic(2), 4))
    assert torch.equal(advantage_mass(schedule, 4, step=5, max_steps=10), advantage_mass(GRPO(), 4))
