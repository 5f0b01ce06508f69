"""The Maze task of the Pass@k Training paper: find a way from S to E on a text grid (section 3.1, appendix D)."""

from __future__ import annotations

import hashlib
import random
import re
from collections import deque
from collections.abc import Sequence
from typing import Literal

from lit_passk.errors import Refusal
from lit_passk.tasks.base import Task
from lit_passk.types import Problem, Score

START, EXIT, WALL, FREE = "S", "E", "*", "."
MOVES = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}
SPLITS = {"val": range(0, 1), "test": range(1, 2), "train": range(2, 10)}  # tenths of all mazes, by content

TEMPLATE = (
    "Find a path through the maze below from S to E. '*' is a wall, '.' is free. You may move U (up), D (down), "
    "L (left) and R (right), one cell a move, and may not leave the grid.\n\n{maze}\n\n"
    "Give the moves inside <answer></answer>, for example <answer>UURD</answer>."
)

Cell = tuple[int, int]
Verifier = Literal["strict", "compat"]


class MazeTask(Task):
    """Mazes that can be solved by construction, the same ones for the same arguments.

    A maze belongs to the split that a hash of its text says (80 % train, 10 % val, 10 % test), so tasks of different
    splits never share a maze, whatever their seeds.

    Args:
        sizes: Side lengths, odd or even, at least 2; problem i has size ``sizes[i % len(sizes)]``.
        num_problems: How many mazes, all different.
        split: ``train``, ``val`` or ``test``.
        seed: Chooses the mazes within the split.
        wall_density: Chance of a cell to be a wall, in [0, 1).
        min_distance: Fewest moves from S to E.
        border: Surround the grid by walls, as the paper's mazes are (``sizes`` then counts the border in).
        template: Prompt text; ``{maze}`` is replaced by the grid, rows separated by newlines.
        verifier: ``strict`` wants an answer tag or box that holds only moves and spaces; ``compat`` scores as the
            paper's released verifier does, which reads every letter U, D, L or R as a move.

    Example:
        >>> task = MazeTask(sizes=[5], num_problems=2, template="{maze}")
        >>> len(task[0].prompt.split()), task.score(task[0], f"<answer>{task.solve(0)}</answer>").correct
        (5, True)

    """

    def __init__(
        self,
        sizes: Sequence[int] = (9,),
        num_problems: int = 1000,
        split: Literal["train", "val", "test"] = "train",
        seed: int = 0,
        wall_density: float = 0.3,
        min_distance: int = 4,
        border: bool = False,
        template: str = TEMPLATE,
        verifier: Verifier = "strict",
    ) -> None:
        if not sizes or min(sizes) < 2 + 2 * border:
            raise Refusal(f"MazeTask needs sizes of at least {2 + 2 * border}, but got sizes={list(sizes)}.")
        if num_problems < 1:
            raise Refusal(f"MazeTask needs num_problems >= 1, but got {num_problems}.")
        if not 0 <= wall_density < 1:
            raise Refusal(f"MazeTask needs 0 <= wall_density < 1, but got {wall_density}.")
        if min_distance < 1:
            raise Refusal(f"MazeTask needs min_distance >= 1, but got {min_distance}.")
        if "{maze}" not in template:
            raise Refusal(f"MazeTask needs a template that holds '{{maze}}', but got {template!r}.")
        if split not in SPLITS:
            raise Refusal(f"MazeTask needs split to be one of {sorted(SPLITS)}, but got {split!r}.")
        check_verifier("MazeTask", verifier)
        self.template = template
        self.verifier = verifier
        self.seed = seed
        self.mazes = _make_mazes(sizes, num_problems, split, seed, wall_density, min_distance, border)

    def __len__(self) -> int:
        return len(self.mazes)

    def __getitem__(self, index: int) -> Problem:
        maze = self.mazes[index]
        return Problem(id=f"maze-{_digest(maze):016x}", prompt=self.template.replace("{maze}", maze), answer=maze)

    def score(self, problem: Problem, completion: str) -> Score:
        """Follow the moves; correct when every step is legal and the last one ends on E."""
        return score_moves(problem.answer, completion, self.verifier)

    def solve(self, index: int) -> str:
        """The moves of a depth-first path that tries directions in random order: legal, rarely the shortest."""
        rows = self.mazes[index].split("\n")
        rng = random.Random(f"path-{self.seed}-{index}")
        stack, seen = [(_find(rows, START), "")], set()
        while stack:
            cell, moves = stack.pop()
            if rows[cell[0]][cell[1]] == EXIT:
                return moves
            if cell in seen:
                continue
            seen.add(cell)
            steps = [(following, moves + name) for name, following in _neighbours(rows, cell)]
            rng.shuffle(steps)
            stack += steps
        raise AssertionError("a maze is solvable by construction")

    def demonstration(self, index: int) -> str:
        """The depth-first path inside answer tags."""
        return f"<answer>{self.solve(index)}</answer>"


