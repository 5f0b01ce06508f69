"""From rewards to advantages over a whole step."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
from helpers.scripted import scripted_rollouts

from lit_passk.advantages import (
    GRPO,
    AdaptiveEntropy,
    AdvantageStrategy,
    Combination,
    DrGRPO,
    ExceedingPassK,
    GroupAdvantage,
    GroupReward,
    MaxAtK,
    PassKAnalytic,
    PassKBootstrap,
    PassKFullSampling,
    ReinforcePlusPlus,
    Schedule,
)
from lit_passk.modules import compute_advantages
from lit_passk.modules.advantage import check_learns, warn_of_unused_rewards


def test_a_group_that_shrank_gets_no_advice_about_the_configured_size():
    """Of eight completions two are left: k = 2 has no advantage there, and raising group_size would not help."""
    rollouts = scripted_rollouts([[1, 0] + [None] * 6, [1, 0, 0, 0, 0, 0, 0, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        advantages = compute_advantages(PassKAnalytic(2), rollouts)
    assert torch.equal(advantages[:2], torch.zeros(2))
    assert advantages[2:].abs().min() > 0


@pytest.mark.parametrize(
    ("strategy", "too_small", "enough"),
    [
        (GRPO(), 1, 2),
        (DrGRPO(), 1, 2),
        (PassKAnalytic(k=1), 1, 2),
        (PassKAnalytic(k=4), 4, 5),
        (PassKBootstrap(k=4), 4, 5),
        (PassKFullSampling(k=4), 7, 8),
        (ExceedingPassK(k=4), 4, 5),
        (MaxAtK(k=4), 4, 5),
        (GroupAdvantage("min", k=4, groups="disjoint"), 7, 8),
        (GroupAdvantage(k=4, groups="bootstrap"), 4, 5),
        (Schedule([GRPO(), PassKAnalytic(k=4)], [10]), 4, 5),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AdvantageStrategy) else str(value),
)
def test_groups_that_never_teach_anything_are_refused(strategy, too_small, enough):
    with pytest.raises(ValueError, match=f"`rollout.group_size` = {too_small}, whichever are correct"):
        check_learns(strategy, too_small)
    check_learns(strategy, enough)


def test_a_strategy_that_refuses_graded_rewards_may_train_on_zeros_and_ones():
    """Groups of one's own reward are counted where rewards are 0 and 1, and enumerated where they are not."""

    class Spread(GroupReward):
        def __call__(self, rewards):
            return rewards.amax(dim=-1) - rewards.amin(dim=-1)

    check_learns(GroupAdvantage(Spread(), k=10), 40)
    with pytest.raises(ValueError, match="enumerate 847,660,528 groups"):
        warn_of_unused_rewards(GroupAdvantage(Spread(), k=10), 40)


def test_a_strategy_that_compares_no_group_may_have_one_completion():
    class Plain(AdvantageStrategy):
        def __call__(self, rewards, context=None):
            return rewards

    class Nothing(AdvantageStrategy):
        def __call__(self, rewards, context=None):
            return torch.zeros_like(rewards)

    for strategy in (Plain(), ReinforcePlusPlus(), Nothing()):  # a larger group would not change the last
        check_learns(strategy, 1)
    for strategy in (Combination(k=4), AdaptiveEntropy(k=4)):
        check_learns(strategy, 4)  # their Pass@1 part is left


def test_strategies_see_numbered_answers_of_the_scored_completions_alone():
    seen = []

    class Look(AdvantageStrategy):
        def __call__(self, rewards, context=None):
            seen.append(context.answers)
            return torch.zeros_like(rewards)

    rollouts = scripted_rollouts([[1, 0, None, 0, 0], [1, 1, 0, 0, None]])
    answers = [["1/2", "7", "never scored", None, "0.5"], ["x", "X", "y", "x", "never scored"]]
    groups = [
        replace(group, scores=[replace(s, answer=a) for s, a in zip(group.scores, given, strict=True)])
        for group, given in zip(rollouts.groups, answers, strict=True)
    ]
    compute_advantages(Look(), replace(rollouts, groups=tuple(groups)))
    assert seen.pop().tolist() == [[0, 1, -1, 0], [0, 0, 1, 0]]
    compute_advantages(Look(), replace(rollouts, groups=()))  # made by hand
    assert seen == [None]
