"""The process that scoring workers are forked from; runs none of the trainer's modules.

A trainer may not fork: it has threads, and perhaps a GPU context. So ``Scorer`` starts this small interpreter once. It
takes the tasks in, warms them up and then only forks, kills and waits. A worker that hung or died is replaced by a fork
within milliseconds, and all workers share the memory of the tasks.

The life of everything here hangs on one socket: when the trainer goes away, by whatever signal, reading from it ends,
and this process kills its workers, and what they started and left, and exits. Should it be killed itself, the kernel
kills the workers.

What workers run may be anybody's function; what one completion leaves changed, the next does not meet (``worker.py``).
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import select
import signal
import socket
import struct
import sys
from multiprocessing.connection import Connection
from typing import Any

from lit_passk.scoring.worker import work

REQUEST = struct.Struct("=cq")
"""``F`` and a socket sent along: fork a worker for it. ``K`` and a process id: kill that worker."""
REPLY = struct.Struct("=q")
"""Process id of the new worker, minus the number of an error if there is none; or the exit code of the killed one
(negative: the signal)."""

_PR_SET_CHILD_SUBREAPER = 36
_REAP_EVERY = 10
"""Seconds without a request after which it is looked whether something that workers left behind has ended."""


def serve(control_fd: int) -> None:
    """Read the tasks from stdin, say whether that worked, then obey until the trainer is gone."""
    control = socket.socket(fileno=control_fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the trainer's to handle
    if sys.platform == "linux":  # what workers leave behind becomes this process's, whatever it did to get away
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    workers: set[int] = set()
    try:
        tasks = _load_tasks()
    except BaseException as error:
        control.sendall(b"!" + f"{type(error).__name__}: {error}".encode())
        return
    gc.collect()
    gc.freeze()  # keeps the collector of a worker from copying the pages it shares
    control.sendall(b"+")
    poll = select.poll()
    poll.register(control, select.POLLIN)
    try:
        while True:
            while not poll.poll(_REAP_EVERY * 1000):
                _reap(workers)
            if (request := _receive(control)) is None:
                break
            action, number, fd = request
            if action == b"F":
                number = _fork()
                if number == 0:
                    control.close()
                    work(tasks, Connection(fd))
                os.close(fd)
                if number > 0:
                    workers.add(number)
            else:
                workers.discard(number)
                number = _kill(number)
            control.sendall(REPLY.pack(number))
    finally:
        for pid in workers:
            _kill(pid)
        while left := _children():
            for pid in left:
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


def _fork() -> int:
    try:
        return os.fork()
    except OSError as error:  # no more processes, or no memory
        return -(error.errno or 1)


def _reap(workers: set[int]) -> None:
    """Let go of what workers left behind and has ended; their own exit codes are still asked for."""
    while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in workers:
        os.waitpid(ended.si_pid, 0)


def _children() -> list[int]:
    """Processes whose parent this one is."""
    found = []
    for entry in os.scandir("/proc") if os.path.isdir("/proc") else ():
        if entry.name.isdigit():
            try:
                with open(f"{entry.path}/stat", "rb") as file:
                    parent = file.read().rpartition(b")")[2].split()[1]  # its name may hold anything
            except OSError:  # ended meanwhile
                continue
            if int(parent) == os.getpid():
                found.append(int(entry.name))
    return found


def _kill(pid: int) -> int:
    """End a worker and what it started; returns its exit code. Not reaped before, so its id is its own."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except OSError:  # ended already, or not yet the leader of its group
            continue
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
