"""Load result files, with the file and line of whatever is wrong in them."""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.inputs import Stream, bounded_lines, check_file, expanded
from lit_passk.results.record import MAGIC, CompletionRecord, Header, decode_header, decode_record

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """A result file in memory."""

    path: Path
    settings: dict[str, Any]
    """What the run was started with: policy, sampling, seed, ..."""
    versions: dict[str, str]
    """Versions of the packages it ran with."""
    records: list[CompletionRecord]
    """In the order of the file."""

    def groups(self) -> dict[str, dict[str, list[CompletionRecord]]]:
        """Benchmark to problem to its completions, ordered by sample; problems in order of first appearance."""
        grouped: dict[str, dict[str, list[CompletionRecord]]] = {}
        for record in self.records:
            grouped.setdefault(record.benchmark, {}).setdefault(record.problem_id, []).append(record)
        for problems in grouped.values():
            for group in problems.values():
                group.sort(key=lambda record: record.sample)
        return grouped


def load_results(path: str | PathLike[str]) -> Results:
    """Load a result file, compressed (``.jsonl.gz``) or not.

    A torn last line (the run is still writing, or was killed) is left out with a logged warning.

    Raises:
        ValueError: For a file that is not a result file, a broken line, or a sample that occurs twice; the message
            starts with ``file:line``.
    """
    path = expanded(path)
    with open_results(path) as stream:
        header = read_header(stream, path)
        if header is None:
            raise Refusal(f"{path}:1: not a result file, it holds no complete header line.")
        records = []
        seen: dict[tuple[str, str, int], int] = {}
        for number, record in read_records(stream, path, first_line=2):
            key = record.benchmark, record.problem_id, record.sample
            if key in seen:
                raise Refusal(f"{path}:{number}: {sample_of(record)} is already on line {seen[key]}.")
            seen[key] = number
            records.append(record)
    return Results(path=path, settings=header.settings, versions=header.versions, records=records)


def was_rescored(path: Path) -> bool:
    """Whether a file holds completions that ``rescore`` scored again; False for what is no result file too."""
    try:
        with open_results(path) as stream:
            header = read_header(stream, path)
    except (Refusal, OSError):
        return False
    return header is not None and header.rescored is not None


def open_results(path: Path) -> Stream:
    """Open a file for reading, unpacked if it is compressed by gzip, whatever its name."""
    check_file(path)
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")


def sample_of(record: CompletionRecord) -> str:
    """Which sample a record is, for messages."""
    return f"sample {record.sample} of problem {record.problem_id!r} ({record.benchmark})"


def stem_of(path: Path) -> str:
    """The name of a result file without ``.jsonl`` or ``.jsonl.gz``.

    Example:
        >>> stem_of(Path("runs/a.jsonl.gz")), stem_of(Path("runs/step=50.jsonl")), stem_of(Path("runs/rollouts"))
        ('a', 'step=50', 'rollouts')

    """
    return Path(path.name.removesuffix(".gz")).stem


def read_header(stream: Stream, path: Path) -> Header | None:
    """The header, or None when the file is empty or holds a torn header only."""
    line = next(_lines(stream, path, 1), b"")
    if line.endswith(b"\n"):
        return decode_header(line, f"{path}:1")
    if line[: len(MAGIC)] != MAGIC[: len(line)]:
        raise Refusal(f"{path}:1: not a result file; nothing was changed in it.")
    return None


def read_records(stream: Stream, path: Path, first_line: int) -> Iterator[tuple[int, CompletionRecord]]:
    """The complete lines from the stream's position on, numbered; a torn last line is logged and left out."""
    for number, line in enumerate(_lines(stream, path, first_line), start=first_line):
        if not line.endswith(b"\n"):
            log.warning("%s:%d: torn last line left out; the run that wrote it was killed or is writing.", path, number)
            return
        yield number, decode_record(line, f"{path}:{number}")


def _lines(stream: Stream, path: Path, first_line: int) -> Iterator[bytes]:
    """The lines of a stream; where a compressed one is torn, what could be unpacked until there."""
    try:
        yield from bounded_lines(stream, path, first_line)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        log.warning("%s: torn, what follows is left out (%s).", path, error)
