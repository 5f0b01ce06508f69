import pytest
import torch

from lit_passk.advantages import GRPO, Blend, PassKAnalytic, Schedule


def blend(**settings):
    return Blend(PassKAnalytic(k=4), GRPO(), **settings)


@pytest.mark.parametrize(
    ("settings", "max_steps", "expected"),
    [
        ({"start": 1, "end": 5}, -1, [0, 0, 0.25, 0.5, 0.75, 1, 1]),
        ({}, 4, [0, 0.25, 0.5, 0.75]),
        ({"start": 0.5}, 8, [0, 0, 0, 0, 0, 0.25, 0.5, 0.75]),
        ({"start": 2, "end": 0.5}, 8, [0, 0, 0, 0.5, 1, 1, 1, 1]),
        ({"end": 4, "start_weight": 0.0, "end_weight": 0.8}, -1, [0, 0.2, 0.4, 0.6, 0.8, 0.8]),
        ({"end": 2, "start_weight": 1.0, "end_weight": 0.5}, -1, [1, 0.75, 0.5, 0.5]),
        ({"start_weight": 0.3, "end_weight": 0.3}, -1, [0.3, 0.3]),  # constant: the length of the run is no matter
    ],
)
def test_weights_by_hand(settings, max_steps, expected):
    found = [blend(**settings).weight_at(step, max_steps) for step in range(len(expected))]
    assert found == pytest.approx(expected)


def test_it_is_the_weighted_sum(make_context, group):
    rewards = group(8, 2)
    mixed = blend(end=4)
    for step, weight in ((0, 0.0), (1, 0.25), (3, 0.75), (4, 1.0), (9, 1.0)):
        context = make_context(rewards, step=step)
        expected = (1 - weight) * PassKAnalytic(4)(rewards, context) + weight * GRPO()(rewards, context)
        torch.testing.assert_close(mixed(rewards, context), expected)


def test_both_parts_are_asked():
    with pytest.raises(ValueError, match=r"PassKAnalytic\(k=4\) needs rollout.group_size >= 4"):
        blend().check_group_size(3)
    nested = Blend(GRPO(), Schedule([GRPO(), GRPO()], boundaries=[0.5]), start=0, end=10)
    with pytest.raises(ValueError, match=r"Schedule cannot place the fraction 0.5"):
        nested.check_run(-1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": -1}, "RL steps .* got -1"),
        ({"end": 1.5}, "shares of the run .* got 1.5"),
        ({"start": True}, "got True"),
        ({"start": 5, "end": 5}, "start before end, but got 5 and 5"),
        ({"start": 0.9, "end": 0.1}, "start before end"),
        ({"end_weight": 1.2}, r"weights in \[0, 1\], but got 0.0 and 1.2"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        blend(**settings)


def test_what_only_the_length_of_the_run_shows_is_refused_by_it():
    with pytest.raises(ValueError, match=r"Blend cannot place the fraction 1.0 of a run of unknown length"):
        blend().check_run(-1)
    with pytest.raises(ValueError, match=r"start before end, but got 50 and 0.5 \(steps 50, 10\)"):
        blend(start=50, end=0.5).check_run(20)
    blend(start=50, end=0.5).check_run(200)


def test_without_context_is_an_error(group):
    with pytest.raises(ValueError, match="without a context"):
        blend()(group(8, 2))
