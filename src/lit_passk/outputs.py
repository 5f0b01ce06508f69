"""What a command prints: a disk that is full or a terminal that is gone ends no training."""

from __future__ import annotations

import io
import logging
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

log = logging.getLogger(__name__)


def open_outputs() -> None:
    """Make standard streams that can be printed to.

    A stream that was closed (``>&-``) would leave its number to the next file that is opened, which whatever prints by
    number would then write into. A character that the stream's encoding lacks is printed as its number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - as long as the process
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def outputs_may_fail() -> Iterator[None]:
    """Drop what stdout and stderr do not take, with one warning: a disk without room, a terminal that is gone.

    A pipe that nobody reads any more stays an error: whoever closed it has seen enough.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_lenient(stream, number) for stream, number in zip(before, (1, 2), strict=True))
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # a pipe that nobody reads; closed
                stream.flush()
        sys.stdout, sys.stderr = before


def _lenient(stream: Any, number: int) -> Any:
    """The stream again, over a ``_Lenient`` file; one that a test or a notebook put there stays."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    is_buffered = isinstance(stream.buffer, io.BufferedWriter)  # not under PYTHONUNBUFFERED
    raw: Any = stream.buffer.raw if is_buffered else stream.buffer
    if not isinstance(raw, io.FileIO) or raw.fileno() != number:
        return stream
    lenient = _Lenient(number, "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(lenient) if is_buffered else lenient,
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Lenient(io.FileIO):
    """A file that takes everything, whether or not it can be written."""

    told = False

    def write(self, data: Any) -> int:
        """Write, or drop; wait where a pipe is full that was set not to wait by whoever shares it."""
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            if not self.told:
                self.told = True
                name = "stdout" if self.fileno() == 1 else "stderr"
                log.warning("What is printed to %s is lost from here on: %s.", name, error.strerror)
            return len(data)
        return written
