"""Whether processes do anything, told from the kernel's process table."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

_AGAIN = 0.05
"""Seconds between two looks, so that a process that has just been woken is not missed."""


def asleep(pids: Iterable[int]) -> bool:
    """Whether neither these processes nor their descendants run, or would run if the machine were less busy.

    A program that waits for a processor on a crowded machine is not asleep: the clock says nothing about it.

    Example:
        >>> import os
        >>> asleep([os.getpid()])
        False

    """
    roots = set(pids)
    if _running(roots):
        return False
    time.sleep(_AGAIN)
    return not _running(roots)


def _running(roots: set[int]) -> bool:
    parents = {
        int(entry.name): int(fields[1])
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (fields := _stat(entry))
    }
    family, children = set(roots), set(roots)
    while children:
        children = {pid for pid, parent in parents.items() if parent in children}
        family |= children
    threads = [thread for pid in family for thread in Path(f"/proc/{pid}/task").glob("*")]
    return any(fields[0] in "RD" for thread in threads if (fields := _stat(thread)))


def _stat(process: Path) -> list[str]:
    """State, parent and further fields of a process or thread; none if it has ended."""
    try:
        return (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
