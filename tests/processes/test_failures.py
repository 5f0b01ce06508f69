"""A rank that fails stops all others soon, and everyone says which failed first."""

import signal
import time

import pytest
from helpers.ranks import Ranks
from helpers.runs import KL, arguments

FAULT = "--trainer.callbacks+=helpers.faults."


def run(policy, folder, num_processes, fault, *options, strategy="fsdp2", timeout=60):
    args = arguments(policy, folder, strategy, num_processes, *KL, FAULT + fault, *options)
    ranks = Ranks(args, num_processes, folder)
    codes = ranks.wait(timeout)
    return codes, [log.read_text() for log in ranks.logs]


@pytest.mark.parametrize(("rank", "num_processes"), [(0, 2), (2, 3)])
def test_a_rank_that_raises(policy, tmp_path, rank, num_processes):
    fault = ["--trainer.callbacks.step=1", f"--trainer.callbacks.rank={rank}"]
    codes, logs = run(policy, tmp_path, num_processes, "RaiseAt", *fault)
    assert codes == [1] * num_processes
    for log in logs:
        assert f"rank {rank} failed first and stops all ranks: ValueError: the disk of this rank is full" in log
    assert "in on_train_batch_start" in logs[0], "the first rank's log has the trace"


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed(policy, tmp_path, rank):
    kill = ["--trainer.callbacks.step=1", "--trainer.callbacks.where=update", f"--trainer.callbacks.rank={rank}"]
    codes, logs = run(policy, tmp_path, 2, "KillAt", *kill, strategy="ddp" if rank else "fsdp2")
    assert codes[rank] == -signal.SIGKILL
    assert codes[1 - rank] == 1
    assert (
        f"rank {rank} failed first and stops all ranks: its process died without reporting an error" in logs[1 - rank]
    )


def test_a_rank_that_hangs_runs_into_the_time_out_which_names_the_collective(policy, tmp_path):
    hang = ["--trainer.callbacks.step=1", "--trainer.callbacks.rank=1"]
    codes, logs = run(policy, tmp_path, 2, "HangAt", *hang, "--trainer.strategy.timeout", "0:00:06")
    assert codes == [1, 1]
    for log in logs:
        assert "rank 0 failed first" in log
        assert "waited for the others in the gathering of" in log  # rank 0 wants the weights for its engine
        assert "`trainer.strategy.timeout`" in log


def test_a_reward_that_hangs_on_one_rank_holds_the_others_up_no_longer_than_its_limit(policy, tmp_path):
    limit = 3
    args = arguments(policy, tmp_path, "fsdp2", 2, *KL, "--rollout.score_timeout", str(limit))
    args += ["--data.train.init_args.hang_on", "3", "--trainer.max_steps", "2", "--rollout.num_workers", "6"]
    args += ["--data.prompts_per_step", "7"]
    begin = time.monotonic()
    ranks = Ranks(args, 2, tmp_path).succeed()
    assert time.monotonic() - begin < 60
    assert "stops all ranks" not in ranks.output()
