"""Signals to real processes: one rank of two, SLURM's announcement, a terminal that is closed."""

import os
import signal

import pytest
import torch
from helpers.ranks import Ranks
from helpers.runs import KL, Run, arguments
from helpers.terminal import in_terminal

from lit_passk.checkpointing.reading import is_whole
from lit_passk.checkpointing.run_folder import last_checkpoint

LAST = ("--ckpt_path", "last")
RARELY = ("--checkpoint.every", "1000")


def signal_at(step, where, number, rank=-1):
    settings = {"step": step, "where": where, "number": int(number), "rank": rank}
    options = [f"--trainer.callbacks.{name}={value}" for name, value in settings.items()]
    return ["--trainer.callbacks+=helpers.faults.SignalAt", *options]


def assert_same_end(folder, args, undisturbed):
    resumed = Run(folder, Ranks(args, undisturbed.num_processes, folder).succeed().output(), undisturbed.num_processes)
    for name, values in undisturbed.weights.items():
        assert torch.equal(resumed.weights[name], values), name


@pytest.mark.bit_equal
@pytest.mark.parametrize(
    ("where", "step", "done"), [("sampling", 1, 2), pytest.param("validation", 2, 2, marks=pytest.mark.slow)]
)
def test_a_signal_to_one_rank_stops_all_at_one_place(train, policy, tmp_path, where, step, done):
    undisturbed = train("fsdp2", 2)
    args = arguments(policy, tmp_path, "fsdp2", 2, *KL, *RARELY, *LAST)
    ranks = Ranks([*args, *signal_at(step, where, signal.SIGTERM, rank=1)], 2, tmp_path)
    assert ranks.wait() == [128 + signal.SIGTERM] * 2
    assert "SIGTERM: stops after the step under way" in ranks.output()
    assert "failed first" not in ranks.output()
    last = last_checkpoint(tmp_path)
    assert last.name == f"step={done}.ckpt"
    assert is_whole(last)
    assert_same_end(tmp_path, args, undisturbed)


@pytest.mark.bit_equal
def test_slurm_announces_the_end_of_a_job_in_the_midst_of_a_step(train, policy, tmp_path):
    """Lightning by itself writes its checkpoint in the handler of the signal, whatever is half done."""
    undisturbed = train("auto", 1)
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho $@ > requeued.txt\n")
    (tmp_path / "scontrol").chmod(0o755)
    slurm = {"JOB_ID": 7, "JOB_NAME": "train", "NTASKS": 1, "NTASKS_PER_NODE": 1, "PROCID": 0, "NODEID": 0}
    env = {f"SLURM_{name}": str(value) for name, value in (slurm | {"LOCALID": 0, "NNODES": 1}).items()}
    env["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    args = arguments(policy, tmp_path, "auto", 1, *KL, *RARELY)
    ranks = Ranks([*args, *signal_at(2, "update", signal.SIGUSR1)], 1, tmp_path, env=lambda rank: env)
    ranks.succeed()
    assert (tmp_path / "requeued.txt").read_text() == "requeue 7\n"
    assert torch.load(tmp_path / "hpc_ckpt_1.ckpt", weights_only=True)["rl_step"] == 3
    again = tmp_path / "again"
    args = arguments(policy, again, "auto", 1, *KL, "--ckpt_path", str(tmp_path / "hpc_ckpt_1.ckpt"))
    assert_same_end(again, args, undisturbed)


def test_a_terminal_that_is_closed(policy, tmp_path):
    """The progress bar can write nowhere then."""
    long, bar = ("--trainer.max_steps", "100000"), ["trainer.enable_progress_bar"]
    args = arguments(policy, tmp_path, "auto", 1, *RARELY, *long, without=bar)
    ranks = Ranks(args, 1, tmp_path, target=in_terminal)
    assert ranks.wait() == [128 + signal.SIGHUP]
    assert is_whole(last_checkpoint(tmp_path))
