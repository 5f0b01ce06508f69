"""What a resumed run takes from its configuration, and what from the checkpoint."""

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from lit_passk.errors import Refusal
from lit_passk.modules.optimization import apply_settings, group_settings
from lit_passk.modules.run_state import forget_elapsed_time
from lit_passk.modules.schedules import WarmupLR, check_scheduler


def resumed(schedule, steps, before, after):
    """An optimizer that took so many steps with some settings and goes on with others."""

    def make(settings):
        optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))], **settings)
        wanted = group_settings(optimizer)
        return optimizer, schedule(optimizer), wanted

    old, old_schedule, _ = make(before)
    for _ in range(steps):
        old.step()
        old_schedule.step()
    new, new_schedule, wanted = make(after)
    new.load_state_dict(old.state_dict())
    new_schedule.load_state_dict(old_schedule.state_dict())
    apply_settings(new, new_schedule, wanted)
    return new, new_schedule


@pytest.mark.parametrize(
    "schedule", [lambda o: WarmupLR(o, 4), lambda o: CosineAnnealingLR(o, 10)], ids=["warm", "cos"]
)
def test_settings_of_the_configuration_hold_after_resuming(schedule):
    before, after = {"lr": 1e-3, "weight_decay": 0.1}, {"lr": 4e-3, "weight_decay": 0.0}
    optimizer, its_schedule = resumed(schedule, 2, before, after)
    whole, whole_schedule = resumed(schedule, 2, after, after)
    for _ in range(3):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(whole.param_groups[0]["lr"])
        assert optimizer.param_groups[0]["weight_decay"] == 0.0
        for one in (optimizer, its_schedule, whole, whole_schedule):
            one.step()


def test_nothing_moves_where_nothing_changed():
    settings = {"lr": 1e-3, "betas": (0.9, 0.95)}
    optimizer, _ = resumed(lambda o: WarmupLR(o, 4), 3, settings, settings)
    untouched, schedule = resumed(lambda o: WarmupLR(o, 4), 3, settings, settings)
    assert optimizer.param_groups[0]["lr"] == untouched.param_groups[0]["lr"] == schedule.get_last_lr()[0]


def test_a_run_of_learning_rate_0_goes_on_as_such_alone():
    optimizer, _ = resumed(lambda o: WarmupLR(o, 4), 3, {"lr": 0.0}, {"lr": 0.0, "weight_decay": 0.0})
    assert optimizer.param_groups[0]["lr"] == optimizer.param_groups[0]["weight_decay"] == 0
    with pytest.raises(Refusal, match=r"run of learning rate 0, which no factor brings to 0\.001"):
        resumed(lambda o: WarmupLR(o, 4), 3, {"lr": 0.0}, {"lr": 1e-3})
    optimizer, _ = resumed(lambda o: WarmupLR(o, 4), 3, {"lr": 1e-3}, {"lr": 0.0})
    assert optimizer.param_groups[0]["lr"] == 0


def test_a_schedule_that_waits_for_a_metric_is_refused():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])
    check_scheduler(CosineAnnealingLR(optimizer, 10))
    with pytest.raises(ValueError, match=r"`model.lr_scheduler` is ReduceLROnPlateau.*Use WarmupLR"):
        check_scheduler(ReduceLROnPlateau(optimizer))


def test_the_time_of_the_process_before_is_forgotten():
    checkpoint = {"callbacks": {"Timer": {"time_elapsed": {}}, "ResumeCheckpoint": {"saved": []}}}
    forget_elapsed_time(checkpoint)
    assert list(checkpoint["callbacks"]) == ["ResumeCheckpoint"]
