"""Ranks and shares by rarity, against the definitions written out."""

import math
import random

import pytest
import torch

from lit_passk.functional.rarity import rank_ascending, rare_share

DRAW = random.Random(0)
ROWS = [[DRAW.choice([-0.5, -1.0, -1.5, -2.0, -7.0]) for _ in range(6)] for _ in range(40)]


def test_ranks_are_how_many_are_smaller_and_half_of_the_equal_others():
    found = rank_ascending(torch.tensor(ROWS, dtype=torch.float64))
    expected = [[sum(y < x for y in row) + (row.count(x) - 1) / 2 for x in row] for row in ROWS]
    assert found.tolist() == expected
    assert rank_ascending(torch.tensor([[3.0, 1.0, 2.0]], dtype=torch.float64)).tolist() == [[2.0, 0.0, 1.0]]


@pytest.mark.parametrize("min_share", [1e-6, 0.2])
def test_shares_are_in_inverse_proportion_to_the_softmax_over_the_chosen(min_share):
    chosen = [[DRAW.random() < 0.6 for _ in row] for row in ROWS[1:]] + [[False] * 6]
    expected = []
    for row, taken in zip(ROWS, chosen, strict=True):
        mass = sum(math.exp(x) for x, t in zip(row, taken, strict=True) if t)
        inverse = [1 / max(math.exp(x) / mass, min_share) if t else 0.0 for x, t in zip(row, taken, strict=True)]
        expected.append([value / max(sum(inverse), 1.0) for value in inverse])
    found = rare_share(torch.tensor(ROWS, dtype=torch.float64), torch.tensor(chosen), min_share)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
