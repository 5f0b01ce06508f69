"""Groups of equal size side by side, against loops."""

from __future__ import annotations

import warnings

import pytest
import torch

from lit_passk.advantages import GRPO, RLOO, PassKAnalytic
from lit_passk.advantages.base import GroupSizeWarning
from lit_passk.advantages.buckets import buckets, no_size_warnings, usable


@pytest.mark.parametrize("seed", range(5))
def test_every_completion_is_once_in_the_row_of_its_group_in_its_order(seed):
    random = torch.Generator().manual_seed(seed)
    owner = torch.randint(40, (300,), generator=random) * 2  # odd groups have no completion
    expected: dict[int, dict[int, list[int]]] = {}
    for group in sorted(set(owner.tolist())):
        rows = [row for row, of in enumerate(owner.tolist()) if of == group]
        expected.setdefault(len(rows), {})[group] = rows
    found = {rows.shape[1]: dict(zip(groups.tolist(), rows.tolist(), strict=True)) for groups, rows in buckets(owner)}
    assert found == expected
    assert list(found) == sorted(found)


def test_no_completions():
    assert list(buckets(torch.empty(0, dtype=torch.int64))) == []


def test_which_sizes_a_strategy_takes():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sizes = [[usable(strategy, size) for size in range(1, 6)] for strategy in (PassKAnalytic(4), GRPO(), RLOO())]
    assert sizes == [[False, False, False, True, True], [True] * 5, [False, True, True, True, True]]


def test_other_warnings_are_shown():
    def warn():
        with no_size_warnings():
            warnings.warn("small", GroupSizeWarning, stacklevel=1)
            warnings.warn("other", UserWarning, stacklevel=1)

    with pytest.warns(UserWarning, match="other") as shown:
        warn()
    assert len(shown) == 1
