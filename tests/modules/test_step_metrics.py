"""Numbers over a step whose groups were chosen by their answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.scripted import scripted_rollouts

from lit_passk.data.breakdown import Breakdown
from lit_passk.modules.step_metrics import step_metrics

ONE = torch.ones(())
SUMS = {"num_updates": ONE, "grad_norm": ONE, "skipped_updates": torch.zeros(()), "total": torch.tensor(2.0)}


def test_dropped_groups_count_in_all_that_describes_completions():
    rewards = [[1, 0, 0, None], [1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, None, 0]]
    whole = scripted_rollouts(rewards)
    advantages = torch.ones(len(whole.completion_ids))
    everything = step_metrics(whole, advantages, SUMS)
    assert everything["pass@1"] == pytest.approx(7 / 18)
    assert everything["solved"] == pytest.approx(3 / 5)
    kept = scripted_rollouts([rewards[0]])  # the first group of the same random draw
    assert torch.equal(kept.completion_ids[0], whole.completion_ids[0])
    kept = replace(kept, not_trained=whole.groups[1:])
    chosen = step_metrics(kept, torch.tensor([1.0, -1.0, 0.0]), SUMS)
    assert chosen == pytest.approx(everything)
    silent = step_metrics(kept, torch.zeros(3), SUMS)
    assert silent["with_advantage"] == 0
    half = replace(scripted_rollouts(rewards[:2]), not_trained=whole.groups[2:])
    assert step_metrics(half, torch.tensor([1.0, -1, 0, 0, 0, 0, 0]), SUMS)["with_advantage"] == 0.5


REWARDS = [[1, 0, 0, None], [1, 1, 1, 1], [0, 0, 0, 0], [None] * 4, [0.2, 0, 1, 0]]
NAMES = Breakdown(["a", "b", "source/x/y", "nobody"], [[0], [0, 2], [1], [1, 2], [1]])


def test_each_name_is_described_as_if_its_problems_were_all():
    whole = scripted_rollouts(REWARDS)
    advantages = torch.tensor([1.0, -1, 0, *[0] * 8, 0.5, 0, 0, 0])
    found = step_metrics(whole, advantages, SUMS, NAMES)
    everything = step_metrics(whole, advantages, SUMS)
    assert {name: found[name] for name in everything} == everything
    apart = {name: value for name, value in found.items() if name not in everything}
    metrics = ("reward", "pass@1", "solved", "with_advantage", "truncated", "tokens")
    assert set(apart) == {f"{name}/{metric}" for name in ("a", "b", "source/x/y") for metric in metrics}
    lengths = [len(ids) for ids in whole.completion_ids]  # 3 of the first prompt, 4 of the second, ...
    assert apart["a/reward"] == apart["a/pass@1"] == pytest.approx(5 / 7)
    assert apart["a/tokens"] == pytest.approx(sum(lengths[:7]) / 7)
    assert apart["a/truncated"] == pytest.approx(float(whole.truncated[:7].sum()) / 7)
    assert (apart["a/solved"], apart["a/with_advantage"]) == (1.0, 0.5)
    assert apart["b/reward"] == pytest.approx(1.2 / 8)
    assert apart["b/pass@1"] == pytest.approx(1 / 8)
    assert apart["b/solved"] == pytest.approx(1 / 3)
    assert apart["b/with_advantage"] == pytest.approx(1 / 3)
    assert apart["source/x/y/reward"] == 1.0, "of the problem that could be scored"
    assert apart["source/x/y/solved"] == 0.5


def test_groups_that_are_not_trained_on_count_for_their_name():
    whole = scripted_rollouts(REWARDS)
    kept = replace(scripted_rollouts(REWARDS[:1]), not_trained=whole.groups[1:])
    found = step_metrics(kept, torch.tensor([1.0, -1, 0]), SUMS, NAMES)
    expected = step_metrics(whole, torch.tensor([1.0, -1, *[0] * 13]), SUMS, NAMES)
    assert {k: v for k, v in found.items() if "with_advantage" not in k} == pytest.approx(
        {k: v for k, v in expected.items() if "with_advantage" not in k}
    )
    assert (found["a/with_advantage"], found["b/with_advantage"]) == (1.0, 0.0)
