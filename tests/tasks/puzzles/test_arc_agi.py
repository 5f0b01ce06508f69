"""ARC-AGI-1: every cell counts, in every way of writing a grid."""

from __future__ import annotations

import json

import pytest

from lit_passk.errors import Refusal
from lit_passk.tasks.puzzles import ARCAGITask

TASK = {
    "train": [{"input": [[0, 1], [1, 0]], "output": [[1, 0, 7], [0, 1, 7]]}, {"input": [[3]], "output": [[3]]}],
    "test": [{"input": [[2, 2]], "output": [[0, 2, 5], [1, 0, 4]]}, {"input": [[9]], "output": [[9]]}],
}


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "evaluation"
    place.mkdir()
    (place / "00576224.json").write_text(json.dumps(TASK))
    (place / "0a1d4ef5.json").write_text(json.dumps({**TASK, "test": TASK["test"][:1]}))
    return place


WRITTEN = [
    "0 2 5\n1 0 4",
    "0,2,5\n1,0,4",
    "0, 2, 5\n1, 0, 4\n",
    "025\n104",
    "| 0 | 2 | 5 |\n| 1 | 0 | 4 |",
    "[[0, 2, 5], [1, 0, 4]]",
    "[[0,2,5],\n [1,0,4]]",
    "[0, 2, 5]\n[1, 0, 4]",
    "```\n0 2 5\n1 0 4\n```",
    "```python\n[[0, 2, 5], [1, 0, 4]]\n```",
]


@pytest.mark.parametrize("grid", WRITTEN)
def test_a_grid_is_read_however_it_is_written(folder, grid):
    task = ARCAGITask(str(folder))
    assert task.score(task[0], f"In the 2 x 3 case:\n1 1\n\nThe output is\n\n{grid}\n\nas shown.").correct
    assert task.score(task[0], f"<think>\n9 9\n</think>{grid}").correct
    assert not task.score(task[0], grid.replace("5", "6")).correct
    assert not task.score(task[0], f"{grid}\n\nor\n\n```\n1\n```").correct


@pytest.mark.parametrize("answer", ["", "0 2 5", "0 2\n1 0", "0 2 5\n1 0 4\n0 0 0", "0 2 5\n1 0 10", "0 2 5\n\n1 0 4"])
def test_anything_else_is_wrong(folder, answer):
    task = ARCAGITask(str(folder))
    assert not task.score(task[0], answer).correct


def test_one_problem_a_test_grid_or_one_a_task(folder):
    each = ARCAGITask(str(folder), expected_rows=2)
    assert [problem.id for problem in each.problems] == ["00576224_0", "00576224_1", "0a1d4ef5_0"]
    assert each[1].prompt.count("Input:\n9\n") == 1
    assert "2 2" not in each[1].prompt.rpartition("Input:")[2]
    assert "Input:\n0 1\n1 0\nOutput:\n1 0 7\n0 1 7\n" in each[0].prompt
    whole = ARCAGITask(str(folder), whole_task=True)
    assert [problem.id for problem in whole.problems] == ["00576224", "0a1d4ef5"]
    both = "```\n0 2 5\n1 0 4\n```\n\n```\n9\n```"
    assert whole.demonstration(0) == both
    assert whole.score(whole[0], both).correct
    assert not whole.score(whole[0], "```\n9\n```\n\n```\n0 2 5\n1 0 4\n```").correct
    assert not whole.score(whole[0], "```\n0 2 5\n1 0 4\n```").correct


def test_rows_of_the_hub(tmp_path):
    path = tmp_path / "evaluation.jsonl"
    texts = {name: json.dumps(value) for name, value in TASK.items()}
    path.write_text(json.dumps(TASK) + "\n" + json.dumps({"id": "t", **texts}) + "\n")
    assert [problem.id for problem in ARCAGITask(str(path)).problems] == ["0_0", "0_1", "t_0", "t_1"]
    with pytest.warns(UserWarning, match="has 2 rows, but the published data set has 400"):
        ARCAGITask(str(path), expected_rows=400)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"train": None}, "needs pairs of grids, 'input' and 'output', in column 'train', but has None"),
        ({"test": [{"input": [[1]]}]}, "column 'test', .*KeyError: 'output'"),
        ({"test": [{"input": [[1]], "output": [[1], [2, 3]]}]}, "a grid has rows of one length"),
        ({"test": [{"input": [[1]], "output": [[12]]}]}, "digits from 0 to 9"),
        ({"test": []}, "has no pair in column 'test'"),
        ({"test": "[{"}, "column 'test', .*JSONDecodeError"),
        ({"train": "[" * 100_000}, "column 'train', .*RecursionError"),
        ({"test": [{"input": [[1]], "output": [[float("inf")]]}]}, "column 'test', .*OverflowError"),
    ],
)
def test_rows_that_are_no_task_are_refused(change, reason, tmp_path):
    (tmp_path / "one.json").write_text(json.dumps({**TASK, **change}))
    with pytest.raises(Refusal, match=rf"one.json .*{reason}"):
        ARCAGITask(str(tmp_path))
    (tmp_path / "one.json").write_text("[" * 100_000)
    with pytest.raises(Refusal, match=r"one.json is not valid JSON"):
        ARCAGITask(str(tmp_path))
    (tmp_path / "one.json").write_text("[1]")
    with pytest.raises(Refusal, match=r"one.json must hold a JSON object with 'train' and 'test'"):
        ARCAGITask(str(tmp_path))
