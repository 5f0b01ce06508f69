"""Reads the rows of a data set: of JSON or Parquet files, folders of them, or a data set of the Hugging Face hub."""

from __future__ import annotations

import gzip
import json
import re
import warnings
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lit_passk.errors import CannotRun, Refusal
from lit_passk.hub import not_given, use_hub
from lit_passk.inputs import bounded_lines, check_file, expanded
from lit_passk.tasks.columns import shown
from lit_passk.tasks.records import Record

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def load_records(
    path: str | Sequence[str],
    split: str | None = None,
    subset: str | None = None,
    expected_rows: int | Sequence[int] | None = None,
) -> list[Record]:
    """Read a whole data set.

    Args:
        path: A ``.jsonl``, ``.jsonl.gz`` or ``.parquet`` file, a folder of such files, a ``.json`` file, or
            ``owner/name`` on the Hugging Face hub; of several, one after another.
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
    local = expanded(path)
    if local.is_dir():
        return (record for file in _files(local, split) for record in _read_file(file))
    if local.exists():
        return _read_file(local)
    if _HUB_ID.fullmatch(path) and not path.endswith((*SUFFIXES, ".json")):
        return _read_hub(path, split, subset)
    raise Refusal(f"No data set at {path!r}: no such file or folder, and hub ids have the form owner/name.")


def _files(folder: Path, split: str | None) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if file.name.endswith(SUFFIXES))
    chosen = [file for file in files if file.name.startswith(split or "")]
    if not chosen:
        found = ", ".join(file.name for file in files) or "none"
        wanted = f" whose name begins with split={split!r}" if split else ""
        raise Refusal(f"The folder {str(folder)!r} has no {' or '.join(SUFFIXES)} file{wanted}. Found: {found}.")
    return chosen


def _read_file(file: Path) -> Iterator[Record]:
    check_file(file)
    if file.suffix == ".parquet":
        return _read_parquet(file)
    if file.suffix == ".json" and (rows := _array(file)) is not None:
        return (_row(f"{file} row {number}", _turns(fields)) for number, fields in enumerate(rows, start=1))
    if file.name.endswith((*SUFFIXES, ".json")):
        return _read_jsonl(file)
    raise Refusal(f"A data set must be a {', '.join(SUFFIXES)} or .json file, but got {str(file)!r}.")


def _array(file: Path) -> list[Any] | None:
    """The rows of a file that is one JSON array; None for one that holds a row a line."""
    with file.open("rb") as content:
        if content.read(4096).removeprefix(BOM_UTF8).lstrip()[:1] != b"[":
            return None
    try:
        rows: list[Any] = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{file} is not valid JSON: {error}.") from None
    return rows


def _turns(fields: Any) -> Any:
    """Turns without names, as Open-Reasoner-Zero has them, in columns "0", "1", ..."""
    turns = isinstance(fields, list) and fields and all(isinstance(turn, dict) for turn in fields)
    return {str(number): turn for number, turn in enumerate(fields)} if turns else fields


def _row(where: str, fields: Any) -> Record:
    if not isinstance(fields, dict):
        raise Refusal(f"{where} must hold a JSON object, but got {type(fields).__name__}: {shown(fields)}.")
    return Record(where, fields)


def _read_jsonl(file: Path) -> Iterator[Record]:
    for number, line in enumerate(_lines(file), start=1):
        where = f"{file} line {number}"
        if not line.strip():
            raise Refusal(f"{where} is empty. Every line must hold one JSON object.")
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:  # malformed JSON, or bytes that are not UTF-8, or depth
            raise Refusal(f"{where} is not valid JSON: {error}. It begins {shown(line)}.") from None
        yield _row(where, fields)


def _lines(file: Path) -> Iterator[bytes]:
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as lines:
            yield from bounded_lines(lines, file)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Refusal(f"{file} is torn or no gzip file: {error}.") from None


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
