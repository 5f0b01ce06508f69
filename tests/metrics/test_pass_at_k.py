import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from lit_passk.functional import pass_at_k_interval
from lit_passk.metrics import PassAtK


def random_correct(num_problems, num_samples, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rates = torch.rand(num_problems, 1, generator=generator) ** 2
    return torch.rand(num_problems, num_samples, generator=generator) < rates


def exact(correct, k):
    values = []
    for row in correct:
        n, c = len(row), int(row.sum())
        values.append(1 - math.comb(n - c, k) / math.comb(n, k))
    return sum(values) / len(values)


def evaluate(updates, ks=(1, 2, 4)):
    metric = PassAtK(ks=ks)
    for correct, problem_ids in updates:
        metric.update(correct, problem_ids)
    return metric.compute()


def test_equals_exact_fractions_and_the_functional_interval():
    correct = random_correct(20, 16)
    result = evaluate([(correct, None)], ks=[1, 4, 16])
    num_correct = correct.sum(dim=1).sort().values
    _, low, high = pass_at_k_interval(num_correct, 16, [1, 4, 16])
    for i, k in enumerate([1, 4, 16]):
        value = result[f"pass@{k}"]
        assert (value.dtype, value.shape) == (torch.float64, ())
        assert float(value) == pytest.approx(exact(correct, k), abs=1e-12)
        assert [float(result[f"pass@{k}/low"]), float(result[f"pass@{k}/high"])] == [float(low[i]), float(high[i])]


def test_keys_and_defaults():
    metric = PassAtK()
    metric.update(random_correct(5, 8))
    expected = [f"pass@{k}{suffix}" for k in (1, 2, 4, 8) for suffix in ("", "/low", "/high")]
    assert list(metric.compute()) == expected
    assert sorted(PassAtK(ks=[8, 1, 8]).ks) == [1, 8]


def test_ragged_problems():
    correct = [random_correct(1, n, seed=n)[0] for n in (4, 16, 7, 9)]
    assert float(evaluate([(correct, None)])["pass@4"]) == pytest.approx(exact(correct, 4), abs=1e-12)


def test_updates_of_one_problem_are_added_up():
    correct = random_correct(6, 12)
    ids = [4, 0, 9, 2, 7, 1]
    whole = evaluate([(correct, ids)])
    in_parts = evaluate([(correct[:3, :5], ids[:3]), (correct[:, 5:], ids), (correct[3:, :5], ids[3:])])
    assert in_parts == whole
    twice_in_one_update = evaluate([(torch.cat([correct[:, :6], correct[:, 6:]]), ids + ids)])
    assert twice_in_one_update == whole


def test_without_ids_every_row_is_a_problem():
    correct = random_correct(6, 12)
    rows = torch.cat([correct[:, :6], correct[:, 6:]])
    assert float(evaluate([(rows, None)])["pass@4"]) == pytest.approx(exact(rows, 4), abs=1e-12)
    mixed = evaluate([(rows[:6], None), (rows[6:], range(6))])
    assert float(mixed["pass@4"]) == pytest.approx(exact(rows, 4), abs=1e-12)


@pytest.mark.parametrize("with_ids", [True, False])
def test_order_of_problems_does_not_matter_to_the_last_bit(with_ids):
    correct, order = random_correct(30, 8), torch.randperm(30, generator=torch.Generator().manual_seed(1))
    ids = torch.arange(100, 130)
    there = evaluate([(correct, ids if with_ids else None)])
    back = evaluate([(correct[i][None], ids[i][None] if with_ids else None) for i in order])
    assert back == there


def test_counts_are_the_material_of_a_paired_comparison():
    correct = random_correct(5, 8)
    metric = PassAtK(ks=[1])
    metric.update(correct[[3, 1]], [30, 10])
    metric.update([correct[0], correct[1][:3]], torch.tensor([0, 10]))
    counts = metric.counts()
    assert counts.problem_ids.tolist() == [0, 10, 30]
    assert counts.num_samples.tolist() == [8, 11, 8]
    expected = [int(correct[0].sum()), int(correct[1].sum() + correct[1][:3].sum()), int(correct[3].sum())]
    assert counts.num_correct.tolist() == expected


def test_reset_pickle_and_repeated_compute():
    metric = PassAtK(ks=[1, 4])
    metric.update(random_correct(5, 8))
    first = metric.compute()
    assert pickle.loads(pickle.dumps(metric)).compute() == first
    metric.update(random_correct(5, 8, seed=1))
    assert metric.compute() != first
    metric.reset()
    metric.update(random_correct(5, 8))
    assert metric.compute() == first


def test_precision_of_the_module_does_not_touch_the_counts():
    metric = PassAtK(ks=[1])
    metric.update(random_correct(5, 3001), torch.tensor([2**40 + i for i in range(5)]))
    before = metric.compute()
    metric.to(torch.bfloat16).half()
    metric._computed = None  # forget the cached result
    assert metric.compute() == before
    assert metric.counts().problem_ids.tolist() == [2**40 + i for i in range(5)]


@pytest.mark.parametrize(
    ("correct", "problem_ids", "message"),
    [
        (torch.ones(2, 4), None, r"shape \(2, 4\) and dtype torch.float32"),
        (torch.ones(4, dtype=torch.bool), None, r"shape \(4,\) and dtype torch.bool"),
        ([torch.ones(4, dtype=torch.int64)], None, r"shape \(4,\) and dtype torch.int64"),
        (torch.ones(2, 4, dtype=torch.bool), [1], "each of 2 problems, but got 1"),
        (torch.ones(2, 4, dtype=torch.bool), [1, -3], "from 0, but got -3"),
    ],
)
def test_bad_updates_are_refused(correct, problem_ids, message):
    with pytest.raises(ValueError, match=message):
        PassAtK().update(correct, problem_ids)


def test_too_few_completions_name_both_numbers_and_the_problem():
    metric = PassAtK(ks=[1, 8])
    metric.update([torch.ones(8, dtype=torch.bool), torch.ones(5, dtype=torch.bool)], [0, 41])
    with pytest.raises(ValueError, match=r"k = 8 needs n >= 8 .* problem 41 has n = 5"):
        metric.compute()


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_problem_is_an_error():
    with pytest.raises(ValueError, match="no problem"):
        PassAtK().compute()


@pytest.mark.parametrize("ks", [[], [0], [1, 2.5], [True]])
def test_bad_ks_are_refused(ks):
    with pytest.raises(ValueError, match="integers k >= 1"):
        PassAtK(ks=ks)


IDS = [5, 3, 8, 13, 21, 2, 1]


def shares(case):
    """What each of two ranks sees of 7 problems with 10 completions; together always the same."""
    correct = random_correct(7, 10)
    if case == "unequal shares":
        return [[(correct[:5], IDS[:5])], [(correct[5:], IDS[5:])]]
    if case == "empty rank":
        return [[], [(correct[:2], IDS[:2]), (correct[2:], IDS[2:])]]
    if case == "one problem on two ranks":
        return [[(correct[:, :6], IDS)], [(correct[4:, 6:], IDS[4:]), (correct[:4, 6:], IDS[:4])]]
    assert case == "without ids"
    return [[(correct[4:], None), (correct[:1], None)], [(correct[1:4], None)]]


CASES = ["unequal shares", "empty rank", "one problem on two ranks", "without ids"]


def run_rank(rank, folder):
    store = dist.FileStore(str(folder / "store"), 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    results = {}
    for case in CASES:
        metric = PassAtK(ks=[1, 4, 10])
        for correct, problem_ids in shares(case)[rank]:
            metric.update(correct, problem_ids)
        counts = metric.counts()
        num_local_updates = len(metric.rows)  # counts() must leave each rank with its own share
        results[case] = (metric.compute(), tuple(counts), num_local_updates)
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


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("case", CASES)
def test_two_processes_equal_one_exactly(two_processes, case):
    metric = PassAtK(ks=[1, 4, 10])
    correct = random_correct(7, 10)
    metric.update(correct, None if case == "without ids" else IDS)
    for rank, results in enumerate(two_processes):
        result, counts, num_local_updates = results[case]
        assert result == metric.compute()
        assert all(torch.equal(left, right) for left, right in zip(counts, metric.counts(), strict=True))
        assert num_local_updates == len(shares(case)[rank])


if __name__ == "__main__":
    run_rank(int(sys.argv[1]), Path(sys.argv[2]))
