"""Equality of JSON values, as the checkers of function-call tests have it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_passk.tasks.code.sandbox.inside.checker import same

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=15,
)


@given(JSON, JSON)
def test_without_floats_it_is_equality_of_what_json_gives_back(first, second):
    assert same(first, second) == (json.loads(json.dumps(first)) == json.loads(json.dumps(second)))
    assert same(first, first)


@pytest.mark.parametrize(
    ("result", "expected", "equal"),
    [
        ((1, (2,)), [1, [2]], True),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ({1: "a"}, {"1": "a"}, True),
        ({1: "a"}, {"2": "a"}, False),
        ({1, 2}, [1, 2], False),
        (0.1 + 0.2, 0.3, True),
        (1.0, 1, True),
        (1 + 1e-8, 1.0, False),
        (1e20 + 1e5, 1e20, True),
        (float("nan"), float("nan"), False),
        (float("inf"), float("inf"), True),
        (float("inf"), 9, False),
        (9, float("-inf"), False),
        ("1", 1, False),
        (1.0, "1.0", False),
        (None, False, False),
        ([0.1 + 0.2], [0.3], True),
        (b"a", "a", False),
    ],
)
def test_equality(result, expected, equal):
    assert same(result, expected) is equal
