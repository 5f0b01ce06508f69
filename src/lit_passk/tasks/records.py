"""Rows of a data set: a local JSONL or Parquet file, a folder of them, or a data set of the Hugging Face hub."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from lit_passk.errors import CannotRun, Refusal
from lit_passk.hub import not_given, use_hub
from lit_passk.tasks.columns import NoColumnError, is_missing, look_up, shown, surrogate
from lit_passk.types import Problem

SUFFIXES = (".jsonl", ".parquet")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class NoSuchColumn(Refusal):
    """A row has none of the columns that something is looked for in."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row and where it was read, for error messages."""

    where: str
    """For example ``gsm8k.jsonl line 3``."""
    fields: Mapping[str, Any]

    def find(self, columns: str | Sequence[str], purpose: str) -> tuple[str, Any]:
        """The first column that holds something, or else the first that exists, and its value.

        Args:
            columns: Name of the column, dotted into an object, a list or the JSON text of one
                (``reward_model.ground_truth``), or several names of which the first that holds a value is taken.
            purpose: What it is needed for, for the error message.

        Raises:
            NoSuchColumn: If none of them exists; names file, line, column and what is at the deepest place that exists.
        """
        names = [columns] if isinstance(columns, str) else list(columns)
        found: dict[str, Any] = {}
        lost: list[NoColumnError] = []
        for name in names:
            try:
                found[name] = look_up(self.fields, name)
            except NoColumnError as error:
                lost.append(error)
            else:
                if not is_missing(found[name]):
                    return name, found[name]
        if found:
            return next(iter(found.items()))
        wanted = " or ".join(repr(name) for name in names)
        deepest = [str(error) for error in lost if error.reached]
        there = ", ".join(repr(name) for name in self.fields) or "none: the row is empty"
        what = f"{'; '.join(deepest)}" if deepest else f"Its columns are {there}"
        raise NoSuchColumn(f"{self.where} has no column {wanted} for {purpose}. {what}.")

    def text(self, columns: str | Sequence[str], purpose: str) -> str:
        """The text of a column that may not be empty.

        Args:
            columns: As in ``find``.
            purpose: What the text is needed for, for the error message.

        Raises:
            Refusal: If no such column exists, or it holds nothing, neither text nor number nor truth value, or a
                text with half a surrogate pair; names file, line, column and what was found.

        Example:
            >>> Record("a.jsonl line 1", {"question": "1 + 1?", "answer": 2.0}).text("answer", "the answer")
            '2'

        """
        name, value = self.find(columns, purpose)
        text = plain_text(value)
        if text is None or not text.strip():
            raise Refusal(f"{self.where} needs {purpose} in column {name!r}, but got {shown(value)}.")
        if (half := surrogate(text)) is not None:
            raise Refusal(
                f"{self.where} holds half of a surrogate pair ({half}) in column {name!r}, so it is no text that could "
                f"be tokenized: {shown(text)}. Mend or remove the row."
            )
        return text

    def lacks(self, columns: str | Sequence[str], purpose: str) -> bool:
        """Whether all of these columns that exist hold nothing: null, NaN or an empty text or list.

        Raises:
            Refusal: If none of them exists.
        """
        return is_missing(self.find(columns, purpose)[1])


def answered(
    records: Sequence[Record], columns: str | Sequence[str], path: str | Sequence[str]
) -> list[tuple[int, Record]]:
    """The rows that have a reference answer, each with its position in the data set: the rule of every reading task.

    A row without one (null, NaN, empty) cannot be scored: it is left out, and one warning counts such rows. A row
    without the column is refused, since a name that is wrong would lose them all.

    Raises:
        Refusal: If no row has one.
    """
    kept = [(at, record) for at, record in enumerate(records) if not record.lacks(columns, "the reference answer")]
    if not kept:
        raise Refusal(f"No row of {path!r} has a reference answer in column {columns!r}.")
    if missing := len(records) - len(kept):
        positions = {at for at, _ in kept}
        first = next(record for at, record in enumerate(records) if at not in positions)
        warnings.warn(
            f"{missing} of {len(records)} rows of {path!r} have no reference answer and are left out, "
            f"the first at {first.where}.",
            stacklevel=3,
        )
    return kept


def check_problem(problem: Any, where: str) -> None:
    """Refuse what a task gives out as a problem and no tokenizer could read.

    Args:
        problem: What the task returned for an index.
        where: Begins the message, such as ``MyTask 'train', problem 3,``.

    Raises:
        Refusal: If it is no Problem, or its prompt is neither text nor chat, or holds half a surrogate pair.
    """
    if not isinstance(problem, Problem):
        raise Refusal(f"{where} must be a Problem(id=..., prompt=..., answer=...), but is {shown(problem)}.")
    prompt = problem.prompt
    turns = [{"content": prompt}] if isinstance(prompt, str) else prompt
    if not isinstance(turns, list | tuple) or not all(isinstance(turn, Mapping) for turn in turns):
        raise Refusal(f"{where} needs a text or a list of turns as its prompt, but has {shown(prompt)}.")
    for text in (str(turn.get("content")) for turn in turns):
        if (half := surrogate(text)) is not None:
            raise Refusal(f"{where} has half of a surrogate pair ({half}) in its prompt: {shown(text)}.")


