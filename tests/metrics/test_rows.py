"""What every metric keeps of a completion, how ranks without any join in, and what it is told."""

from types import SimpleNamespace

import pytest
import torch

from lit_passk.metrics import CompletionStatistics, MajorityAtK, MaxRewardAtK, PassAtK
from lit_passk.metrics.base import _gather_rows
from lit_passk.metrics.inputs import metric_inputs

UPDATES = {
    PassAtK: ([torch.tensor([True, False])], [3]),
    MajorityAtK: ([["1", "2"]], [[True, False]], [3]),
    MaxRewardAtK: ([torch.tensor([0.5, 1.0])], [3]),
    CompletionStatistics: ([2, 3], [-0.5, -1.0], [False, True], [True, True]),
}


@pytest.mark.parametrize("kind", UPDATES)
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_a_rank_without_completions_adds_no_rows_and_does_not_disturb_the_others(kind):
    metric = kind()
    metric.update(*UPDATES[kind])
    rows = metric._all_rows()
    assert len(rows) > 0
    for nothing in (torch.zeros(0), kind()._all_rows()):  # torchmetrics' placeholder, of another dtype, and our own
        (gathered,) = _gather_rows(nothing, columns=metric.columns)
        assert torch.equal(torch.cat([gathered, rows]), rows)
    assert torch.equal(_gather_rows(rows, columns=metric.columns)[0], rows)


def test_an_empty_completion_adds_no_log_probability():
    one, empty = (
        SimpleNamespace(
            correct=True, reward=1.0, answer="2", error=None, truncated=False, num_tokens=length, mean_logprob=mean
        )
        for length, mean in ((4, -0.5), (2, None))
    )
    assert metric_inputs({0: [one, empty]})["logprob_sum"] == [-2.0, 0.0]
