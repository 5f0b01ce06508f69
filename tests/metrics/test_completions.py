import pytest
import torch

from lit_passk.metrics import CompletionStatistics


def test_shares_and_means():
    metric = CompletionStatistics()
    metric.update([10, 30], [-5.0, -3.0], [False, True], [True, True])
    metric.update(
        torch.tensor([0, 8]), torch.tensor([0.0, -4.0]), torch.tensor([False, True]), torch.tensor([False, True])
    )
    result = {name: float(value) for name, value in metric.compute().items()}
    assert result == {"truncated": 0.5, "unscored": 0.25, "mean_length": 12.0, "entropy": 0.25}


def test_entropy_of_many_small_terms_and_a_cast_module():
    logprobs = torch.rand(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * -3
    metric = CompletionStatistics()
    for part in logprobs.split(7):
        metric.update(torch.full(part.shape, 2), part, torch.zeros(len(part)) > 0, torch.ones(len(part)) > 0)
        metric.to(torch.bfloat16)
    assert float(metric.compute()["entropy"]) == pytest.approx(-float(logprobs.sum()) / 2000, abs=1e-7)


def test_no_tokens_have_no_entropy():
    metric = CompletionStatistics()
    metric.update([0], [0.0], [False], [True])
    assert metric.compute()["entropy"].isnan()


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_completion_is_nan():
    assert all(value.isnan() for value in CompletionStatistics().compute().values())


def test_refusals():
    with pytest.raises(ValueError, match="one length"):
        CompletionStatistics().update([1, 2], [0.0], [False], [True])
    for logprob in (float("-inf"), float("nan"), -1e30):
        with pytest.raises(ValueError, match="finite log-probabilities"):
            CompletionStatistics().update([1], [logprob], [False], [True])
