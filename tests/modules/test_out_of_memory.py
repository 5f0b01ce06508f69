"""Memory that runs out, on a device or on the machine: the error names the phase and what to lower, with its trace."""

import resource
import traceback
from pathlib import Path

import lightning as L
import pytest
import torch
from helpers.faults import FaultAt
from helpers.small_runs import build, run

from lit_passk.callbacks import RolloutCallback
from lit_passk.memory import memory_for
from lit_passk.modules import policies

ERRORS = {
    "device": (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2.00 GiB"),
    "machine": (RuntimeError, "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    "Python": (MemoryError, ""),
    "vLLM": (ValueError, "No available memory for the cache blocks. Try increasing `gpu_memory_utilization`"),
}


class OutOfMemory(FaultAt):
    def happen(self):
        fail("device")()


def fail(what):
    def raises(*args, **kwargs):
        kind, message = ERRORS[what]
        raise kind(message)

    return raises


def shown(raised):
    """What the command line prints of it."""
    return "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("where", "phase", "setting"),
    [
        ("sampling", "sampling", "lower `rollout.sampling.max_tokens`"),
        ("logprobs", "the log-probabilities of a step", "lower `model.compute.token_budget`"),
        ("forward", "the update", "set `model.compute.activation_checkpointing: true`"),
        ("backward", "the update", "lower `model.compute.token_budget`"),
        ("optimizer", "the optimizer's step", "set `model.lora`"),
    ],
)
def test_in_a_step(maze_policy, tmp_path, where, phase, setting):
    with pytest.raises(torch.OutOfMemoryError) as raised:
        run(maze_policy, tmp_path, OutOfMemory(1, where))
    text = shown(raised)
    assert f"Memory ran out in {phase}. Any of these needs less: " in text
    assert setting in text
    assert "in happen" in text, "the trace"
    assert text.count("Memory ran out") == 1


@pytest.mark.parametrize("what", ["device", "machine", "Python"])
@pytest.mark.parametrize(("number", "phase"), [(1, "loading the policy"), (2, "loading the reference")])
def test_while_the_policy_and_the_reference_are_loaded(maze_policy, tmp_path, monkeypatch, what, number, phase):
    load, loaded = policies.load_on_ranks, []

    def one_fails(*args):
        loaded.append(args)
        return fail(what)() if len(loaded) == number else load(*args)

    monkeypatch.setattr(policies, "load_on_ranks", one_fails)
    trainer, module, data = build(maze_policy, tmp_path, kl_coef=0.1)
    with pytest.raises(ERRORS[what][0]) as raised:
        trainer.fit(module, datamodule=data)
    assert f"Memory ran out in {phase}." in shown(raised)


def test_in_the_reference_s_log_probabilities(maze_policy, tmp_path):
    class InTheReference(L.Callback):
        def on_train_start(self, trainer, pl_module):
            pl_module.reference.register_forward_pre_hook(fail("device"))

    trainer, module, data = build(maze_policy, tmp_path, InTheReference(), kl_coef=0.1)
    with pytest.raises(torch.OutOfMemoryError) as raised:
        trainer.fit(module, datamodule=data)
    assert "Memory ran out in the reference's log-probabilities" in shown(raised)
    assert "`model.kl_coef: 0`" in shown(raised)


@pytest.mark.parametrize(("call", "phase"), [("start", "starting the engine"), ("load_weights", "giving the engine")])
@pytest.mark.parametrize("what", ["device", "vLLM"])
def test_in_an_engine(maze_policy, tmp_path, monkeypatch, call, phase, what):
    trainer, module, data = build(maze_policy, tmp_path)
    [rollout] = [c for c in trainer.callbacks if isinstance(c, RolloutCallback)]
    monkeypatch.setattr(rollout.engine, call, fail(what))
    monkeypatch.setattr(rollout.engine, "memory_settings", ["lower `rollout.engine.seats`"])
    with pytest.raises(ERRORS[what][0]) as raised:
        trainer.fit(module, datamodule=data)
    assert f"Memory ran out in {phase}" in shown(raised)
    assert "needs less: lower `rollout.engine.seats`." in shown(raised)


def test_a_limit_of_the_process_s_memory():
    """What ``ulimit -v`` and a full machine look like to torch; the allocation never succeeds, so it costs nothing."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + 2**28, hard))
    try:
        with pytest.raises(RuntimeError) as raised, memory_for("the update", ["lower it"]):
            torch.empty(2**30, dtype=torch.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert "Memory ran out in the update. Any of these needs less: lower it." in shown(raised)


@pytest.mark.parametrize("error", [ValueError("the cache is a mess"), RuntimeError("shapes"), KeyError("memory")])
def test_other_errors_are_left_alone(error):
    with pytest.raises(type(error)) as raised, memory_for("the update", ["lower it"]):
        raise error
    assert not hasattr(raised.value, "__notes__")
