"""Numbers over a step whose groups were chosen by their answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.scripted import scripted_rollouts

from lit_passk.modules.step_metrics import step_metrics

SUMS = {"num_updates": torch.ones(()), "grad_norm": torch.ones(()), "total": torch.tensor(2.0)}


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
