"""A sandbox for programs nobody trusts: bubblewrap around a bare Python, fed over pipes.

Inside there is no network, no file but the Python installation and system libraries (read-only) and a small ``/tmp`` of
its own, no other process, no privilege, no way to a new namespace. Limits on CPU, memory, processes and files are the
kernel's; wall time and output are watched from outside. When the sandbox is closed, everything in it is gone.
See ``bubblewrap.py`` for the walls and ``seccomp.py`` for the system calls that have no business in there.

What remains: a hole in the kernel is a hole in the wall. And a verdict is worth what the tests are worth: a program can
still pass by what they do not check, by returning text that a test evaluates, or by objects of its own where a test
asks an object for its attributes (MBPP's trees).
"""

from __future__ import annotations

import contextlib
import json
import marshal
import math
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lit_passk.errors import Refusal
from lit_passk.tasks.code.sandbox.bubblewrap import PACKAGES, PYTHON, bubblewrap, package_files
from lit_passk.tasks.code.sandbox.seccomp import seccomp_filter

FLAGS = ("-S", "-s", "-P", "-B", "-X", "utf8")  # no site-packages, nothing from the working folder, no bytecode written
BOOTSTRAP = """
import sys, marshal
sys.stdout.write("up\\n")
sys.stdout.flush()
control = sys.stdin.buffer
modules, job = marshal.load(control)
for name, code in modules:
    module = sys.modules[name] = type(sys)(name)
    exec(code, module.__dict__)
module.main(job, control)
"""
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # the order of a set must not change a verdict
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",  # every further arena would reserve 64 MiB of the memory limit
}
START_SECONDS = 60.0
"""How long a sandbox may take to start, on a machine under load."""


class SandboxError(RuntimeError):
    """The sandbox itself failed; it says nothing about the program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a program may use.

    Args:
        seconds: CPU time of one test (one input, one call, or one piece of test code), rounded up to whole seconds. A
            program that does nothing, asleep or waiting, is given up after twice as long by the clock.
        total_seconds: Time by the clock for all tests of a completion, on a busy machine as on an idle one.
        memory_mb: Address space of each process, MiB. With ``processes``, it bounds what a program can hold in all.
        processes: Processes and threads at a time.
        output_mb: What a program may print in one test, MiB.
        files_mb: Size of its ``/tmp``, MiB, which holds 10,000 files at most.
        packages: Installed packages it may import besides the standard library, for example ``[numpy]``.
    """

    seconds: float = 6.0
    total_seconds: float = 60.0
    memory_mb: int = 1024
    processes: int = 4
    output_mb: int = 16
    files_mb: int = 64
    packages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("seconds", "total_seconds", "memory_mb", "processes", "output_mb", "files_mb"):
            if getattr(self, name) <= 0:
                raise Refusal(f"Limits needs {name} > 0, but got {getattr(self, name)}.")
        package_files(self.packages)

    @property
    def patience(self) -> float:
        """Seconds by the clock after which to look whether a program does anything."""
        return 2 * self.seconds

    def for_process(self, num_tests: int = 1) -> dict[str, int]:
        """The limits a process sets for itself, as setrlimit takes them; one process and one thread are our own."""
        total = min(num_tests * self.seconds, max(self.seconds, self.total_seconds))
        return {
            "cpu": math.ceil(self.seconds),
            "total_cpu": math.ceil(total),
            "memory": self.memory_mb << 20,
            "processes": self.processes + 2,
            "file": self.files_mb << 20,
        }


