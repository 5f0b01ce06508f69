"""Recorded rollouts as batches, saved and loaded."""

from __future__ import annotations

import pickle

import torch
from helpers.scripted import scripted_rollouts

from lit_passk.data import ReplayDataModule


def test_rollouts_survive_a_file_and_come_back_as_filled_batches():
    rollouts = scripted_rollouts([[1.0, 0.0, None], [0.0, 1.0, 1.0]])
    again = pickle.loads(pickle.dumps(rollouts))
    data = ReplayDataModule([again, rollouts], val={"maze": [rollouts]})
    first, second = data.train_dataloader()
    assert len(data.train_dataloader()) == 2
    assert first.rollouts is again
    assert second.rollouts is rollouts
    assert first.indices == [0, 1]
    assert first.positions == [0, 1]
    assert [problem.id for problem in first.problems] == ["0", "1"]
    assert all(torch.equal(a, b) for a, b in zip(again.completion_ids, rollouts.completion_ids, strict=True))
    (loader,) = data.val_dataloader()
    assert [batch.name for batch in loader] == ["maze"]
