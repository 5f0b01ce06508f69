import math
import pickle

import pytest
import torch

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


def test_problems_with_fewer_than_k_completions_are_left_out_at_that_k_and_counted():
    groups = [random_correct(1, n, seed=n)[0] for n in (16, 3, 9, 0, 4)]
    metric = PassAtK(ks=[1, 4, 8, 32])
    metric.update(groups, range(5))
    with pytest.warns(UserWarning, match=r"1 of 5 problems have fewer than 1 scored completions .* out of pass@1"):
        result = metric.compute()
    for k, left in [(1, [0, 1, 2, 4]), (4, [0, 2, 4]), (8, [0, 2])]:
        kept = [groups[i] for i in left]
        value, low, high = pass_at_k_interval(
            torch.tensor([int(group.sum()) for group in kept]), torch.tensor([len(group) for group in kept]), [k]
        )
        assert float(value) == pytest.approx(exact(kept, k), abs=1e-12)
        found = [float(result[f"pass@{k}{end}"]) for end in ("", "/low", "/high")]
        assert found == pytest.approx([float(value), float(low), float(high)], abs=1e-12)
        assert int(result[f"pass@{k}/left_out"]) == 5 - len(left)
    assert all(math.isnan(result[f"pass@32{end}"]) for end in ("", "/low", "/high"))
    assert int(result["pass@32/left_out"]) == 5


@pytest.mark.parametrize("groups", [[torch.zeros(0, dtype=torch.bool)] * 3, []])
@pytest.mark.filterwarnings("ignore")
def test_nothing_scored_is_nan(groups):
    metric = PassAtK(ks=[1, 2])
    metric.update(groups, range(len(groups)))
    result = metric.compute()
    assert all(math.isnan(value) for name, value in result.items() if "left_out" not in name)
    assert result.get("pass@1/left_out", 0) == len(groups)


@pytest.mark.parametrize("ks", [[], [0], [1, 2.5], [True]])
def test_bad_ks_are_refused(ks):
    with pytest.raises(ValueError, match="integers k >= 1"):
        PassAtK(ks=ks)
