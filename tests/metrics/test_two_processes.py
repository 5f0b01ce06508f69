"""All metrics in one collection, as validation uses them, on two gloo processes equal one process to the last bit."""

import pytest
import torch
from helpers.metric_shares import EVERY, SHARES, WHOLE, evaluate, problems, run_rank
from helpers.ranks import Ranks


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    Ranks([str(folder)], 2, folder, target=run_rank).succeed()
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]


@pytest.mark.seconds
@pytest.mark.bit_equal
@pytest.mark.parametrize("case", SHARES)
def test_two_processes_equal_one_exactly(two_processes, case):
    expected = evaluate(case, [(EVERY, WHOLE)])
    for results in two_processes:
        torch.testing.assert_close(results[case], expected, rtol=0, atol=0, equal_nan=True)


def test_every_metric_finds_its_own_inputs():
    everything = evaluate("unequal shares", [(EVERY, WHOLE)])
    assert all(value.isfinite() for value in everything.values())
    samples = [sample for group in problems().values() for sample in group]
    assert float(everything["unscored"]) == pytest.approx(sum(s.error is not None for s in samples) / 70)
    assert float(everything["mean_length"]) == pytest.approx(sum(s.num_tokens for s in samples) / 70)
