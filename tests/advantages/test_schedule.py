from __future__ import annotations

from textwrap import dedent

import pytest
import torch
from jsonargparse import ArgumentParser

from lit_passk.advantages import GRPO, AdvantageStrategy, PassKAnalytic, Schedule


def names(schedule, steps, max_steps=-1):
    return [type(schedule.strategy_at(step, max_steps)).__name__ for step in steps]


def test_integer_boundaries_are_rl_steps():
    schedule = Schedule([PassKAnalytic(8), PassKAnalytic(4), GRPO()], [2, 5])
    ks = [getattr(schedule.strategy_at(step), "k", 1) for step in range(7)]
    assert ks == [8, 8, 4, 4, 4, 1, 1]


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_fraction_switches_at_its_exact_step(percent):
    """0.07 * 100 is 7.000000000000001 in floating point; the switch is at step 7 all the same."""
    schedule = Schedule([PassKAnalytic(4), GRPO()], [percent / 100])
    for max_steps in (100, 1000, 100_000):
        first = percent * max_steps // 100
        assert names(schedule, [first - 1, first], max_steps) == ["PassKAnalytic", "GRPO"]


def test_a_fraction_between_steps_waits_for_the_next():
    assert names(Schedule([PassKAnalytic(4), GRPO()], [0.5]), range(3), max_steps=3) == ["PassKAnalytic"] * 2 + ["GRPO"]


def test_steps_and_fractions_may_be_mixed():
    schedule = Schedule([PassKAnalytic(8), PassKAnalytic(4), GRPO()], [10, 0.5])
    assert [getattr(schedule.strategy_at(step, 100), "k", 1) for step in (9, 10, 49, 50)] == [8, 4, 4, 1]
    with pytest.raises(ValueError, match=r"ascending .* steps \[10, 5\] of 10"):
        schedule.strategy_at(0, max_steps=10)


def test_calls_the_strategy_of_the_step(make_context, group):
    rewards = group(8, 2)
    schedule = Schedule([PassKAnalytic(4), GRPO()], [3])
    for step, strategy in ((0, PassKAnalytic(4)), (2, PassKAnalytic(4)), (3, GRPO()), (100, GRPO())):
        context = make_context(rewards, step=step)
        assert torch.equal(schedule(rewards, context), strategy(rewards, context))


def test_unknown_length_of_the_run_is_an_error_for_fractions(make_context, group):
    with pytest.raises(ValueError, match="unknown length"):
        Schedule([PassKAnalytic(4), GRPO()], [0.5])(group(8, 2), make_context(group(8, 2)))


def test_without_context_is_an_error(group):
    with pytest.raises(ValueError, match="without a context"):
        Schedule([PassKAnalytic(4), GRPO()], [3])(group(8, 2))


@pytest.mark.parametrize(
    ("boundaries", "message"),
    [
        ([], "one boundary fewer .* 2 strategies and 0"),
        ([1, 2], "one boundary fewer .* 2 strategies and 2"),
        ([0], "integers from 1.* got 0"),
        ([1.0], "between 0 and 1.* got 1.0"),
        ([0.0], "between 0 and 1.* got 0.0"),
        ([150.0], "got 150.0"),
        ([True], "got True"),
        ([float("nan")], "got nan"),
    ],
)
def test_bad_boundaries_are_refused(boundaries, message):
    with pytest.raises(ValueError, match=message):
        Schedule([PassKAnalytic(4), GRPO()], boundaries)


@pytest.mark.parametrize("boundaries", [[5, 2], [3, 3], [0.5, 0.2]])
def test_descending_boundaries_are_refused(boundaries):
    with pytest.raises(ValueError, match="ascending"):
        Schedule([PassKAnalytic(8), PassKAnalytic(4), GRPO()], boundaries)


def test_group_size_is_checked_for_every_strategy():
    with pytest.raises(ValueError, match=r"PassKAnalytic\(k=8\) needs rollout.group_size >= 8, but got 4"):
        Schedule([GRPO(), PassKAnalytic(8)], [10]).check_group_size(4)


def configure(advantage: AdvantageStrategy) -> AdvantageStrategy:
    """Any function that takes a strategy, as a module's constructor does."""
    return advantage


@pytest.fixture
def parser():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_function_arguments(configure)
    return parser


def build(parser, args):
    return parser.instantiate_classes(parser.parse_args(args)).advantage


def test_from_yaml(parser, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        """
advantage:
  class_path: lit_passk.advantages.Schedule
  init_args:
    strategies:
      - class_path: lit_passk.advantages.PassKAnalytic
        init_args: {k: 8, std: bessel}
      - class_path: lit_passk.advantages.PassKBootstrap
        init_args: {k: 2, num_groups: 64, reduction: mean}
      - class_path: lit_passk.advantages.GRPO
    boundaries: [20, 0.75]
"""
    )
    schedule = build(parser, ["--config", str(path)])
    first, second, third = schedule.strategies
    assert (first.k, first.std) == (8, "bessel")
    assert (second.k, second.num_groups, second.reduction, second.seed) == (2, 64, "mean", 0)
    assert third.std == "population"
    assert schedule.boundaries == [20, 0.75]
    assert isinstance(schedule.boundaries[0], int)


def test_short_names_as_in_the_docstring(parser, tmp_path):
    path = tmp_path / "config.yaml"
    text = Schedule.__doc__.split("::")[1].split("Args:")[0]
    path.write_text(dedent(text))  # Python 3.13 strips docstrings of their indentation
    schedule = build(parser, ["--config", str(path)])
    assert names(schedule, [0, 5], max_steps=10) == ["PassKAnalytic", "GRPO"]
    assert schedule.strategies[0].k == 8


def test_command_line_override_of_the_class_keeps_k(parser, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("advantage: {class_path: lit_passk.advantages.PassKAnalytic, init_args: {k: 8}}")
    strategy = build(parser, ["--config", str(path), "--advantage", "lit_passk.advantages.ExceedingPassK"])
    assert (type(strategy).__name__, strategy.k, strategy.log_base) == ("ExceedingPassK", 8, "e")
    strategy = build(parser, ["--advantage", "lit_passk.advantages.ExceedingPassK", "--advantage.log_base", "10"])
    assert strategy.log_base == 10


def test_bad_values_in_yaml_are_refused(parser):
    strategy = '{"class_path": "lit_passk.advantages.GRPO", "init_args": {"std": "sample"}}'
    with pytest.raises(Exception, match="std"):
        parser.parse_args(["--advantage", strategy])
