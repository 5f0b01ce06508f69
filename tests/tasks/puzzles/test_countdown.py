"""Countdown: exact sums in the ways in which models write them, held against brute force."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction

import pytest

from lit_passk.errors import Refusal
from lit_passk.tasks.puzzles import CountdownTask
from lit_passk.tasks.puzzles.expressions import plain_sum, value_of


def task_of(tmp_path, *rows, **kwargs) -> CountdownTask:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return CountdownTask(str(path), **kwargs)


@pytest.fixture
def task(tmp_path):
    return task_of(tmp_path, {"nums": [44, 19, 35], "target": 98}, {"numbers": [3, 3, 8, 8], "target": 24})


@pytest.mark.parametrize(
    "completion",
    [
        "<think>44+19</think>\n<answer> 44 + 19 + 35 </answer>",
        "<answer>44+19+35 = 98</answer>",
        "<answer>98 = 44 + (19 + 35)</answer>",
        "<answer>The sum is (44 + 19) + 35.</answer>",
        "<answer>\n44 + 19 + 35\n</answer>",
        "<answer>1+1</answer> No: <answer>35 + 44 + 19</answer>",
        "<answer>44 + 19 + 35",
        "So it is \\boxed{44 + 19 + 35}.",
        "$\\boxed{\\left(44 + 19\\right) + 35 = 98}$",
        "Here:\n```\n44 + 19 + 35\n```",
        "First 44 + 19 = 63.\nThen 44 + 19 + 35 = 98",
        "<answer>[44 + 19] + 35</answer>",
        "<answer>44 \N{MINUS SIGN} (\N{MINUS SIGN}19 \N{MINUS SIGN} 35)</answer>",
    ],
)
def test_right_answers(task, completion):
    score = task.score(task[0], completion)
    assert score.correct
    assert value_of(score.answer)[0] == 98


@pytest.mark.parametrize(
    "completion",
    [
        "<answer>44 + 19</answer>",
        "<answer>44 + 19 + 35 + 0</answer>",
        "<answer>44 + 44 + 10</answer>",
        "<answer>44 + 19 - 35</answer>",
        "<answer>98</answer>",
        "<answer>44 + 19 + 35 = 99</answer>",
        "<answer>44 + 19 + 35 = 98 = 98</answer>",
        "<answer>44 + 19 + 35</answer><answer>no</answer>",
        "<answer>(44 + 19) // 1 + 35</answer>",
        "<answer>44 ** 1 + 19 + 35</answer>",
        "<answer>44 + 19 + 35 / 0</answer>",
        "<answer>__import__('os').system('true') or 98</answer>",
        "<answer>" + "(" * 500 + "44+19+35" + ")" * 500 + "</answer>",
        "<answer>" + "9" * 5000 + "+1</answer>",
        "",
    ],
)
def test_wrong_answers(task, completion):
    assert not task.score(task[0], completion).correct


def test_fractions_are_exact(task, tmp_path):
    assert task.score(task[1], r"<answer>8 \div (3 - 8 \div 3)</answer>").correct
    assert task.score(task[1], r"\boxed{\frac{8}{3 - \frac{8}{3}}}").correct
    near = task_of(tmp_path, {"nums": [1, 3, 333333], "target": 1})
    assert not near.score(near[0], "<answer>1 / 3 + 333333 / 1</answer>").correct
    assert not near.score(near[0], "<answer>333333 * 3 / 1</answer>").correct


def test_some_numbers_may_be_left_if_asked(tmp_path):
    task = task_of(tmp_path, {"nums": [44, 19, 35], "target": 63}, use_all=False)
    assert task.score(task[0], "<answer>44 + 19</answer>").correct
    assert not task.score(task[0], "<answer>19 + 44 + 19 - 19</answer>").correct


def test_values_agree_with_every_sum_of_four_numbers():
    numbers = (7, 3, 2, 5)
    for signs in itertools.product("+-*/", repeat=3):
        a, b, c = signs
        for text in (f"7{a}3{b}2{c}5", f"(7{a}3){b}(2{c}5)", f"7{a}(3{b}(2{c}5))"):
            wrapped = text
            for number in numbers:
                wrapped = wrapped.replace(str(number), f"Fraction({number})")
            try:
                expected = eval(wrapped, {"Fraction": Fraction})
            except ZeroDivisionError:
                expected = None
            found = value_of(text)
            assert (found and found[0]) == expected
            assert found is None or found[1] == list(numbers)


def test_signs_of_latex():
    assert plain_sum(r"$\dfrac{6}{2} \cdot 3 \times 4$") == "((6)/(2)) * 3 * 4"


@pytest.mark.parametrize(
    "row",
    [
        {"nums": [1, "two"], "target": 3},
        {"nums": [1, True], "target": 2},
        {"nums": [1, "2" * 5000], "target": 3},
        {"nums": [1, 2]},
        {"target": 3},
        {"nums": [], "target": 3},
    ],
)
def test_rows_that_are_no_puzzle_are_refused(row, tmp_path):
    with pytest.raises(Refusal, match=r"rows.jsonl line 1 needs whole numbers in columns 'nums'"):
        task_of(tmp_path, row)


def test_the_prompt_and_the_number_of_rows(tmp_path):
    with pytest.warns(UserWarning, match="has 1 rows, but the published data set has 1024"):
        task = task_of(tmp_path, {"nums": [44, 19, 35], "target": 98}, expected_rows=1024)
    assert task[0].prompt.startswith("Using the numbers [44, 19, 35], create an equation that equals 98.")
