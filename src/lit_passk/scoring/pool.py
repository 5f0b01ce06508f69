"""The trainer's side of the scoring processes: start the one that forks, get workers from it, replace what is lost.

Written by hand, because the process pools at hand (``concurrent.futures``, ``multiprocessing.Pool``, pebble) share one
queue and its locks among their workers: a worker that is killed while idle, or while it holds a lock, breaks or stalls
the whole pool. Here every worker has a socket of its own, so that losing one costs one completion at most.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from lit_passk.credentials import without_credentials
from lit_passk.errors import CannotRun, Refusal
from lit_passk.scoring.server import REPLY, REQUEST
from lit_passk.tasks.base import Task
from lit_passk.tasks.scores import BadScore
from lit_passk.types import Score

CLOSED = "the scorer was closed"

_SERVE = (
    "import sys; sys.path[:] = sys.argv[2:]; "  # before anything is imported: a json.py where one works is not Python's
    "from lit_passk.scoring.server import serve; serve(int(sys.argv[1]))"
)
_NO_MORE = (
    "The scoring of completions got no further {}: {}. Lower `rollout.num_workers`, or raise the limit (`ulimit -n` is "
    "that of open files, `ulimit -u` and a container's that of processes)."
)
_INSIDE = "LIT_PASSK_SCORING"
_ANSWER = 60.0
"""Seconds the server has to fork or to kill a worker, which takes milliseconds."""
_PATIENCE = 5.0
"""Seconds the server has to end its workers when the pool is closed."""


class WorkerLost(Exception):  # noqa: N818 - no error: the worker was killed, or is gone
    """A worker ended without a score; the message says why."""


class Worker:
    """One worker process, owned by one thread."""

    def __init__(self, pool: WorkerPool, pid: int, connection: Connection) -> None:
        self.pool = pool
        self.server = pool.process
        self.pid = pid
        self.connection = connection

    def ended(self) -> bool:
        """Whether it died while it had nothing to do, or has said that it would."""
        if self.connection.closed:
            return True
        if not self.connection.poll():
            return False
        self._lose()
        return True

    def score(self, request: bytes, timeout: float) -> tuple[list[Score] | BadScore | str, str | None]:
        """Have completions scored.

        Args:
            request: Task name, problem, completions and, for the step over a whole group, their scores; pickled.
            timeout: Seconds it may take; then the worker is killed.

        Returns:
            The scores, or what is wrong with what the task returned; if the task raised, the reason and the traceback.

        Raises:
            WorkerLost: If there are no scores; the worker is gone then.
        """
        try:
            self.connection.send_bytes(request)
            # The second look is for this process having been stopped (Ctrl-Z) while the worker was not.
            if self.connection.poll(timeout) or self.connection.poll():
                answer, trace, last = pickle.loads(self.connection.recv_bytes())
                if last:
                    self._lose()
                return answer, trace
        except (EOFError, OSError):
            raise WorkerLost(_cause(self._lose())) from None
        self._lose()
        raise WorkerLost(f"timeout after {timeout:g} s")

    def _lose(self) -> int:
        self.connection.close()
        return self.pool.kill(self)


class WorkerPool:
    """The process that workers are forked from (see ``scoring_server``), started anew should it die.

    Args:
        tasks: The tasks to score, by name; pickled once.

    Raises:
        ValueError: If a task cannot be pickled.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        if _INSIDE in os.environ:
            raise CannotRun("a scoring process may not score: guard your script with `if __name__ == '__main__':`")
        self.payload = _pickle_tasks(tasks)
        kept = sorted({name for task in tasks.values() for name in task.secrets})
        self.environment = without_credentials(os.environ, kept)
        self.lock = threading.Lock()
        self.closed = False
        self.failure: str | None = None
        self._launch()

    def fork(self) -> Worker:
        """Start a worker.

        Raises:
            CannotRun: If the tasks cannot be loaded in another process, or no process can be started.
            WorkerLost: If the pool is closed, or the server dies again and again.
        """
        with self.lock:
            for _ in range(2):
                if self.closed:
                    raise WorkerLost(CLOSED)
                if not self.ready:
                    self._wait_until_ready()
                ours, theirs = _socketpair()
                with theirs:
                    pid = self._request(b"F", 0, [theirs.fileno()])
                if pid is not None and pid < 0:
                    ours.close()
                    raise CannotRun(_NO_MORE.format("process", os.strerror(-pid)))
                if pid is not None:
                    return Worker(self, pid, Connection(ours.detach()))
                ours.close()
                self._relaunch()
        raise WorkerLost("the process that scoring workers are forked from has died")

    def kill(self, worker: Worker) -> int:
        """End a worker for good; returns its exit code, negative for a signal."""
        with self.lock:
            # When a server dies the kernel kills its workers; the next server knows nothing of them.
            exit_code = self._request(b"K", worker.pid) if worker.server is self.process else None
        return -signal.SIGKILL if exit_code is None else exit_code

    def close(self) -> None:
        """End the server, which ends its workers; waits for nothing that may hang."""
        self.closed = True
        with contextlib.suppress(OSError):  # the server has gone already
            self.control.shutdown(socket.SHUT_RDWR)
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with self.lock:
            self.control.close()

    def _relaunch(self) -> None:
        if not self.closed:
            self.process.kill()
            self.process.wait()
            self.control.close()
            self._launch()

    def _launch(self) -> None:
        self.ready = False
        self.control, theirs = _socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(theirs.fileno()), *map(str, sys.path)],
                stdin=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # so that Ctrl-C reaches the trainer alone
                # Sets of symbols are ordered by hash: the same order in every run.
                env={**self.environment, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", _INSIDE: "1"},
            )
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended early: `_wait_until_ready` says so
            self.process.stdin.write(self.payload)
            self.process.stdin.close()

    def _wait_until_ready(self) -> None:
        if self.failure is None:
            self.ready = self.control.recv(1) == b"+"
            if not self.ready:
                said = self.control.makefile("rb").read().decode(errors="replace")
                self.failure = said or f"it ended with exit code {self.process.wait()}"
        if self.closed:
            raise WorkerLost(CLOSED)
        if not self.ready:
            raise CannotRun(
                f"The scoring process could not load the tasks: {self.failure}. A task with `use_workers` must be a "
                "class that another process can import; or set `use_workers = False`."
            )

    def _request(self, action: bytes, number: int, fds: list[int] | None = None) -> int | None:
        """The server's answer; None when it is dead."""
        self.process.send_signal(signal.SIGCONT)  # a function may have stopped it, its worker's parent
        try:
            self.control.settimeout(_ANSWER)
            socket.send_fds(self.control, [REQUEST.pack(action, number)], fds or [])
            reply = self.control.recv(REPLY.size, socket.MSG_WAITALL)
        except TimeoutError:  # stopped once more: the next fork makes a new one
            self.process.kill()
            return None
        except OSError:
            return None
        return int(REPLY.unpack(reply)[0]) if len(reply) == REPLY.size else None


