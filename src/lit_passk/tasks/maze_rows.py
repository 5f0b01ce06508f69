"""Mazes of a data set, such as the one that was released with the paper, scored as ``MazeTask`` scores its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.tasks.base import Task
from lit_passk.tasks.columns import from_json, shown
from lit_passk.tasks.maze import EXIT, START, Verifier, check_verifier, score_moves
from lit_passk.tasks.records import Record
from lit_passk.tasks.rows import ANSWER_COLUMNS, PROMPT_COLUMNS, Columns, Names, read_problems
from lit_passk.types import Problem, Prompt, Score

RELEASED = "RUC-AIBOX/Passk_Training_Maze"
_ROW = re.compile(r"[SE*.]{2,}")


class MazeRowsTask(Task):
    r"""Mazes of a data set in verl's columns: those that the paper's authors released, or your own.

    The prompt is the row's. The maze that moves are followed in is the one in the answer column or, where that holds
    none (but a path, for example), the last one in the prompt: lines of one length of ``S``, ``E``, ``*`` and ``.``,
    with one S and one E. A row without either, or without an answer at all, is treated as in every task: refused, or
    left out and counted.

    Args:
        path: A ``.jsonl`` or ``.parquet`` file, a folder of them, or ``owner/name`` on the Hugging Face hub; or several
            of these. The default is the released set.
        split: Of a hub data set; of a folder, the files whose names begin with it.
        prompt_column: Where the prompt is, a text or a chat; of several names the first that holds something.
        answer_column: Where the maze or a path through it is; of several names the first that holds something.
        verifier: ``compat`` scores as the paper's released verifier does, which reads every letter U, D, L or R of the
            answer as a move; ``strict`` wants an answer tag or box that holds only moves and spaces.
        expected_rows: Published number of rows, or several of them; another count warns.

    Example:
        >>> import json, pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "mazes.jsonl"
        >>> row = {"prompt": [{"role": "user", "content": "Solve it."}], "reward_model": {"ground_truth": "S.\n*E"}}
        >>> _ = file.write_text(json.dumps(row))
        >>> task = MazeRowsTask(str(file))
        >>> task.score(task[0], r"Right, then down: \boxed{RD}").correct
        True

    """

    def __init__(
        self,
        path: Names = RELEASED,
        split: str | None = None,
        prompt_column: Names = PROMPT_COLUMNS,
        answer_column: Names = ANSWER_COLUMNS,
        verifier: Verifier = "compat",
        expected_rows: int | Sequence[int] | None = None,
    ) -> None:
        check_verifier("MazeRowsTask", verifier)
        self.verifier = verifier
        columns = Columns(prompt=prompt_column, answer=answer_column)
        self.problems = [
            problem
            for problem, _ in read_problems(
                path,
                columns,
                lambda record, prompt: maze_of(record, prompt, answer_column),
                split=split,
                expected_rows=expected_rows,
            )
        ]

    def __len__(self) -> int:
        return len(self.problems)

    def __getitem__(self, index: int) -> Problem:
        return self.problems[index]

    def score(self, problem: Problem, completion: str) -> Score:
        """Follow the moves; correct when every step is legal and the last one ends on E."""
        return score_moves(problem.answer, completion, self.verifier)


def maze_of(record: Record, prompt: Prompt, columns: Names) -> str:
    """The maze of a row: the answer, or else the last one in the prompt.

    Raises:
        Refusal: If neither holds one.
    """
    name, answer = record.find(columns, "the maze")
    text = prompt if isinstance(prompt, str) else "\n\n".join(turn["content"] for turn in prompt)
    maze = find_maze(answer) or find_maze(text)
    if maze is None:
        raise Refusal(
            f"{record.where} has no maze in column {name!r}, which holds {shown(answer)}, nor in its prompt: lines of "
            f"one length of {START}, {EXIT}, * and ., with one {START} and one {EXIT}. The prompt ends {text[-80:]!r}."
        )
    return maze


def find_maze(value: Any) -> str | None:
    r"""The last maze in a text, or the one that a list of rows is, as rows with newlines between them.

    Example:
        >>> find_maze("'S' is the start.\nS . *\n* . E\nGood luck."), find_maze([["S", "."], ["*", "E"]])
        ('S.*\n*.E', 'S.\n*E')

    """
    rows = from_json(value) if isinstance(value, str) else value
    if isinstance(rows, list) and all(isinstance(row, str | list) for row in rows):
        value = "\n".join(row if isinstance(row, str) else "".join(map(str, row)) for row in rows)
    if not isinstance(value, str):
        return None
    found, block = None, list[str]()
    for line in [*value.split("\n"), ""]:
        row = "".join(line.split())
        if block and len(row) == len(block[0]) and _ROW.fullmatch(row):
            block.append(row)
            continue
        maze = "\n".join(block)
        if len(block) > 1 and maze.count(START) == maze.count(EXIT) == 1:
            found = maze
        block = [row] if _ROW.fullmatch(row) else []
    return found
