"""Waiting for processes of others to end."""

import time
from pathlib import Path


def running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def await_end(*processes: int) -> bool:
    """Whether they end within half a minute."""
    deadline = time.monotonic() + 30
    while any(running(pid) for pid in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(running(pid) for pid in processes)