def _socketpair() -> tuple[socket.socket, socket.socket]:
    try:
        return socket.socketpair()
    except OSError as error:  # as many files are open as may be
        raise CannotRun(_NO_MORE.format("connection", error.strerror)) from error


class _TaskPickler(pickle.Pickler):
    """Notes whether anything of the trainer's own script is named, which its mention in the data would not tell."""

    of_main = False

    def reducer_override(self, value: Any) -> Any:  # called for every class, function and object of a class
        self.of_main |= getattr(value, "__module__", None) == "__main__"
        return NotImplemented


def _pickle_tasks(tasks: Mapping[str, Task]) -> bytes:
    pickled: dict[str, bytes] = {}
    of_main = False
    for name, task in tasks.items():
        stream = io.BytesIO()
        pickler = _TaskPickler(stream)
        try:
            pickler.dump(task)
        except Exception as error:
            raise Refusal(
                f"Task {name!r} ({type(task).__name__}) has `use_workers`, so it must be possible to pickle it, but "
                f"that raised {type(error).__name__}: {error}"
            ) from error
        pickled[name] = stream.getvalue()
        of_main |= pickler.of_main
    main_module: dict[str, Any] = {}
    if of_main:  # else importing the trainer's own script again would cost seconds and its memory
        from multiprocessing import spawn

        prepared = spawn.get_preparation_data("scorer")
        main_module = {key: value for key, value in prepared.items() if key.startswith("init_main")}
    return pickle.dumps((main_module, pickled))


def _cause(exit_code: int) -> str:
    if exit_code == -signal.SIGKILL:
        return "worker killed, perhaps because memory ran out (SIGKILL)"
    return f"worker died (signal {-exit_code})" if exit_code < 0 else f"worker exited with code {exit_code}"
