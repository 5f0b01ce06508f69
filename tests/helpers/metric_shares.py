"""Completions of seven problems, shared out over two processes, and every metric of them."""

import os
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.distributed as dist
from torchmetrics import MetricCollection

from lit_passk.metrics import (
    AnswerDiversity,
    CompletionStatistics,
    GPassAtK,
    MajorityAtK,
    MaxRewardAtK,
    PassAtK,
    PassHatK,
    SolveRate,
    metric_inputs,
)

IDS = [5, 3, 8, 13, 21, 2, 1]
SPELLINGS = ["1/2", "0.5", "3", "x", None, "(B)", "b"]


def problems():
    """Seven problems of ten completions, some of which could not be scored."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(7, 10, 4, generator=generator, dtype=torch.float64).tolist()
    return {
        problem: [
            SimpleNamespace(
                correct=a < 0.4,
                reward=b,
                answer=SPELLINGS[int(7 * c)],
                error="no parser" if d > 0.9 else None,
                truncated=b > 0.7,
                num_tokens=int(100 * b),
                mean_logprob=None if int(100 * b) == 0 else -a,
            )
            for a, b, c, d in row
        ]
        for problem, row in zip(IDS, draws, strict=True)
    }


def collection():
    return MetricCollection(
        [
            PassAtK(ks=[1, 4, 10]),
            PassHatK(ks=[1, 3]),
            GPassAtK(ks=[2, 7]),
            SolveRate(),
            MaxRewardAtK(ks=[1, 4]),
            MajorityAtK(ks=[1, 4]),
            AnswerDiversity(ks=[2, 5]),
            CompletionStatistics(),
        ],
        compute_groups=False,
    )


EVERY, WHOLE = range(7), slice(None)
# What each rank sees: (problems, samples) of its updates; together always everything once.
SHARES = {
    "unequal shares": [[(range(5), WHOLE)], [(range(5, 7), WHOLE)]],
    "an empty rank": [[], [(range(2), WHOLE), (range(2, 7), WHOLE)]],
    "one problem on two ranks": [
        [(EVERY, slice(0, 6))],
        [(range(4, 7), slice(6, None)), (range(4), slice(6, None))],
    ],
    "without ids": [[(range(4, 7), WHOLE), (range(1), WHOLE)], [(range(1, 4), WHOLE)]],
}


def evaluate(case, shares):
    """All metrics of some shares; without ids, pass@k alone, which does not need them."""
    metrics = PassAtK(ks=[1, 4, 10]) if case == "without ids" else collection()
    for rows, samples in shares:
        seen = {IDS[row]: problems()[IDS[row]][samples] for row in rows}
        inputs = metric_inputs(seen)
        metrics.update(**({"correct": inputs["correct"]} if case == "without ids" else inputs))
    return metrics.compute()


def run_rank(args):
    rank, folder = int(os.environ["LOCAL_RANK"]), Path(args[0])
    dist.init_process_group("gloo", store=dist.FileStore(str(folder / "store"), 2), rank=rank, world_size=2)
    torch.save({case: evaluate(case, shares[rank]) for case, shares in SHARES.items()}, folder / f"rank{rank}.pt")
    dist.destroy_process_group()
