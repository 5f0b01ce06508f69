"""A folder for the weights that servers read from the disk: removed at the end, or by the next run after a kill."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "lit-passk-weights-"
_IN_USE = "in-use"


class WeightsFolder:
    """A new folder that is this process's while it lives; those of processes that ended without a word are removed.

    Args:
        parent: Where to make it; None is the folder for temporary files.
    """

    def __init__(self, parent: str | None) -> None:
        parent = parent or tempfile.gettempdir()
        for folder in Path(parent).glob(f"{PREFIX}*"):
            _remove_if_left(folder)
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            self._lock = os.open(self.path / _IN_USE, os.O_RDWR | os.O_CREAT)
            with suppress(OSError):  # a network disk without locks, where nothing is taken for left over
                fcntl.flock(self._lock, fcntl.LOCK_EX)  # ends with the process, however that ends
            if os.fstat(self._lock).st_nlink:
                break
            os.close(self._lock)  # another process took it for left over before it was locked, and removed it

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_if_left(folder: Path) -> None:
    try:
        lock = os.open(folder / _IN_USE, os.O_RDWR)
    except OSError:  # just being made, or somebody else's
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # in use, or on a file system without locks
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
