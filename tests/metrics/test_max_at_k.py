from itertools import combinations

import pytest
import torch

from lit_passk.metrics import MaxRewardAtK, PassAtK

REWARDS = [torch.tensor([0.1, 0.9, 0.4, -1.0]), torch.tensor([0.2, 0.2, 0.7])]


def test_equals_enumeration():
    metric = MaxRewardAtK(ks=[1, 2, 3])
    metric.update(REWARDS, [5, 1])
    for k in (1, 2, 3):
        best = [[max(subset) for subset in combinations(group.double().tolist(), k)] for group in REWARDS]
        expected = sum(sum(one) / len(one) for one in best) / 2
        assert float(metric.compute()[f"max@{k}"]) == pytest.approx(expected, abs=1e-12)


def test_is_pass_at_k_for_correct_or_not_and_survives_a_cast():
    correct = torch.rand(6, 8, generator=torch.Generator().manual_seed(0)) < 0.4
    best, passed = MaxRewardAtK(ks=[1, 4]), PassAtK(ks=[1, 4])
    best.update(correct[:, :3] + 1e-9, range(6))
    best.update(correct[:, 3:].double() + 1e-9, range(6))
    passed.update(correct)
    best.to(torch.bfloat16)
    for k in (1, 4):
        assert float(best.compute()[f"max@{k}"]) == pytest.approx(float(passed.compute()[f"pass@{k}"]) + 1e-9, abs=1e-7)


def test_refusals():
    with pytest.raises(ValueError, match="finite rewards"):
        MaxRewardAtK().update(torch.tensor([[float("nan")]]), [0])
    with pytest.raises(ValueError, match="finite rewards"):
        MaxRewardAtK().update(torch.zeros(1, 2, 3), [0])


def test_problems_with_fewer_completions_are_left_out_at_that_k():
    metric, longer = MaxRewardAtK(ks=[4, 5]), MaxRewardAtK(ks=[4])
    metric.update(REWARDS, [5, 1])
    longer.update(REWARDS[:1], [5])
    assert metric.compute()["max@4"] == longer.compute()["max@4"]
    assert metric.compute()["max@5"].isnan()