class Sandbox:
    """One running Python, in a sandbox unless ``unsafe`` says otherwise, that waits for a job.

    Args:
        limits: Size of ``/tmp`` and packages; the other limits are in the job.
        modules: Of ``inside/``, in the order in which they are executed; the last one has a ``main``.
        pass_fds: File descriptors it inherits, under the same numbers.
        unsafe: Start Python as an ordinary process with the rights of the caller.

    Raises:
        SandboxError: If it cannot be started.
    """

    def __init__(
        self, limits: Limits, modules: tuple[str, ...], pass_fds: Sequence[int] = (), unsafe: bool = False
    ) -> None:
        self.modules = modules
        self.lines = b""
        self.first: int | None = None
        self.ended = False
        self.seconds = 0.0
        self.killed = False
        self.folder = tempfile.TemporaryDirectory(prefix="lit-passk-") if unsafe else None
        filter_read, filter_write = os.pipe()
        self.info, info_write = os.pipe()
        folders = [PACKAGES] if limits.packages else []
        if unsafe:
            folders = [folder for folder, _ in package_files(limits.packages)]
        command, inherited = [PYTHON, *FLAGS, "-c", BOOTSTRAP], list(pass_fds)
        try:
            if not unsafe:
                os.write(filter_write, seccomp_filter())
                command = [*bubblewrap(filter_read, info_write, limits.files_mb << 20, limits.packages), *command]
                inherited += [filter_read, info_write]
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=inherited,
                env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(folders)} if folders else ENVIRONMENT,
                cwd=self.folder.name if self.folder else "/",
                start_new_session=True,
            )
        except BaseException as error:
            os.close(self.info)
            self._remove_folder()
            if isinstance(error, OSError):
                raise SandboxError(f"cannot start {command[0]}: {error}") from error
            raise
        finally:
            for fd in (filter_read, filter_write, info_write):
                os.close(fd)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdin, self.stdout, self.stderr = self.process.stdin, self.process.stdout, self.process.stderr

    def start(self, job: Mapping[str, Any]) -> None:
        """Hand over a job, which ``main`` gets; it holds what marshal can write.

        Only once Python runs inside: from then on the sandbox cannot outlive this process, however that ends.
        """
        self._expect("up")
        if self.folder is None:
            try:
                self.first = os.pidfd_open(json.loads(os.read(self.info, 4096))["child-pid"])
            except OSError as error:
                raise SandboxError(f"pidfd_open does not work (Linux 5.3 and later has it): {error}") from error
        self.send((_compiled(self.modules), dict(job)), START_SECONDS)

    def ready(self) -> None:
        """Wait until the job is about to run; raises SandboxError with the reason if it never is."""
        self._expect("ready")

    def _expect(self, word: str) -> None:
        if self.line(time.monotonic() + START_SECONDS) != word:
            self.kill()
            os.set_blocking(self.stderr.fileno(), False)
            reason = (self.stderr.read() or b"").decode(errors="replace").strip()
            raise SandboxError(reason[-2000:] or f"it did not start, exit status {self.process.returncode}")

    def send(self, message: Any, seconds: float) -> None:
        """Hand over a message; raises SandboxError when it is not read in time."""
        view = memoryview(marshal.dumps(message))
        deadline = time.monotonic() + seconds
        os.set_blocking(self.stdin.fileno(), False)
        poll = select.poll()
        poll.register(self.stdin, select.POLLOUT)
        try:
            while view:
                if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    raise SandboxError("it does not read what it is sent")
                view = view[os.write(self.stdin.fileno(), view) :]
        except OSError as error:
            raise SandboxError(f"it does not read what it is sent: {error.strerror}") from None

    def line(self, deadline: float) -> str | None:
        """The next line it reports, None at its end or at ``deadline`` (of the monotonic clock)."""
        poll = select.poll()
        poll.register(self.stdout, select.POLLIN)
        while b"\n" not in self.lines:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            data = os.read(self.stdout.fileno(), 4096)
            if not data:
                self.ended = True
                return None
            self.lines += data
        line, _, self.lines = self.lines.partition(b"\n")
        return line.decode(errors="replace")

    def kill(self) -> None:
        """End everything inside and wait until it has ended."""
        if self.killed:
            return
        self.killed = True
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            if self.first is not None:
                # Ends all of the PID namespace; bubblewrap waits for its first process and then ends, too.
                signal.pidfd_send_signal(self.first, signal.SIGKILL)
            else:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> float:
        """Wait until it has ended by itself or was killed; returns the CPU time it used, in seconds."""
        if self.process.returncode is None:
            _, status, usage = os.wait4(self.process.pid, 0)
            self.process.returncode = os.waitstatus_to_exitcode(status)
            self.seconds = usage.ru_utime + usage.ru_stime
        return self.seconds

    def _remove_folder(self) -> None:
        if self.folder is not None:
            self.folder.cleanup()

    def close(self) -> None:
        """End it and free what belongs to it."""
        self.kill()
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()
        os.close(self.info)
        if self.first is not None:
            os.close(self.first)
        self._remove_folder()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


@lru_cache(maxsize=4)
def _compiled(modules: tuple[str, ...]) -> list[tuple[str, Any]]:
    sources = [(name, (Path(__file__).parent / "inside" / f"{name}.py").read_text()) for name in modules]
    return [
        (f"lit_passk.tasks.code.sandbox.inside.{name}", compile(source, name, "exec", dont_inherit=True, optimize=2))
        for name, source in sources
    ]
