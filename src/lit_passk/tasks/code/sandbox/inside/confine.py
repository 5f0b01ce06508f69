"""What every process inside does before it runs a line of a program: give up resources, make a namespace."""

from __future__ import annotations

import builtins
import io
import os
import sys
import time

TYPE_CHECKING = False  # typing's own costs 7 ms in an interpreter that needs nothing else of it
if TYPE_CHECKING:
    from typing import Any

MAIN_STACK = 64 << 20
MOST_FILES = 10_000


def limit(limits: dict[str, int]) -> None:
    """Give up resources for good: seconds of CPU, bytes of memory and of a file, number of processes and threads."""
    import resource

    def lower(which: int, value: int) -> None:
        ceiling = resource.getrlimit(which)[1]
        value = value if ceiling == resource.RLIM_INFINITY else min(value, ceiling)
        resource.setrlimit(which, (value, value))

    lower(resource.RLIMIT_CPU, limits["total_cpu"] + 1)
    limit_cpu(limits["cpu"])
    lower(resource.RLIMIT_AS, limits["memory"])
    lower(resource.RLIMIT_STACK, MAIN_STACK)
    lower(resource.RLIMIT_FSIZE, limits["file"])
    lower(resource.RLIMIT_NPROC, limits["processes"])
    lower(resource.RLIMIT_NOFILE, 64)
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_MSGQUEUE, 0)
    lower(resource.RLIMIT_MEMLOCK, 0)


def limit_cpu(seconds: int) -> None:
    """Allow so much CPU time from now on. The soft limit's signal tells why, the hard limit's cannot be ignored."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(time.process_time()) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def watch_files() -> None:
    """From now on end the program, and all that it started, when it makes more than ``MOST_FILES`` files.

    An empty file has no size that ``/tmp`` could limit, but costs the kernel a kilobyte that no other limit counts. For
    the first process of a PID namespace alone: elsewhere -1 would be everybody.
    """
    import _thread

    if os.getpid() != 1:
        return
    before = _files()

    def watch() -> None:
        while True:
            time.sleep(0.02)
            if _files() - before > MOST_FILES:
                kill_all()

    _thread.stack_size(64 << 10)
    _thread.start_new_thread(watch, ())
    _thread.stack_size(0)


def kill_all() -> None:
    """End every other process of the PID namespace; only for its first one."""
    try:
        os.kill(-1, 9)
    except OSError:  # nothing left
        return


def _files() -> int:
    found = os.statvfs("/tmp")
    return found.f_files - found.f_ffree


def fresh_module(name: str) -> dict[str, Any]:
    """Register an empty module and return its namespace; dataclasses and pickle look it up by name."""
    sys.set_int_max_str_digits(0)  # the data sets are older than this limit
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # site would define them
    open_standard_streams_by_path()
    module = type(sys)(name)
    sys.modules[name] = module
    return module.__dict__


_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2} | {
    f"{folder}/{fd}": fd for folder in ("/dev/fd", "/proc/self/fd") for fd in range(3)
}


def open_standard_streams_by_path() -> None:
    """Let programs open ``/dev/stdin`` and the like, which are links into a ``/proc`` that is not here."""

    def replacing(opening: Any, of_stream: Any) -> Any:
        def opened(file: Any, *args: Any, **kwargs: Any) -> Any:
            fd = None if isinstance(file, int) else _STREAMS.get(os.fsdecode(file))
            return opening(file, *args, **kwargs) if fd is None else of_stream(os.dup(fd), *args, **kwargs)

        return opened

    builtins.open = io.open = replacing(io.open, io.open)
    os.open = replacing(os.open, lambda fd, *args, **kwargs: fd)
