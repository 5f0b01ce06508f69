"""A worker process: scores one completion after another, each as if it were the first."""

from __future__ import annotations

import ctypes
import errno
import os
import pickle
import resource
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from lit_passk.scoring.surroundings import Modules, Surroundings
from lit_passk.tasks.scores import BadScore, CannotScore, group_scores_of, score_of
from lit_passk.types import Score

MEMORY_LIMIT = 4 * 2**30
"""Bytes of memory a worker may allocate: a completion can ask for a power tower."""

MOST_THREADS = 256
"""Threads that completions may leave behind in a worker before it is replaced."""

_PR_SET_PDEATHSIG = 1
_MAX_ERROR_CHARS = 500
_MAX_TRACE_CHARS = 20_000


def work(tasks: dict[str, Any], connection: Connection) -> NoReturn:
    """Life of a worker: score what comes in until the connection closes, or it is no longer as it was at first.

    A fresh worker takes over from one that said its last answer was the last; it has the memory of the tasks alone.
    """
    try:
        _confine()
        me, modules, surroundings, last = os.getpid(), Modules(), Surroundings(), False
        left_behind = _LeftBehind()
        while not last:
            answer = _answer(tasks, connection.recv_bytes())
            modules.restore()  # first: all that follows calls them
            if os.getpid() != me:  # a function forked and its child returned too: one answer is enough
                break
            last = not surroundings.restore() or left_behind.is_much()
            connection.send_bytes(pickle.dumps((*answer, last)))
    except (EOFError, OSError):
        pass
    finally:
        os._exit(0)


def _confine() -> None:
    server = os.getppid()
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    if os.getppid() != server:
        os._exit(0)  # it died before the kernel knew what to do then


def _memory() -> int:
    """Bytes of this process that ``MEMORY_LIMIT`` counts; 0 on another system than Linux."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[5]) * resource.getpagesize()
    except OSError:
        return 0


def _entries(folder: str) -> int:
    """How many entries a folder of this process in ``/proc`` has; 0 on another system than Linux."""
    try:
        return len(os.listdir(f"/proc/self/{folder}"))
    except OSError as error:
        return sys.maxsize if error.errno == errno.EMFILE else 0  # no file is left to be opened for looking


class _LeftBehind:
    """What completions keep that the next one then lacks: memory, open files, threads."""

    def __init__(self) -> None:
        self.memory, self.files, self.threads = _memory(), _entries("fd"), _entries("task")

    def is_much(self) -> bool:
        """Whether it is half of what this process may have, so that a fresh one had better take over."""
        most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return (
            _memory() - self.memory > (MEMORY_LIMIT - self.memory) // 2
            or _entries("fd") - self.files > (most_files - self.files) // 2
            or _entries("task") - self.threads > MOST_THREADS
        )


def _answer(tasks: dict[str, Any], request: bytes) -> tuple[list[Score] | BadScore | str, str | None]:
    """The scores of a request, or what is wrong with them; if the task raised, the reason and the traceback."""
    try:
        name, problem, completions, scores = pickle.loads(request)
        if scores is None:  # the first request for a completion; a group's follows once all its scores are there
            return [score_of(tasks[name], problem, one) for one in completions], None
        return group_scores_of(tasks[name], problem, completions, scores), None
    except BadScore as bad:  # the same for every completion: the run has to stop
        return bad, None
    except BaseException as error:
        return _message(error)[:_MAX_ERROR_CHARS], traceback.format_exc()[-_MAX_TRACE_CHARS:]


def _message(error: BaseException) -> str:
    try:
        return str(error) if isinstance(error, CannotScore) else f"{type(error).__name__}: {error}"
    except Exception as another:  # of a class whose own `__str__` fails
        return f"{type(error).__name__}, whose message raises {type(another).__name__}"
