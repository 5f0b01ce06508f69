import pytest
import torch

from lit_passk.advantages import GRPO, Blend, PassKAnalytic, Schedule, Switch
from lit_passk.advantages.base import with_parts
from lit_passk.modules.run_state import restore_strategy, strategy_state

NAME = "train/entropy"


def switch(**settings):
    return Switch(GRPO(), PassKAnalytic(k=4), metric=NAME, **settings)


def used(strategy, values):
    """1 where the second strategy is in use after each value was observed."""
    found = []
    for value in values:
        strategy.observe({NAME: value, "train/reward": 0.0})
        found.append(int(strategy.active is strategy.second))
    return found


@pytest.mark.parametrize(
    ("settings", "values", "expected"),
    [
        ({"below": 0.3}, [0.5, 0.3, 0.2, 0.9, 0.1], [0, 0, 1, 1, 1]),  # at the bound is not below it; never back
        ({"above": 0.3}, [0.2, 0.3, 0.4, 0.1], [0, 0, 1, 1]),
        ({"below": 0.3, "back": 0.5}, [0.2, 0.4, 0.5, 0.6, 0.4, 0.2], [1, 1, 1, 0, 0, 1]),
        ({"above": 0.7, "back": 0.5}, [0.8, 0.6, 0.5, 0.4, 0.6, 0.8], [1, 1, 1, 0, 0, 1]),
        ({"below": 0.3, "back": 0.3}, [0.2, 0.3, 0.4, 0.2], [1, 1, 0, 1]),
        ({"below": 0.3, "steps": 2}, [0.2, 0.4, 0.2, 0.2, 0.4], [0, 0, 0, 1, 1]),
        ({"below": 0.3, "back": 0.5, "steps": 2}, [0.1, 0.1, 0.6, 0.4, 0.6, 0.6, 0.1], [0, 1, 1, 1, 1, 0, 0]),
        ({"below": 0.3, "steps": 2}, [0.2, float("nan"), 0.2, 0.2], [0, 0, 0, 1]),
    ],
)
def test_switches_by_hand(settings, values, expected):
    assert used(switch(**settings), values) == expected


@pytest.mark.parametrize("cut", range(7))
def test_a_state_that_was_saved_goes_on_as_if_it_had_not(cut):
    values = [0.1, 0.6, 0.1, 0.1, 0.6, 0.6, 0.1, 0.1]
    settings = {"below": 0.3, "back": 0.5, "steps": 2}
    whole = used(switch(**settings), values)
    before, after = switch(**settings), switch(**settings)
    first = used(before, values[:cut])
    restore_strategy(after, strategy_state(before))
    assert first + used(after, values[cut:]) == whole
    assert set(whole) == {0, 1}


def test_fewer_steps_may_be_asked_for_on_resuming():
    before, after = switch(below=0.3, steps=5), switch(below=0.3, steps=2)
    assert used(before, [0.1, 0.1, 0.1]) == [0, 0, 0]  # exact: positions of strategies
    restore_strategy(after, strategy_state(before))
    assert used(after, [0.1, 0.1]) == [1, 1]  # exact: positions of strategies


def test_the_strategy_in_use_is_called(make_context, group):
    rewards = group(8, 2)
    context = make_context(rewards)
    strategy = switch(below=0.3)
    assert torch.equal(strategy(rewards, context), GRPO()(rewards, context))
    strategy.observe({NAME: 0.1})
    assert torch.equal(strategy(rewards, context), PassKAnalytic(4)(rewards, context))
    with pytest.raises(ValueError, match="group_size >= 4"):
        strategy.check_group_size(3)


def test_it_may_lie_within_others_and_hold_others():
    inner = switch(below=0.3)
    outer = Schedule([Blend(inner, GRPO(), end=5), inner], boundaries=[10])  # one of them twice
    assert [type(part).__name__ for part in with_parts(outer)] == [
        "Schedule",
        "Blend",
        "Switch",
        "GRPO",
        "PassKAnalytic",
        "GRPO",
    ]
    for part in with_parts(outer):
        part.observe({NAME: 0.1})
    assert inner.active is inner.second
    other = Schedule([Blend(switch(below=0.3), GRPO(), end=5), GRPO()], boundaries=[10])
    restore_strategy(other, strategy_state(Schedule([Blend(inner, GRPO(), end=5), GRPO()], boundaries=[10])))
    assert isinstance(other.strategies[0].first.active, PassKAnalytic)


def test_another_strategy_than_the_checkpoints_begins_anew_and_says_what_is_lost(caplog):
    was = switch(below=0.3)
    was.observe({NAME: 0.1})
    strategy = Schedule([switch(below=0.3), GRPO()], boundaries=[4])
    restore_strategy(strategy, strategy_state(was))
    assert isinstance(strategy.strategies[0].active, GRPO)
    assert "Switch remembered" in caplog.text
    caplog.clear()
    restore_strategy(GRPO(), strategy_state(PassKAnalytic(k=4)))  # nothing is lost
    restore_strategy(was, ())  # a checkpoint of an earlier release
    assert not caplog.text


def test_a_quantity_that_is_not_logged_is_named_with_those_that_are():
    with pytest.raises(
        ValueError, match=r"'train/entropy', which training does not log. It logs train/loss, train/reward"
    ):
        switch(below=0.3).observe({"train/reward": 1.0, "train/loss": 0.0})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "either below or above"),
        ({"below": 0.1, "above": 0.2}, "either below or above"),
        ({"below": 0.3, "back": 0.2}, "back=0.2 lies within below=0.3"),
        ({"above": 0.3, "back": 0.4}, "back=0.4 lies within above=0.3"),
        ({"below": 0.3, "steps": 0}, "steps of at least 1"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        switch(**settings)


def test_only_what_training_logs_can_be_watched():
    with pytest.raises(ValueError, match=r"train/..., but got the metric 'val/pass@1'"):
        Switch(GRPO(), GRPO(), metric="val/pass@1", above=0.5)
