"""Append scored completions to a result file, so that a killed evaluation continues where it stopped."""

from __future__ import annotations

import fcntl
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from os import PathLike
from types import TracebackType
from typing import Any

from lit_passk.errors import CannotRun, Refusal
from lit_passk.inputs import check_file, expanded
from lit_passk.results.atomic import writing
from lit_passk.results.reader import read_header, read_records, sample_of
from lit_passk.results.record import (
    FORMAT,
    VERSION,
    CompletionRecord,
    Header,
    decode_header,
    encode_line,
    encode_record,
    installed_versions,
    settings_differences,
)

log = logging.getLogger(__name__)


class ResultWriter:
    """The append-only result file of an evaluation.

    Opening a file that exists continues it: what a kill tore off is cut away and the samples it holds are known.
    Several processes may write one file (the ranks of a run, or two runs by mistake): each takes a lock to write and
    first reads what the others have appended, so that no sample is ever in it twice.

    Args:
        path: The file; its folder is created.
        settings: What the run samples with, as ``run_settings`` builds it. A file that was started with other settings
            is refused, as its samples would not be of one distribution.

    Raises:
        ValueError: If the file is of other settings, or not a result file.

    Example:
        >>> import tempfile
        >>> from lit_passk.types import Sampling
        >>> from lit_passk.results import run_settings
        >>> settings = run_settings("org/model", Sampling(temperature=0.6), seed=0)
        >>> record = CompletionRecord(benchmark="demo", problem_id="p1", sample=1, prompt="1 + 1 =", reference="2",
        ...     completion="2", answer="2", reward=1.0, correct=True, truncated=False, error=None, num_tokens=1,
        ...     mean_logprob=-0.1, seed=0)
        >>> with ResultWriter(tempfile.mkdtemp() + "/demo.jsonl", settings) as writer:
        ...     writer.missing("demo", "p1", n=3), writer.write([record, record]), writer.missing("demo", "p1", n=3)
        ([0, 1, 2], 1, [0, 2])

    """

    def __init__(self, path: str | PathLike[str], settings: Mapping[str, Any]) -> None:
        self.path = expanded(path)
        if self.path.suffix == ".gz":
            raise Refusal(
                f"{self.path} would be appended to with every group, which a compressed file does not allow. Name it "
                f"{self.path.stem}; `gzip` may compress it afterwards, everything that reads it reads both."
            )
        self._samples: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._questions: dict[tuple[str, str], int] = {}
        self._offset = 0
        self._line = 1
        self.locks = True
        """Whether other processes wait while this one writes; False on a disk without locks."""
        # Encoded and, to be compared, decoded like those of the file: a tuple equals the list that it became there.
        self._header = encode_line(
            {"format": FORMAT, "version": VERSION, "settings": settings, "versions": installed_versions()}
        )
        self._stream = os.fdopen(self._open(), "r+b", buffering=0)
        try:
            with self._locked():
                pass
        except BaseException:
            self.close()
            raise

    def missing(self, benchmark: str, problem_id: str, n: int) -> list[int]:
        """Which of a problem's samples 0 .. n - 1 the file does not hold, ascending."""
        held = self._samples.get((benchmark, problem_id), set())
        return [sample for sample in range(n) if sample not in held]

    def write(self, records: Iterable[CompletionRecord]) -> int:
        """Append a group of completions in one go; samples the file holds already are left out.

        Returns:
            How many were written.

        Raises:
            ValueError: If a problem's prompt or reference is not the one its other samples were scored by, or a value
                is not finite. Nothing of the group is written then.
        """
        with self._locked():
            new: dict[tuple[str, str, int], CompletionRecord] = {}
            for record in records:
                self.check_question(record.benchmark, record.problem_id, record.prompt, record.reference)
                if record.sample not in self._samples[record.benchmark, record.problem_id]:
                    new.setdefault((record.benchmark, record.problem_id, record.sample), record)
            self._append(b"".join(map(encode_record, new.values())))
            for record in new.values():
                self._remember(record)
            self._line += len(new)
        return len(new)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._stream.close()

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the file alone, with everything in it known and its end a whole line."""
        self._lock(self._stream.fileno())
        try:
            if os.fstat(self._stream.fileno()).st_nlink == 0:
                self._bring_back()
            self._catch_up()
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(self._stream, fcntl.LOCK_UN)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:  # a network disk without locks
            if self.locks:
                log.warning("%s cannot be locked (%s): let no other run write it.", self.path, error.strerror)
            self.locks = False

    def _open(self) -> int:
        with writing(self.path, "Nothing was sampled for it: name another file."):
            check_file(self.path)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)

    def _bring_back(self) -> None:
        """Write the file again that somebody removed, or its folder: as long as it is open its content is there."""
        held = self._stream.fileno()
        again = self._open()
        self._lock(again)
        content = os.pread(held, os.fstat(held).st_size, 0)
        if os.fstat(again).st_size == 0:  # else another process of this run was faster
            log.warning("%s was removed while it was being written; it is there again, with all it held.", self.path)
            bring_back = writing(self.path, "It was removed, and could not be brought back.")
            with bring_back, open(again, "wb", closefd=False) as file:
                file.write(content)
        elif os.pread(again, len(content), 0) != content:
            os.close(again)
            raise CannotRun(f"{self.path} was replaced by another file while it was being written.")
        os.dup2(again, held)  # with its lock
        os.close(again)

    def _catch_up(self) -> None:
        """Read what was appended since the last look. Nobody writes under the lock, so half a line is a torn one."""
        end = os.fstat(self._stream.fileno()).st_size
        if end == self._offset and end > 0:
            return
        if end < self._offset:
            raise CannotRun(f"{self.path} became shorter while it was being written. Was it replaced or edited?")
        with open(os.dup(self._stream.fileno()), "rb") as stream:
            stream.seek(self._offset)
            if self._offset == 0:
                header = read_header(stream, self.path)
                if header is None:
                    self._truncate(0)
                    self._append(self._header)
                    self._line = 2
                    return
                self._check_settings(header)
                self._line = 2
            before = self._offset
            for number, record in read_records(stream, self.path, first_line=self._line):
                if before == 0 and record.sample in self._samples[record.benchmark, record.problem_id]:
                    raise Refusal(f"{self.path}:{number}: {sample_of(record)} is already in the file.")
                self._remember(record)
                self._line = number + 1
        self._offset = self._whole_lines(end)
        if self._offset < end:
            self._truncate(self._offset)

    def _whole_lines(self, end: int) -> int:
        """Where the last complete line ends."""
        fd, step, stop = self._stream.fileno(), 1 << 16, end
        while stop > 0:
            start = max(stop - step, 0)
            newline = os.pread(fd, stop - start, start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            stop = start
        return 0

    def _append(self, data: bytes) -> None:
        """Write at the end, wholly or not at all."""
        fd, written = self._stream.fileno(), 0
        try:
            with writing(self.path, "What it holds is whole: make room and run the same command again."):
                while written < len(data):
                    written += os.pwrite(fd, data[written:], self._offset + written)
        except BaseException:
            self._truncate(self._offset)
            raise
        self._offset += len(data)

    def _truncate(self, size: int) -> None:
        os.ftruncate(self._stream.fileno(), size)

    def _remember(self, record: CompletionRecord) -> None:
        self._samples[record.benchmark, record.problem_id].add(record.sample)
        self._questions[record.benchmark, record.problem_id] = hash((record.prompt, record.reference))

    def check_question(self, benchmark: str, problem_id: str, prompt: str, reference: str) -> None:
        """Refuse a problem whose samples in the file are of another prompt or were judged by another reference.

        Raises:
            Refusal: With the problem.
        """
        question = hash((prompt, reference))
        if self._questions.get((benchmark, problem_id), question) != question:
            raise Refusal(
                f"{self.path} holds samples of problem {problem_id!r} ({benchmark}) with another prompt or reference "
                "answer. Evaluate a changed data set into a new file, or, where answers alone have changed, judge what "
                "was sampled by them: `lit-passk rescore`."
            )

    def _check_settings(self, header: Header) -> None:
        own = decode_header(self._header, str(self.path))
        if different := settings_differences(header.settings, own.settings):
            raise Refusal(
                f"{self.path} was started with other settings, so its samples cannot be continued by this run "
                f"({'; '.join(different)}). Write to another file, or use the settings of the file."
            )
        if changed := settings_differences(header.versions, own.versions):
            log.warning("%s is continued with other package versions: %s.", self.path, "; ".join(changed))
