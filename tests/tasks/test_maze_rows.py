"""Mazes of a data set in verl's columns, judged as the paper's released verifier judges."""

from __future__ import annotations

import json

import pytest

from lit_passk.tasks.maze import MazeTask
from lit_passk.tasks.maze_rows import MazeRowsTask, find_maze

MAZE = "*****\n*E..*\n*.*.*\n*S*.*\n*****"
QUESTION = (
    "Find a path from S to E. '*' is a wall and '.' is free.\n\nThe maze:\n{}\n\n"
    "Moves are U, D, L and R. Put the final answer within \\boxed{{}}, e.g. \\boxed{{UDLR}}."
)


def row(prompt=None, ground_truth=MAZE):
    content = QUESTION.format(MAZE) if prompt is None else prompt
    return {
        "data_source": "maze",
        "prompt": [{"role": "user", "content": content}],
        "ability": "maze",
        "reward_model": {"style": "rule", "ground_truth": ground_truth},
        "extra_info": {"split": "train", "index": 0},
    }


def task_of(tmp_path, *rows, **arguments):
    path = tmp_path / "mazes.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return MazeRowsTask(str(path), **arguments)


def test_verls_rows_of_mazes(tmp_path):
    task = task_of(tmp_path, row(), row())
    problem = task[1]
    assert problem.prompt == row()["prompt"]
    assert (problem.id, problem.source, problem.answer) == ("1", "maze", MAZE)
    assert problem.metadata["extra_info"] == {"split": "train", "index": 0}
    assert task.score(problem, "Up twice: \\boxed{UU}").correct
    assert task.score(problem, "\\boxed{U, U}").correct
    assert not task.score(problem, "\\boxed{UR}").correct
    assert not task_of(tmp_path, row(), verifier="strict").score(problem, "\\boxed{U, U}").correct


@pytest.mark.parametrize(
    "ground_truth",
    [
        MAZE,
        f"\n{MAZE}\n",
        MAZE.replace("\n", "\r\n"),
        "\n".join(" ".join(line) for line in MAZE.split("\n")),
        MAZE.split("\n"),
        [list(line) for line in MAZE.split("\n")],
        json.dumps(MAZE.split("\n")),
        "UU",  # a path: the maze is in the prompt
        "0",
    ],
)
def test_the_maze_is_in_the_answer_or_in_the_prompt(tmp_path, ground_truth):
    assert task_of(tmp_path, row(ground_truth=ground_truth))[0].answer == MAZE
    assert task_of(tmp_path, as_text(row(ground_truth=ground_truth)))[0].answer == MAZE


def as_text(one):
    return {name: json.dumps(value) for name, value in one.items() if name != "ability"}


def test_the_last_maze_of_a_prompt_counts():
    example = "S.\n.E"
    assert find_maze(f"For example\n{example}\nhas the answer RD.\n```\n{MAZE}\n```") == MAZE
    assert find_maze(f"{MAZE}\nis no {example[:2]}\n...") == MAZE
    assert find_maze("*****\n*S..*\n*****") is None, "no E"
    assert find_maze("S.E") is None, "one line is prose"
    assert find_maze(MAZE.replace("E", "S")) is None
    assert find_maze(None) is None
    assert find_maze({"maze": MAZE}) is None


def test_without_a_maze_the_row_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"mazes.jsonl line 2 has no maze in column 'reward_model.ground_truth'"):
        task_of(tmp_path, row(), row(prompt="Which way?", ground_truth="UU"))
    with pytest.raises(ValueError, match="needs verifier 'strict' or 'compat', but got 'lax'"):
        task_of(tmp_path, row(), verifier="lax")


def test_a_missing_answer_is_left_out_and_counted(tmp_path):
    with pytest.warns(UserWarning, match="1 of 2 rows .* left out, the first at .*line 1"):
        task = task_of(tmp_path, row(ground_truth=None), row())
    assert [problem.id for problem in task] == ["1"]


@pytest.mark.parametrize(
    ("completion", "correct"),
    [
        ("\\boxed{UU}", True),
        ("\\boxed{\\text{UU}}", True),  # braces within the box are kept, and their words are no moves but t, e, x
        ("\\boxed{UU", True),  # a box that never closes
        ("$\\boxed UU$ and D", True),  # without a brace, up to the dollar sign
        ("boxed", False),
        ("D \\boxed{UU} U", True),
        ("<answer>\\boxed{D}</answer> <answer>UU", True),  # a closing tag anywhere is enough
        ("</answer> <answer>UU", True),
        ("<answer>UU<answer>", False),  # no closing tag: the letter r of the tag's name is a move
        ("<answer>D</answer><answer>UU</answer> D", True),
        ("", False),
    ],
)
def test_compat_reads_what_the_released_verifier_reads(tmp_path, completion, correct):
    task = task_of(tmp_path, row())
    assert task.score(task[0], completion).correct is correct
    made = MazeTask(sizes=[5], num_problems=1, verifier="compat")
    assert made.score(task[0], completion).correct is correct
