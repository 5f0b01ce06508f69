"""Whether all processes below one are asleep, by the kernel's process table."""

from __future__ import annotations

import time

import psutil

_AGAIN = 0.05
"""Seconds between two looks, so that a process that has just been woken is not missed."""
_BUSY = (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP)


def asleep(pid: int) -> bool:
    """Whether neither this process nor its descendants run, or would run if the machine were less busy.

    A program that waits for a processor on a crowded machine is not asleep: the clock says nothing about it.

    Example:
        >>> import os
        >>> asleep(os.getpid())
        False

    """
    if _running(pid):
        return False
    time.sleep(_AGAIN)
    return not _running(pid)


def _running(pid: int) -> bool:
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return False
    return any(_thread_runs(thread) for process in family for thread in _threads(process))


def _threads(process: psutil.Process) -> list[int]:
    try:
        return [thread.id for thread in process.threads()]
    except psutil.NoSuchProcess:  # it has just ended
        return []


def _thread_runs(thread: int) -> bool:
    try:
        return psutil.Process(thread).status() in _BUSY  # of a process it would be its first thread's alone
    except psutil.NoSuchProcess:
        return False
