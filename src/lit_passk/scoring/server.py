"""The process that scoring workers are forked from; runs none of the trainer's modules.

A trainer may not fork: it has threads, and perhaps a GPU context. So ``Scorer`` starts this small interpreter once. It
takes the tasks in, warms them up and then only forks, kills and waits. A worker that hung or died is replaced by a fork
within milliseconds, and all workers share the memory of the tasks.

The life of everything here hangs on one socket: when the trainer goes away, by whatever signal, reading from it ends,
and this process kills its workers and exits. Should it be killed itself, the kernel kills the workers.
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import resource
import signal
import socket
import struct
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from lit_passk.tasks.scores import BadScore, CannotScore, group_scores_of, score_of

REQUEST = struct.Struct("=cq")
"""``F`` and a socket sent along: fork a worker for it. ``K`` and a process id: kill that worker."""
REPLY = struct.Struct("=q")
"""Process id of the new worker, or the exit code of the killed one (negative: the signal)."""

MEMORY_LIMIT = 4 * 2**30
"""Bytes of memory a worker may allocate: a completion can ask for a power tower."""

_PR_SET_PDEATHSIG = 1
_MAX_ERROR_CHARS = 500


def serve(control_fd: int) -> None:
    """Read the tasks from stdin, say whether that worked, then obey until the trainer is gone."""
    control = socket.socket(fileno=control_fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the trainer's to handle
    workers: set[int] = set()
    try:
        tasks = _load_tasks()
    except BaseException as error:
        control.sendall(b"!" + f"{type(error).__name__}: {error}".encode())
        return
    gc.collect()
    gc.freeze()  # keeps the collector of a worker from copying the pages it shares
    control.sendall(b"+")
    try:
        while (request := _receive(control)) is not None:
            action, number, fd = request
            if action == b"F":
                number = os.fork()
                if number == 0:
                    control.close()
                    _work(tasks, Connection(fd))
                os.close(fd)
                workers.add(number)
            else:
                workers.discard(number)
                number = _kill(number)
            control.sendall(REPLY.pack(number))
    finally:
        for pid in workers:
            _kill(pid)


def _load_tasks() -> dict[str, Any]:
    main_module, pickled = pickle.load(sys.stdin.buffer)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    if main_module:  # a task of the user's own script
        from multiprocessing import spawn

        spawn.prepare(main_module)
    tasks = {}
    for name, data in pickled.items():
        tasks[name] = pickle.loads(data)
        tasks[name].warm_up()
    return tasks


def _receive(control: socket.socket) -> tuple[bytes, int, int] | None:
    """The next action, its number and the socket sent along (-1 without one); None when the trainer is gone."""
    try:
        request, fds, _, _ = socket.recv_fds(control, REQUEST.size, 1)
    except OSError:
        return None
    return (*REQUEST.unpack(request), *(fds or [-1])) if len(request) == REQUEST.size else None


def _kill(pid: int) -> int:
    """End a worker and what it started; returns its exit code. Not reaped before, so its id is its own."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except OSError:  # ended already, or not yet the leader of its group
            continue
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _work(tasks: dict[str, Any], connection: Connection) -> NoReturn:
    """Life of a worker: score what comes in until the connection closes."""
    try:
        _confine()
        while True:
            connection.send_bytes(_answer(tasks, connection.recv_bytes()))
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


def _answer(tasks: dict[str, Any], request: bytes) -> bytes:
    """The scores of a request, or what is wrong with them; if the task raised, the reason and the traceback."""
    try:
        name, problem, completions, scores = pickle.loads(request)
        if scores is None:  # the first request for a completion; a group's follows once all its scores are there
            return pickle.dumps(([score_of(tasks[name], problem, one) for one in completions], None))
        return pickle.dumps((group_scores_of(tasks[name], problem, completions, scores), None))
    except BadScore as bad:  # the same for every completion: the run has to stop
        return pickle.dumps((bad, None))
    except BaseException as error:
        message = str(error) if isinstance(error, CannotScore) else f"{type(error).__name__}: {error}"
        return pickle.dumps((message[:_MAX_ERROR_CHARS], traceback.format_exc()))
