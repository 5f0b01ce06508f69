"""Outputs are compared as the data sets' own checkers compare them."""

from __future__ import annotations

import pytest

from lit_passk.tasks.code.outputs import same_output

EXACT, APPS, CODE_CONTESTS, LOOSE = None, (1e-8, 1e-5), (1e-5, 0.0), (1e-6, 1e-6)


@pytest.mark.parametrize(
    ("printed", "expected", "tolerance", "passed"),
    [
        ("1 2\n3\n", "1  2 3", EXACT, True),
        ("1 2", "1 2 3", EXACT, False),
        ("1 2 3", "1 2", EXACT, False),
        ("", "\n", EXACT, True),
        ("YES", "Yes", EXACT, False),
        ("YES", "Yes", CODE_CONTESTS, True),
        ("1.0", "1", EXACT, False),
        ("1.0", "1", CODE_CONTESTS, True),
        ("1e0", "1", CODE_CONTESTS, True),
        ("0.333333", "0.333333333", CODE_CONTESTS, True),
        ("0.3333", "0.333333333", CODE_CONTESTS, False),
        ("1000000.1", "1000000.2", CODE_CONTESTS, False),
        ("1000000.1", "1000000.2", APPS, True),
        ("1.0000009", "1.0", LOOSE, True),
        ("1.000003", "1.0", LOOSE, False),
        ("1000000008", "1000000007", LOOSE, False),
        ("9007199254740993", "9007199254740992", LOOSE, False),
        ("-0", "0", LOOSE, True),
        ("nan", "1.5", LOOSE, False),
        ("inf", "1.5", LOOSE, False),
        ("NaN", "nan", LOOSE, True),
        ("abc", "1.5", LOOSE, False),
        ("1.5", "abc", LOOSE, False),
    ],
)
def test_same_output(printed, expected, tolerance, passed):
    assert same_output(printed, expected, tolerance).passed is passed
