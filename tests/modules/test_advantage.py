"""From rewards to advantages over a whole step."""

from __future__ import annotations

import warnings

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
    PassKAnalytic,
    PassKBootstrap,
    PassKFullSampling,
    ReinforcePlusPlus,
    Schedule,
)
from lit_passk.modules import compute_advantages
from lit_passk.modules.advantage import check_learns


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
        (Schedule([GRPO(), PassKAnalytic(k=4)], [10]), 4, 5),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AdvantageStrategy) else str(value),
)
def test_groups_that_never_teach_anything_are_refused(strategy, too_small, enough):
    with pytest.raises(ValueError, match=f"`rollout.group_size` = {too_small}, whichever are correct"):
        check_learns(strategy, too_small)
    check_learns(strategy, enough)


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