def load_records(
    path: str | Sequence[str],
    split: str | None = None,
    subset: str | None = None,
    expected_rows: int | Sequence[int] | None = None,
) -> list[Record]:
    """Read a whole data set.

    Args:
        path: A ``.jsonl`` or ``.parquet`` file, a folder of such files, or ``owner/name`` on the Hugging Face hub; of
            several, one after another.
        split: Of a hub data set; of a folder, the files whose names begin with it. A file has no splits.
        subset: Configuration of a hub data set, such as ``main``.
        expected_rows: Published number of rows, or several of them; another count warns.

    Raises:
        ValueError: If there is no such file, folder or split, or a row is empty or malformed; names file and line.
        RuntimeError: If the package that reads the format is not installed.
    """
    paths = [path] if isinstance(path, str) else list(path)
    records = [record for one in paths for record in _read(one, split, subset)]
    if not records:
        raise Refusal(f"The data set {path!r} has no rows.")
    check_count(len(records), expected_rows, repr(path))
    return records


def check_count(count: int, expected: int | Sequence[int] | None, name: str) -> None:
    """Warn if ``name`` has another number of rows than the published one, or than any of several; None expects none."""
    counts = [expected] if isinstance(expected, int) else list(expected or [])
    if counts and count not in counts:
        wanted = " or ".join(map(str, counts))
        warnings.warn(
            f"{name} has {count} rows, but the published data set has {wanted}: scores are not comparable.",
            stacklevel=3,
        )


def _read(path: str, split: str | None, subset: str | None) -> Iterator[Record]:
    local = Path(path).expanduser()
    if local.is_dir():
        return (record for file in _files(local, split) for record in _read_file(file))
    if local.exists():
        return _read_file(local)
    if _HUB_ID.fullmatch(path) and local.suffix not in SUFFIXES:
        return _read_hub(path, split, subset)
    raise Refusal(f"No data set at {path!r}: no such file or folder, and hub ids have the form owner/name.")


def _files(folder: Path, split: str | None) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if file.suffix in SUFFIXES)
    chosen = [file for file in files if file.name.startswith(split or "")]
    if not chosen:
        found = ", ".join(file.name for file in files) or "none"
        wanted = f" whose name begins with split={split!r}" if split else ""
        raise Refusal(f"The folder {str(folder)!r} has no {' or '.join(SUFFIXES)} file{wanted}. Found: {found}.")
    return chosen


def _read_file(file: Path) -> Iterator[Record]:
    if file.suffix == ".jsonl":
        return _read_jsonl(file)
    if file.suffix == ".parquet":
        return _read_parquet(file)
    raise Refusal(f"A data set must be a {' or '.join(SUFFIXES)} file, but got {str(file)!r}.")


def _read_jsonl(file: Path) -> Iterator[Record]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{file} line {number}"
            if not line.strip():
                raise Refusal(f"{where} is empty. Every line must hold one JSON object.")
            try:
                fields = json.loads(line)
            except (ValueError, RecursionError) as error:  # malformed JSON, or bytes that are not UTF-8, or depth
                raise Refusal(f"{where} is not valid JSON: {error}. It begins {shown(line)}.") from None
            if not isinstance(fields, dict):
                raise Refusal(f"{where} must hold a JSON object, but got {type(fields).__name__}: {shown(fields)}.")
            yield Record(where, fields)


def _read_parquet(file: Path) -> Iterator[Record]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise CannotRun(f"Reading {str(file)!r} needs pyarrow, which is not installed: pip install pyarrow.") from None
    try:
        rows = pyarrow.parquet.read_table(file).to_pylist()
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{str(file)!r} is not a valid Parquet file: {error}.") from None
    return (Record(f"{file} row {number}", fields) for number, fields in enumerate(rows, start=1))


def _read_hub(path: str, split: str | None, subset: str | None) -> Iterator[Record]:
    try:
        import datasets
    except ImportError:
        raise CannotRun(
            f"{path!r} is no local file or folder, and reading it from the hub needs the datasets package, which is "
            "not installed: pip install datasets."
        ) from None
    if split is None:
        raise Refusal(f"The hub data set {path!r} needs a split: set `split`, for example to 'test'.")
    use_hub()
    try:
        rows = datasets.load_dataset(path, subset, split=split)
    except (FileNotFoundError, ConnectionError) as error:
        raise not_given(path, "dataset", error) from error
    except Exception as error:  # the hub raises dozens of types: no such split, no such subset, ...
        first_line = (str(error).splitlines() or [""])[0]
        raise Refusal(
            f"The hub data set {path!r} (subset={subset!r}, split={split!r}) could not be loaded: "
            f"{type(error).__name__}: {first_line}"
        ) from error
    return (Record(f"{path}[{split}] row {number}", fields) for number, fields in enumerate(rows, start=1))


def plain_text(value: Any) -> str | None:
    """Text, truth values, numbers (whole ones without a point) and lists of them as text; None for anything else.

    Example:
        >>> plain_text([1.0, "x", True]), plain_text(float("nan"))
        ('1, x, True', None)

    """
    if isinstance(value, str):
        return value
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value == int(value) else str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        parts = [plain_text(part) for part in value]
        return None if None in parts else ", ".join(part for part in parts if part)
    return None
