"""The maze task: generator, demonstrations and both verifiers."""

import pytest

from lit_passk.tasks.maze import MazeTask, reaches_exit, read_moves, read_moves_compat
from lit_passk.types import Problem

MAZE = "*****\n*E..*\n*.*.*\n*S*.*\n*****"  # S at row 3, E two above
PROBLEM = Problem(id="m", prompt=MAZE, answer=MAZE)


def solvable(maze: str) -> bool:
    """Flood fill on complex numbers: written apart from the task's own search."""
    rows = maze.split("\n")
    cells = {complex(r, c): ch for r, row in enumerate(rows) for c, ch in enumerate(row) if ch != "*"}
    seen, front = set(), {z for z, ch in cells.items() if ch == "S"}
    while front:
        seen |= front
        front = {z + d for z in front for d in (1, -1, 1j, -1j) if z + d in cells} - seen
    return any(cells[z] == "E" for z in seen)


@pytest.mark.parametrize("border", [False, True])
@pytest.mark.parametrize("size", [4, 5, 7, 10, 21])
def test_mazes_are_square_solvable_and_different(size, border):
    task = MazeTask(sizes=[size], num_problems=10, border=border, min_distance=1)
    assert len(set(task.mazes)) == len(task) == 10
    for i in range(10):
        maze = task[i].answer
        rows = maze.split("\n")
        assert len(rows) == size
        assert {len(row) for row in rows} == {size}
        assert maze.count("S") == maze.count("E") == 1
        assert set(maze) <= set("SE*.\n")
        assert solvable(maze)
        if border:
            assert set(rows[0] + rows[-1] + "".join(r[0] + r[-1] for r in rows)) == {"*"}


def test_demonstrations_are_right_and_score_one():
    task = MazeTask(sizes=[5, 8], num_problems=50)
    for i in range(len(task)):
        assert reaches_exit(task[i].answer, task.solve(i))
        assert len(task.solve(i)) >= 4  # min_distance
        assert task.score(task[i], task.demonstration(i)).correct
        assert not task.score(task[i], "").correct


def test_deterministic_in_the_seed():
    make = lambda seed: MazeTask(sizes=[5], num_problems=20, seed=seed).mazes  # noqa: E731
    assert make(3) == make(3)
    assert make(3) != make(4)
    assert MazeTask(sizes=[5], num_problems=5).solve(2) == MazeTask(sizes=[5], num_problems=9).solve(2)


def test_splits_share_no_maze_whatever_the_seed():
    mazes = {
        split: {m for seed in (0, 1) for m in MazeTask(sizes=[4], num_problems=300, split=split, seed=seed).mazes}
        for split in ("train", "val", "test")
    }
    assert not mazes["train"] & mazes["val"]
    assert not mazes["train"] & mazes["test"]
    assert not mazes["val"] & mazes["test"]


@pytest.mark.parametrize(
    ("completion", "correct"),
    [
        ("<answer>UU</answer>", True),
        ("<answer> U U\n</answer>", True),
        ("so \\boxed{UU}", True),
        ("<answer>\\boxed{UU}</answer>", True),
        ("<answer>D</answer> no: <answer>UU</answer>", True),
        ("<answer>UU</answer> no: <answer>D</answer>", False),
        ("UU", False),  # no tag
        ("<answer>UU", False),  # not closed
        ("<answer>uu</answer>", False),
        ("<answer>U, U</answer>", False),
        ("<answer>Up Up</answer>", False),
        ("<answer>U</answer>", False),  # stops short
        ("<answer>UUU</answer>", False),  # into the wall
        ("<answer>RUU</answer>", False),  # through the wall
        ("<answer>UURL</answer>", True),  # leaves E and returns
        ("<answer></answer>", False),
        ("", False),
    ],
)
def test_strict_verifier(completion, correct):
    score = MazeTask(sizes=[5], num_problems=1).score(PROBLEM, completion)
    assert score.correct is correct
    assert score.reward == float(correct)


@pytest.mark.parametrize(
    ("completion", "correct"),
    [
        ("The path is UU", True),  # prose scores: documented behaviour of the released verifier
        ("Up Up", True),
        ("<answer>uu</answer>", True),
        ("<answer>UU<answer>", False),  # without a closing tag the tag's own letters are moves
        ("boxed{D} boxed{UU}", True),
        ("UUU", False),
    ],
)
def test_compat_verifier(completion, correct):
    assert MazeTask(sizes=[5], num_problems=1, verifier="compat").score(PROBLEM, completion).correct is correct


def test_readers():
    assert read_moves("<answer>U D</answer>") == "UD"
    assert read_moves("up") is None
    assert read_moves_compat("Left, right; Up") == "LRU"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": [1]}, "sizes of at least 2"),
        ({"sizes": []}, "sizes of at least 2"),
        ({"sizes": [3], "border": True}, "sizes of at least 4"),
        ({"wall_density": 1.0}, "wall_density"),
        ({"min_distance": 0}, "min_distance"),
        ({"template": "no maze"}, "template"),
        ({"split": "dev"}, "split"),
        ({"verifier": "lax"}, "verifier"),
        ({"sizes": [2], "min_distance": 1, "num_problems": 500}, "found only"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MazeTask(**arguments)
