"""Every metric but PassAtK (which has its own test) on two gloo processes equals one process to the last bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from lit_passk.metrics import (
    AnswerDiversity,
    CompletionStatistics,
    GPassAtK,
    MajorityAtK,
    MaxRewardAtK,
    PassHatK,
    SolveRate,
)

IDS = [5, 3, 8, 13, 21, 2, 1]
SPELLINGS = ["1/2", "0.5", "3", "x", None, "(B)", "b"]


def material():
    generator = torch.Generator().manual_seed(0)
    correct = torch.rand(7, 10, generator=generator) < 0.4
    rewards = torch.rand(7, 10, generator=generator, dtype=torch.float64)
    picks = torch.randint(len(SPELLINGS), (7, 10), generator=generator)
    answers = [[SPELLINGS[pick] for pick in row] for row in picks.tolist()]
    return correct, rewards, answers


def metrics():
    return {
        "pass_hat_k": PassHatK(ks=[1, 3, 10]),
        "g_pass_at_k": GPassAtK(ks=[2, 7]),
        "solve_rate": SolveRate(),
        "max_at_k": MaxRewardAtK(ks=[1, 4]),
        "majority": MajorityAtK(ks=[1, 4, 10]),
        "diversity": AnswerDiversity(ks=[2, 5]),
        "completions": CompletionStatistics(),
    }


def update_all(built, problems, columns):
    correct, rewards, answers = material()
    correct, rewards = correct[problems][:, columns], rewards[problems][:, columns]
    ids, given = [IDS[p] for p in problems], [answers[p][columns] for p in problems]
    for name in ("pass_hat_k", "g_pass_at_k", "solve_rate"):
        built[name].update(correct, ids)
    built["max_at_k"].update(rewards, ids)
    built["majority"].update(given, correct, ids)
    built["diversity"].update(given, correct, ids)
    flat = rewards.flatten()
    built["completions"].update((flat * 100).long(), -flat * 30, flat > 0.7, flat < 0.95)


EVERY, WHOLE = range(7), slice(None)
# What each rank sees: (problems, columns) of its updates; together always everything once.
SHARES = {
    "unequal shares": [[(range(5), WHOLE)], [(range(5, 7), WHOLE)]],
    "an empty rank": [[], [(range(2), WHOLE), (range(2, 7), WHOLE)]],
    "one problem on two ranks": [
        [(EVERY, slice(0, 6))],
        [(range(4, 7), slice(6, None)), (range(4), slice(6, None))],
    ],
}


def run_rank(rank, folder):
    dist.init_process_group("gloo", store=dist.FileStore(str(folder / "store"), 2), rank=rank, world_size=2)
    results = {}
    for case, shares in SHARES.items():
        built = metrics()
        for problems, columns in shares[rank]:
            update_all(built, list(problems), columns)
        results[case] = {name: metric.compute() for name, metric in built.items()}
    torch.save(results, folder / f"rank{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(folder)], env=environment, stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    for rank in ranks:
        _, errors = rank.communicate(timeout=300)
        assert rank.returncode == 0, errors.decode()
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("case", SHARES)
@pytest.mark.parametrize("name", list(metrics()))
def test_two_processes_equal_one_exactly(two_processes, case, name):
    built = metrics()
    update_all(built, list(EVERY), WHOLE)
    expected = built[name].compute()
    assert all(value.isfinite() for value in expected.values())
    for results in two_processes:
        assert results[case][name] == expected


if __name__ == "__main__":
    run_rank(int(sys.argv[1]), Path(sys.argv[2]))
