"""A mixture drawn by pass rates, further prompts included: the same on several processes, and after resuming."""

from __future__ import annotations

import json

import pytest
import torch
from helpers.ranks import Ranks
from helpers.runs import KL, Run, arguments

UPS = {"class_path": "helpers.counting.MoreUps", "init_args": {"num_problems": 16}}
TASKS = {"few": {"task": UPS, "weight": 1}, "many": {"task": UPS, "weight": 3}}
MIXED = (
    *KL,
    *("--data.train", json.dumps({"class_path": "Mixture", "init_args": {"tasks": TASKS}})),
    *("--data.sampler", "ExpectedAdvantage", "--data.sampler.half_life", "3", "--data.prompts_per_step", "4"),
    *("--rollout.source", "DynamicSampling", "--model.advantage.k", "4"),
)
WITHOUT = ("data.train", "data.train.num_problems")


@pytest.fixture(scope="module")
def alone(policy, tmp_path_factory):
    return run(policy, tmp_path_factory.mktemp("alone"), "auto", 1)


def run(policy, folder, strategy: str, num_processes: int, *more: str) -> Run:
    args = arguments(policy, folder, strategy, num_processes, *MIXED, *more, without=WITHOUT)
    return Run(folder, Ranks(args, num_processes, folder).succeed().output(), num_processes)


def test_several_processes_draw_and_log_the_same(policy, alone, tmp_path):
    several = run(policy, tmp_path, "ddp", 2)
    several.assert_same_rollouts(alone)
    for name, value in alone.metrics.items():
        if not name.startswith("time/"):
            assert several.metrics[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name


def test_what_is_known_of_each_task_and_of_all_prompts_is_logged(alone):
    metrics = alone.metrics
    names = ("reward", "pass@1", "solved", "with_advantage", "truncated", "tokens")
    assert {f"train/{task}/{name}" for task in TASKS for name in names} <= metrics.keys()
    assert 0 < metrics["sampler/pass_rate"] < 1
    assert 1 < metrics["sampler/effective_prompts"] <= 32


def test_a_resumed_run_draws_the_same(policy, alone, tmp_path):
    state = torch.load(alone.checkpoint(3), weights_only=True)["loops"]["fit_loop"]["state_dict"]["combined_loader"]
    assert state[0]["rates"]["scored"].sum() > 0
    resumed = run(policy, tmp_path, "auto", 1, "--ckpt_path", str(alone.checkpoint(3)))
    assert resumed.steps() == {step: prompts for step, prompts in alone.steps().items() if step >= 3}
    assert all(torch.equal(resumed.weights[name], values) for name, values in alone.weights.items())
