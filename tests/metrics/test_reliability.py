from itertools import combinations
from math import ceil

import pytest
import torch

from lit_passk.metrics import GPassAtK, PassHatK, SolveRate

GROUPS = [
    torch.tensor([True, False, True, True, False]),
    torch.tensor([False, False, True, False]),
    torch.tensor([True, True, True, True, True, True]),
]


def over_subsets(k, least):
    """Chance that a subset of size k has at least so many right answers, by enumeration, averaged over problems."""
    shares = []
    for group in GROUPS:
        subsets = list(combinations(group.tolist(), k))
        shares.append(sum(sum(subset) >= least for subset in subsets) / len(subsets))
    return sum(shares) / len(shares)


def test_pass_hat_k_equals_enumeration_on_ragged_groups():
    metric = PassHatK(ks=[1, 2, 4])
    metric.update(GROUPS, [3, 1, 2])
    assert {name: float(value) for name, value in metric.compute().items()} == pytest.approx(
        {f"pass^{k}": over_subsets(k, k) for k in (1, 2, 4)}, abs=1e-12
    )


def test_g_pass_at_k_equals_enumeration_on_ragged_groups():
    metric = GPassAtK(ks=[3, 4], taus=[0.5, 1.0])
    metric.update(GROUPS, [3, 1, 2])
    expected = {f"g-pass@{k}/{tau:g}": over_subsets(k, ceil(tau * k)) for k in (3, 4) for tau in (0.5, 1.0)}
    for k in (3, 4):
        expected[f"mg-pass@{k}"] = 2 / k * sum(over_subsets(k, i) for i in range(ceil(k / 2) + 1, k + 1))
    assert {name: float(value) for name, value in metric.compute().items()} == pytest.approx(expected, abs=1e-12)


def test_g_pass_at_k_gives_the_published_values():
    metric = GPassAtK(ks=[16], taus=[0.5])
    metric.update(torch.tensor([[True] * 24 + [False] * 24]))
    assert [float(value) for value in metric.compute().values()] == pytest.approx([0.6199, 0.0800], abs=5e-5)


def test_solve_rate_adds_up_the_updates_of_a_problem():
    metric = SolveRate(thresholds=[0.5, 1.0])
    metric.update([GROUPS[0][:2], GROUPS[1], GROUPS[2]], [3, 1, 2])
    metric.update([GROUPS[0][2:]], [3])
    result = {name: float(value) for name, value in metric.compute().items()}
    assert result == pytest.approx(
        {"mean@n": (3 / 5 + 1 / 4 + 1) / 3, "coverage@0.5": 2 / 3, "coverage@1": 1 / 3}, abs=1e-15
    )


def test_one_completion_is_enough_for_a_solve_rate():
    metric = SolveRate(thresholds=[1.0])
    metric.update([torch.tensor([True]), torch.tensor([False, False])], [0, 1])
    assert {name: float(value) for name, value in metric.compute().items()} == {"mean@n": 0.5, "coverage@1": 0.5}


def test_refusals():
    with pytest.raises(ValueError, match="k >= 2"):
        GPassAtK(ks=[1])
    with pytest.raises(ValueError, match="share in"):
        GPassAtK(ks=[2], taus=[1.2])
    with pytest.raises(ValueError, match="share in"):
        SolveRate(thresholds=[-0.5])


def test_problems_with_fewer_completions_are_left_out_at_that_k():
    several = [PassHatK(ks=[5, 6, 7]), GPassAtK(ks=[5, 7], taus=[1.0])]
    for metric in several:
        metric.update([*GROUPS, torch.zeros(0, dtype=torch.bool)], [3, 1, 2, 0])
    hat, g = (metric.compute() for metric in several)
    # Problem 1 has four: at k = 5 the others are 0 (3 of 5) and 1 (6 of 6); at 6 one is left; at 7 none.
    assert [float(hat["pass^5"]), float(hat["pass^6"])] == pytest.approx([0.5, 1.0], abs=1e-12)
    assert float(g["g-pass@5/1"]) == pytest.approx(0.5, abs=1e-12)
    assert all(value.isnan() for value in (hat["pass^7"], g["g-pass@7/1"], g["mg-pass@7"]))
    rate = SolveRate(thresholds=[0])
    rate.update([GROUPS[1], torch.zeros(0, dtype=torch.bool)], [3, 1])
    assert [float(value) for value in rate.compute().values()] == pytest.approx([1 / 4, 1.0], abs=1e-12)
