"""A k against the group size: what is refused, and where it is said that nothing can be learnt."""

from __future__ import annotations

import warnings

import pytest

from lit_passk.advantages import MaxAtK, PassKAnalytic, PassKFullSampling
from lit_passk.advantages.base import GroupSizeWarning


def said(check, *sizes):
    """For which sizes a warning is given."""
    found = []
    for size in sizes:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check(size)
        assert all(issubclass(warning.category, GroupSizeWarning) for warning in caught)
        found.append([str(warning.message) for warning in caught])
    return [size for size, messages in zip(sizes, found, strict=True) if messages]


def test_where_a_single_group_fits():
    strategy = PassKFullSampling(3)
    assert said(strategy.warn_single_group, 3, 4, 5, 6, 7) == [3]
    assert said(strategy.warn_one_disjoint_group, 3, 4, 5, 6, 7) == [4, 5]
    with pytest.warns(GroupSizeWarning, match=r"PassKFullSampling\(k=3\) .*group_size = 5: .*group_size to 6 or more"):
        strategy.warn_one_disjoint_group(5)
    with pytest.warns(GroupSizeWarning, match=r"group_size = 3 sees a single group"):
        strategy.warn_single_group(3)


def test_no_group_leaves_a_completion_out():
    strategy = MaxAtK(3)
    strategy.refuse_single_group(4)
    with pytest.raises(ValueError, match=r"rollout.group_size >= 4, but got 3"):
        strategy.refuse_single_group(3)


@pytest.mark.parametrize("k", [0, -1, True, 2.0, "2", None])
def test_what_is_no_k(k):
    with pytest.raises(ValueError, match="needs an integer k >= 1"):
        PassKAnalytic(k)


def test_the_smallest_k_and_the_largest():
    assert PassKAnalytic(1).k == 1
    PassKAnalytic(4).check_group_size(5)
    with pytest.warns(GroupSizeWarning):
        PassKAnalytic(4).check_group_size(4)
    with pytest.raises(ValueError, match="group_size >= 4, but got 3"):
        PassKAnalytic(4).check_group_size(3)
