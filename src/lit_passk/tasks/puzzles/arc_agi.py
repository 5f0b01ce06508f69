"""ARC-AGI-1 (arXiv 1911.01547): a rule shown by pairs of grids, to be applied to another grid."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from lit_passk.errors import Refusal
from lit_passk.inputs import check_file, expanded
from lit_passk.tasks.base import Task
from lit_passk.tasks.files import check_count, load_records
from lit_passk.tasks.math.text import final_text
from lit_passk.tasks.records import Record, shown
from lit_passk.types import Problem, Score

Grid: TypeAlias = list[list[int]]

_INTRODUCTION = (
    "Below are pairs of grids, each an input and the output that a rule makes of it. Cells are digits from 0 to 9, "
    "which stand for colours. Find the rule and apply it to {what}.\n\n"
)
_REQUEST = "\nReason step by step, and end with {what} in {blocks}, one row a line, cells separated by spaces."
_JSON = re.compile(r"\[\s*\[[\d\s,\[\]]*\]\s*\]")
_FENCE = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
_ROW = re.compile(r"[\s|\[]*\d+(?:[\s,|]+\d+)*[\s,|\]]*")


class ARCAGITask(Task):
    """Tasks of ARC-AGI-1: a grid counts as right only with its size and all of its cells.

    A grid in an answer may be rows of digits with spaces, commas, bars or nothing between, or a list of lists. The last
    one counts, and where there are code blocks with grids, the last of these.

    Args:
        path: A folder of the repository (``data/evaluation``: one ``.json`` file a task), a ``.jsonl`` or ``.parquet``
            file, or ``owner/name`` on the Hugging Face hub, with columns ``train`` and ``test``.
        split: Of a hub data set.
        subset: Configuration of a hub data set.
        whole_task: One problem a task, all of whose test grids must be right, as the paper defines solving it (with
            three trials); else one problem a test grid, as language models are mostly evaluated.
        expected_rows: Published number of tasks, or several of them; another count warns.
    """

    def __init__(
        self,
        path: str,
        split: str | None = None,
        subset: str | None = None,
        whole_task: bool = False,
        expected_rows: int | Sequence[int] | None = None,
    ) -> None:
        files = sorted(expanded(path).glob("*.json"))
        records = [_read(file) for file in files] if files else load_records(path, split, subset)
        check_count(len(records), expected_rows, repr(path))
        self.problems = [
            problem for index, record in enumerate(records) for problem in _problems(record, index, whole_task)
        ]

    def __len__(self) -> int:
        return len(self.problems)

    def __getitem__(self, index: int) -> Problem:
        return self.problems[index]

    def score(self, problem: Problem, completion: str) -> Score:
        """Compare the last grids of the completion, as many as there are test grids, with the outputs."""
        expected: list[Grid] = json.loads(problem.answer)
        found = grids_in(final_text(completion))[-len(expected) :]
        correct = found == expected
        answer = "\n\n".join(map(_text, found)) or None
        return Score(reward=float(correct), correct=correct, answer=answer)

    def demonstration(self, index: int) -> str:
        """The outputs alone, in code blocks."""
        return "\n\n".join(f"```\n{_text(grid)}\n```" for grid in json.loads(self.problems[index].answer))


def grids_in(text: str) -> list[Grid]:
    r"""All grids of a text, those in code blocks alone where there are any.

    Example:
        >>> grids_in("First 0 1\nThen\n1 2\n3 4\nor [[5, 6]].")
        [[[1, 2], [3, 4]], [[5, 6]]]

    """
    fenced = [grid for block in _FENCE.findall(text) for grid in _grids(block)]
    return fenced or list(_grids(text))


def _grids(text: str) -> Iterator[Grid]:
    """Lists of lists as rows, then every run of rows; a row without separators has one digit a cell."""
    text = _JSON.sub(
        lambda match: "\n\n" + re.sub(r"[\[\s]+", "", match[0]).replace("],", "\n").replace("]", "") + "\n\n", text
    )
    rows: Grid = []
    for line in [*text.splitlines(), ""]:
        if _ROW.fullmatch(line):
            cells = re.findall(r"\d+", line)
            rows.append([int(cell) for cell in (cells if len(cells) > 1 else cells[0])])
        elif rows:
            yield rows
            rows = []


def _read(file: Path) -> Record:
    check_file(file)
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{file} is not valid JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise Refusal(f"{file} must hold a JSON object with 'train' and 'test', but holds {shown(fields)}.")
    return Record(str(file), {"id": file.stem, **fields})


def _problems(record: Record, index: int, whole_task: bool) -> Iterator[Problem]:
    pairs = {name: _pairs(record, name) for name in ("train", "test")}
    name = str(record.fields.get("id") or record.fields.get("name") or index)
    shown_pairs = "\n\n".join(f"Input:\n{_text(given)}\nOutput:\n{_text(made)}" for given, made in pairs["train"])
    groups = [pairs["test"]] if whole_task else [[pair] for pair in pairs["test"]]
    for at, group in enumerate(groups):
        many = len(group) > 1
        inputs = "\n\n".join(f"Input:\n{_text(given)}" for given, _ in group)
        introduction = _INTRODUCTION.format(what="each of the last inputs" if many else "the last input")
        what, blocks = ("the outputs in order", "a code block each") if many else ("the output", "a code block")
        yield Problem(
            id=name if whole_task else f"{name}_{at}",
            prompt=f"{introduction}{shown_pairs}\n\n{inputs}\n{_REQUEST.format(what=what, blocks=blocks)}",
            answer=json.dumps([made for _, made in group]),
        )


def _pairs(record: Record, name: str) -> list[tuple[Grid, Grid]]:
    value: Any = record.fields.get(name)
    try:
        value = json.loads(value) if isinstance(value, str) else value
        pairs = [(_grid(pair["input"]), _grid(pair["output"])) for pair in value]
    except (TypeError, KeyError, ValueError, OverflowError, RecursionError) as error:
        raise Refusal(
            f"{record.where} needs pairs of grids, 'input' and 'output', in column {name!r}, but has {shown(value)} "
            f"({type(error).__name__}: {error})."
        ) from None
    if not pairs:
        raise Refusal(f"{record.where} has no pair in column {name!r}.")
    return pairs


def _grid(value: Any) -> Grid:
    grid = [[int(cell) for cell in row] for row in value]
    if not grid or len({len(row) for row in grid}) != 1 or not all(0 <= cell <= 9 for row in grid for cell in row):
        raise ValueError("a grid has rows of one length with digits from 0 to 9")
    return grid


def _text(grid: Grid) -> str:
    return "\n".join(" ".join(map(str, row)) for row in grid)
