"""Files that appear whole or not at all, and what is said where a disk takes no more."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from safetensors import SafetensorError

from lit_passk.errors import CannotRun


@contextmanager
def writing(path: Path, remedy: str) -> Iterator[None]:
    """Name what could not be written when a disk is full, a quota used up, a folder read-only.

    Args:
        path: What is written inside.
        remedy: What was kept and what to do, a sentence.

    Raises:
        CannotRun: Instead of an OSError.
    """
    try:
        yield
    except BrokenPipeError:  # the reader of an output, no file
        raise
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CannotRun(f"{str(path)!r} could not be written: {reason}. {remedy}") from error


@contextmanager
def atomic_text(target: Path, errors: str = "strict") -> Iterator[TextIO]:
    """A text file to write to, which takes its name, and the place of a file of that name, once it is whole.

    Args:
        target: The file; its folder exists.
        errors: What becomes of characters that UTF-8 has not, as in ``open``.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", errors=errors) as stream:
            yield stream
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(target: Path, parts: Iterable[bytes]) -> int:
    """Write a file under a hidden name beside it, flush it to the disk and give it its name.

    A file of that name is replaced. What could not be finished is removed, whatever the error.

    Args:
        target: The file; its folder exists.
        parts: Its content.

    Returns:
        Its size in bytes.
    """
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    with partial.open("xb") as stream:  # with the permissions that the user's umask leaves
        try:
            stream.writelines(parts)
            stream.flush()
            os.fsync(stream.fileno())
            size = os.fstat(stream.fileno()).st_size
            os.replace(partial, target)
        except BaseException:
            os.unlink(partial)
            raise
    return size