def score_moves(maze: str, completion: str, verifier: Verifier) -> Score:
    """Follow the moves that a verifier reads; correct when every step is legal and the last one ends on E."""
    moves = read_moves(completion) if verifier == "strict" else read_moves_compat(completion)
    correct = moves is not None and reaches_exit(maze, moves)
    return Score(reward=float(correct), correct=correct, answer=moves)


def check_verifier(task: str, verifier: str) -> None:
    """Refuse a verifier that there is not."""
    if verifier not in ("strict", "compat"):
        raise Refusal(f"{task} needs verifier 'strict' or 'compat', but got {verifier!r}.")


def read_moves(completion: str) -> str | None:
    """Moves in the last answer tag (or else the last box), or None unless it holds only moves and spaces."""
    tags = re.findall(r"<answer>(.*?)</answer>", completion, flags=re.DOTALL)
    text = tags[-1] if tags else completion
    boxes = re.findall(r"\\boxed\{([^{}]*)\}", text)
    if not tags and not boxes:
        return None
    moves = boxes[-1] if boxes else text
    return "".join(moves.split()) if re.fullmatch(r"[UDLR\s]*", moves) else None


def read_moves_compat(completion: str) -> str:
    """Every letter u, d, l or r of the answer, as the paper's released verifier reads it: prose can score.

    The answer is what the last answer tag holds, if there are an opening and a closing one anywhere, and of that the
    last box: up to its closing brace, to the end where it never closes, to the next dollar sign without a brace.
    """
    text = completion
    if "<answer>" in text and "</answer>" in text:
        text = text.rpartition("<answer>")[2].partition("</answer>")[0]
    _, box, content = text.rpartition("boxed")
    if box:
        text = _braced(content) if content.startswith("{") else content.partition("$")[0]
    return re.sub("[^UDLR]", "", text.upper())


def _braced(text: str) -> str:
    """What stands between the brace a text begins with and the one that closes it."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[1:place]
    return text


def reaches_exit(maze: str, moves: str) -> bool:
    """Whether ``moves`` lead from S to E without leaving the grid or touching a wall."""
    rows = maze.split("\n")
    row, column = _find(rows, START)
    for move in moves:
        row, column = row + MOVES[move][0], column + MOVES[move][1]
        if not (0 <= row < len(rows) and 0 <= column < len(rows[row])) or rows[row][column] == WALL:
            return False
    return rows[row][column] == EXIT


def _make_mazes(
    sizes: Sequence[int], num: int, split: str, seed: int, density: float, min_distance: int, border: bool
) -> list[str]:
    rng = random.Random(f"mazes-{seed}")
    found: dict[str, None] = {}  # a dict keeps the order in which mazes were found
    attempts = 0
    while len(found) < num:
        size = sizes[len(found) % len(sizes)]
        maze = _draw_maze(rng, size, density, min_distance, border)
        if maze is not None and _digest(maze) % 10 in SPLITS[split]:
            found[maze] = None
        attempts += 1
        if attempts > 1000 * (len(found) + 10):
            raise Refusal(
                f"MazeTask found only {len(found)} different mazes of {num} with sizes={list(sizes)}, "
                f"wall_density={density}, min_distance={min_distance}. Ask for fewer or larger mazes."
            )
    return list(found)


def _draw_maze(rng: random.Random, size: int, density: float, min_distance: int, border: bool) -> str | None:
    """Random walls, a random start, and an exit among the cells that are far enough; None when there is none."""
    inner = range(border, size - border)
    rows = [
        [WALL if r not in inner or c not in inner or rng.random() < density else FREE for c in range(size)]
        for r in range(size)
    ]
    free = [(r, c) for r in inner for c in inner if rows[r][c] == FREE]
    if not free:
        return None
    start = rng.choice(free)
    far = [cell for cell, distance in _distances(rows, start).items() if distance >= min_distance]
    if not far:
        return None
    end = rng.choice(far)
    rows[start[0]][start[1]], rows[end[0]][end[1]] = START, EXIT
    return "\n".join("".join(row) for row in rows)


def _distances(rows: Sequence[Sequence[str]], start: Cell) -> dict[Cell, int]:
    """Moves from ``start`` to every cell that can be reached, nearest first."""
    distances, queue = {start: 0}, deque([start])
    while queue:
        cell = queue.popleft()
        for _, following in _neighbours(rows, cell):
            if following not in distances:
                distances[following] = distances[cell] + 1
                queue.append(following)
    return distances


def _neighbours(rows: Sequence[Sequence[str]], cell: Cell) -> list[tuple[str, Cell]]:
    steps = [(name, (cell[0] + down, cell[1] + right)) for name, (down, right) in MOVES.items()]
    size = len(rows)
    return [(n, (r, c)) for n, (r, c) in steps if 0 <= r < size and 0 <= c < size and rows[r][c] != WALL]


def _find(rows: Sequence[Sequence[str]], char: str) -> Cell:
    return next((r, row.index(char)) for r, row in enumerate(rows) if char in row)


def _digest(maze: str) -> int:
    return int.from_bytes(hashlib.blake2b(maze.encode(), digest_size=8).digest(), "big")
