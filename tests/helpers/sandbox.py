"""What the tests of the code sandbox share."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

import psutil
import pytest

from lit_passk.tasks.code.judge import check_sandbox

DATA = Path(__file__).parents[2] / "../shared/data"
_PR_SET_CHILD_SUBREAPER = 36


def require_sandbox() -> None:
    """Skip the calling test file where there is no sandbox, but never in CI."""
    try:
        check_sandbox()
    except RuntimeError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error), allow_module_level=True)


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own, so that none can get out of sight."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(root: int | None = None) -> dict[int, str]:
    """Command lines of all processes that descend from this one, ended but unreaped ones included."""
    found = {}
    for process in psutil.Process(root).children(recursive=True):
        try:
            found[process.pid] = " ".join(process.cmdline())
        except psutil.ZombieProcess:
            found[process.pid] = ""
        except psutil.NoSuchProcess:
            continue
    return found


def left_over(before: dict[int, str], seconds: float = 5.0) -> dict[int, str]:
    """Processes that are still there after a moment and were not there before."""
    deadline = time.monotonic() + seconds
    while (now := {pid: c for pid, c in descendants().items() if pid not in before}) and time.monotonic() < deadline:
        time.sleep(0.05)
    return now
