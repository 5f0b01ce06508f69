"""A signal ends a run with its last step in a checkpoint, and the resumed run ends as if nothing had happened."""

import os
import signal
import time

import lightning as L
import pytest
import torch
from helpers.faults import FaultAt, SignalAt
from helpers.small_runs import STEPS, run

from lit_passk.callbacks.stop_on_signal import Stopped, signals_end_at_once
from lit_passk.checkpointing.run_folder import last_checkpoint
from lit_passk.engines.interrupts import ENDING


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    assert {number: signal.getsignal(number) for number in ENDING} == before


@pytest.fixture
def restored(monkeypatch):
    """What the faults put in the way is taken away again."""
    monkeypatch.setattr(os, "chmod", os.chmod)
    monkeypatch.setattr(torch, "save", torch.save)


@pytest.fixture(scope="module")
def undisturbed(maze_policy, tmp_path_factory):
    return run(maze_policy, tmp_path_factory.mktemp("undisturbed"))


# Where the signal comes, in which step, the steps done when the run ends, and the signal.
PLACES = [
    ("sampling", 1, 1, signal.SIGTERM),
    ("backward", 1, 1, signal.SIGINT),
    ("update", 1, 2, signal.SIGTERM),
    ("log", 1, 2, signal.SIGHUP),
    ("validation", 2, 2, signal.SIGINT),
    ("scoring", 1, 1, signal.SIGXCPU),
]
MORE_PLACES = [
    ("sampling", 3, 3, signal.SIGHUP),
    ("scoring", 2, 2, signal.SIGINT),
    ("forward", 2, 2, signal.SIGTERM),
    ("optimizer", 2, 3, signal.SIGINT),
    ("rollouts", 2, 3, signal.SIGTERM),
    ("validation", 1, 1, signal.SIGTERM),
    ("validation", 3, 3, signal.SIGTERM),  # at the end of an epoch
]
PLACES += [pytest.param(*place, marks=pytest.mark.slow) for place in MORE_PLACES]


@pytest.mark.parametrize(("where", "step", "done", "number"), PLACES)
def test_stopped_anywhere_and_resumed_is_bit_equal(
    maze_policy, tmp_path, undisturbed, restored, caplog, where, step, done, number
):
    with pytest.raises(SystemExit) as stop:
        run(maze_policy, tmp_path, SignalAt(step, where, number=number))
    assert stop.value.code == 128 + number
    assert last_checkpoint(tmp_path).name == f"step={done}.ckpt"
    assert f"RL step {done} is in {last_checkpoint(tmp_path)}" in caplog.text
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [f"step={done}.ckpt"]
    assert not (tmp_path / "run.lock").exists()
    trainer, module = run(maze_policy, tmp_path, resume=True)
    expected, uninterrupted = undisturbed
    ours, theirs = module.state_dict(), uninterrupted.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)  # exact: going on is the same arithmetic
    for name in [name for name in expected.callback_metrics if not name.startswith("time/")]:
        assert trainer.callback_metrics[name] == expected.callback_metrics[name], name  # exact: the same arithmetic
    assert len(list((tmp_path / "rollouts").glob("step_*"))) == STEPS


class Validations(L.Callback):
    def __init__(self):
        self.of = []

    def on_validation_epoch_end(self, trainer, pl_module):
        self.of.append(pl_module.rl_step)


@pytest.mark.parametrize("step", [1, 3])  # within an epoch and at its end
def test_a_validation_that_was_broken_off_is_run_again_and_no_other(maze_policy, tmp_path, restored, step):
    watch = Validations()
    with pytest.raises(SystemExit):
        run(maze_policy, tmp_path, watch, SignalAt(step, "validation"))
    assert watch.of == [*range(1, step)]
    with pytest.raises(SystemExit):  # and once more
        run(maze_policy, tmp_path, watch, SignalAt(step, "validation"), resume=True)
    assert watch.of == [*range(1, step)]
    run(maze_policy, tmp_path, watch, resume=True)
    assert watch.of == [*range(1, STEPS + 1)]


def test_a_second_one_ends_the_process_at_once(maze_policy, tmp_path, monkeypatch):
    """In the midst of the optimizer's steps, from where nothing can go on."""

    class Ended(BaseException):
        pass

    def kill(pid, number):
        if signal.getsignal(number) is not signal.SIG_DFL:
            return send(pid, number)
        raise Ended

    class Twice(SignalAt):
        def happen(self):
            super().happen()
            monkeypatch.setattr(time, "monotonic", lambda: now() + 2)  # a moment later; at once it would be an echo
            super().happen()

    send, now = os.kill, time.monotonic
    monkeypatch.setattr(os, "kill", kill)
    with pytest.raises(Ended):
        run(maze_policy, tmp_path, Twice(1, "update"))
    assert last_checkpoint(tmp_path) is None


def test_a_limit_on_cpu_time_that_the_kernel_tells_each_second_is_one_signal(maze_policy, tmp_path, monkeypatch, capfd):
    class EachSecond(SignalAt):
        def happen(self):
            for second in range(3):
                monkeypatch.setattr(time, "monotonic", lambda later=2 * second: now() + later)
                super().happen()

    now = time.monotonic
    with pytest.raises(SystemExit) as stop:
        run(maze_policy, tmp_path, EachSecond(1, "update", number=signal.SIGXCPU))
    assert stop.value.code == 128 + signal.SIGXCPU
    assert "lit-passk: SIGXCPU: stops after the step under way.\n" in capfd.readouterr().err
    assert last_checkpoint(tmp_path).name == "step=2.ckpt"


@pytest.mark.parametrize(("number", "left"), [(signal.SIGXCPU, signal.SIG_IGN), (signal.SIGTERM, signal.SIG_DFL)])
def test_a_limit_on_cpu_time_does_not_kill_what_is_ending(number, left):
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(Stopped), signals_end_at_once():
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) == left
    finally:
        signal.signal(number, before)


def test_an_echo_of_the_first_is_not_a_second_one(maze_policy, tmp_path):
    class Twice(SignalAt):
        def happen(self):
            super().happen()
            super().happen()

    with pytest.raises(SystemExit) as stop:
        run(maze_policy, tmp_path, Twice(1, "update"))
    assert stop.value.code == 128 + signal.SIGTERM
    assert last_checkpoint(tmp_path).name == "step=2.ckpt"


def test_what_is_ignored_stays_ignored(maze_policy, tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # by nohup
    try:
        trainer, _ = run(maze_policy, tmp_path, SignalAt(1, "sampling", number=signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert trainer.global_step == 2 * STEPS


class OutOfMemory(FaultAt):
    def happen(self):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize(("where", "kept"), [("sampling", 2), ("backward", 2), ("update", None)])
def test_an_error_leaves_the_last_step_too_unless_it_broke_it(maze_policy, tmp_path, undisturbed, where, kept):
    with pytest.raises(torch.OutOfMemoryError):
        run(maze_policy, tmp_path, OutOfMemory(2, where))
    last = last_checkpoint(tmp_path)
    assert last is None if kept is None else last.name == f"step={kept}.ckpt"
    if kept is not None:
        _, module = run(maze_policy, tmp_path, resume=True)
        ours, theirs = module.state_dict(), undisturbed[1].state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)  # exact: the same arithmetic
