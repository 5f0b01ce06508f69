"""One step off-policy with real vLLM engines: the same on two processes, gone on after a kill, and ended by Ctrl-C."""

import os
import signal
import time

import pytest
import torch
from helpers.ranks import Ranks
from helpers.runs import KL, STEPS, Run, arguments

pytest.importorskip("vllm", reason="vLLM is not installed")
pytestmark = pytest.mark.vllm

AHEAD = (
    *KL,
    *("--rollout.engine", "lit_passk.engines.vllm_engine.VLLMEngine", "--rollout.engine.kv_cache_gib", "0.00390625"),
    *("--rollout.source", "OneStepOffPolicy", "--rollout.parity.every", "1"),
)


@pytest.fixture(scope="module")
def alone(train):
    return train("auto", 1, AHEAD)


def test_two_shards_do_what_one_process_does(train, alone):
    several = train("fsdp2", 2, AHEAD)
    mine, theirs = several.steps(), alone.steps()
    assert sorted(mine) == list(range(STEPS))
    assert {s: {p: c for p, (c, _) in prompts.items()} for s, prompts in mine.items()} == {
        s: {p: c for p, (c, _) in prompts.items()} for s, prompts in theirs.items()
    }
    several.assert_same_saved(alone)
    for name, values in alone.weights.items():
        torch.testing.assert_close(several.weights[name], values, rtol=0, atol=1e-4, msg=name)
    for run in (alone, several):
        assert run.metrics["rollout/staleness"] == 1
        assert run.metrics["train/rollout_correction/ess"] < 1


def test_a_resumed_run_says_that_it_begins_afresh(policy, alone, tmp_path):
    args = arguments(policy, tmp_path, "auto", 1, *AHEAD, "--ckpt_path", str(alone.checkpoint(3)))
    resumed = Run(tmp_path, Ranks(args, 1, tmp_path).succeed().output(), 1)
    assert resumed.output.count("the first step after resuming is sampled by its own weights") == 1
    assert sorted(resumed.steps()) == [3, 4]
    assert {s: prompts.keys() for s, prompts in resumed.steps().items()} == {s: alone.steps()[s].keys() for s in (3, 4)}


def test_ctrl_c_ends_the_process(policy, tmp_path):
    args = arguments(policy, tmp_path, "auto", 1, *AHEAD, "--trainer.max_steps", "100000", "--checkpoint.every", "3")
    ranks = Ranks(args, 1, tmp_path)
    end = time.monotonic() + 120
    while not (tmp_path / "checkpoints" / "step=3.ckpt").exists():
        assert time.monotonic() < end, ranks.output()
        assert ranks.processes[0].is_alive(), ranks.output()
        time.sleep(0.1)
    os.kill(ranks.processes[0].pid, signal.SIGINT)
    assert ranks.wait(timeout=60) == [128 + signal.SIGINT]
    assert "left behind" not in ranks.output()
