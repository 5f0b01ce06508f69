"""What each of two ranks asserts about gathering; run by tests/test_distributed.py."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
import torch.distributed as dist

from lit_passk.distributed import all_cat, all_objects


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
    alone = [dist.new_group([0]), dist.new_group([1])]
    assert all_objects(rank, group=alone[rank]) == [rank], "over the group given"
    dist.barrier()  # rank 0 holds the store that the other one still asks
    dist.destroy_process_group()
