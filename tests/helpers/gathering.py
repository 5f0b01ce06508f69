"""What each of two ranks asserts about gathering; run by tests/test_distributed.py."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.distributed as dist
from helpers.scripted import scripted_rollouts

from lit_passk.distributed import all_cat, all_objects
from lit_passk.modules.part_metrics import part_metrics
from lit_passk.types import Score


def gather_everything(args: Sequence[str]) -> None:
    rank = int(os.environ["LOCAL_RANK"])
    dist.init_process_group("gloo", rank=rank, world_size=2)
    rows = torch.arange(6).reshape(3, 2)[: 1 + 2 * rank]
    assert all_cat(rows).tolist() == [[0, 1], [0, 1], [2, 3], [4, 5]]
    assert all_cat(rows[:rank]).tolist() == [[0, 1]], "a rank may have nothing"
    assert all_cat(torch.tensor([rank == 1])).tolist() == [False, True]
    assert all_objects({"rank": rank, "text": "ü" * 1000 * rank}) == [
        {"rank": 0, "text": ""},
        {"rank": 1, "text": "ü" * 1000},
    ]
    (group,) = scripted_rollouts([[0.0, None]]).groups
    parts = [{"a": 1.0}, {"a": 4.0, "b": 2.0}][rank]
    paid = Score(reward=0.0, correct=False, parts=parts)
    groups = [replace(group, scores=[paid, group.scores[1]])] * (1 + rank)
    found = {name: round(value, 6) for name, value in part_metrics(groups).items()}
    sizes = {"reward/a/mean": 3.0, "reward/a/std": 1.414214, "reward/b/mean": 2.0, "reward/b/std": 0.0}
    assert found == sizes, "a rank need not have every part"
    alone = [dist.new_group([0]), dist.new_group([1])]
    assert all_objects(rank, group=alone[rank]) == [rank], "over the group given"
    dist.barrier()  # rank 0 holds the store that the other one still asks
    dist.destroy_process_group()
