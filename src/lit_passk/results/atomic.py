"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def write_atomically(target: Path, parts: Iterable[bytes]) -> int:
    """Write a file under a hidden name beside it, flush it to the disk and give it its name.

    A file of that name is replaced. What could not be finished is removed, whatever the error.

    Args:
        target: The file; its folder exists.
        parts: Its content.

    Returns:
        Its size in bytes.
    """
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as stream:
        try:
            stream.writelines(parts)
            stream.flush()
            os.fsync(stream.fileno())
            os.chmod(stream.name, 0o644)
            size = os.fstat(stream.fileno()).st_size
            os.replace(stream.name, target)
        except BaseException:
            os.unlink(stream.name)
            raise
    return size
