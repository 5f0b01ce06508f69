"""Runs a program nobody trusts. Everything in here belongs to that program as soon as its first line has run.

So nothing of it is believed: for programs that read standard input, only what they write counts, and it is judged
outside; for functions, only the values they return count, and they are judged in another sandbox. This file merely
feeds the program and keeps it within its limits (which the kernel enforces, and which cannot be raised again).
"""

from __future__ import annotations

import builtins
import marshal
import os
import sys
import time

from lit_passk.tasks.sandboxed.wire import Closed, decode, encode, receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

MAIN_STACK = 64 << 20


def main(job: dict[str, Any], control: BinaryIO) -> None:
    """Run the program as ``job`` says; see ``lit_passk.tasks.code_judge`` for its fields."""
    sys.set_int_max_str_digits(0)  # the data sets are older than this limit
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # site would define them
    if job["style"] == "stdio":
        run_cases(job, control)
    else:
        supervise(serve_calls, job, control)


def supervise(work: Callable[[dict[str, Any]], None], job: dict[str, Any], control: BinaryIO) -> None:
    """Do work in a child, report how that ended, and wait for the end.

    The first process of a sandbox is none of the program's: it can be neither killed nor stopped from inside.
    """
    pid = os.fork()
    if pid == 0:
        work(job)
        return
    for fd in job["channel"]:
        os.close(fd)
    status = os.waitpid(pid, 0)[1]
    os.write(1, f"exit {os.waitstatus_to_exitcode(status)}\n".encode())
    control.read()


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


def fresh_module(name: str) -> dict[str, Any]:
    """Register an empty module and return its namespace; dataclasses and pickle look it up by name."""
    module = type(sys)(name)
    sys.modules[name] = module
    return module.__dict__


def run_cases(job: dict[str, Any], control: BinaryIO) -> None:
    """For each input that arrives, run the whole program in a process of its own and report how it ended."""
    isolated = job["isolated"] and os.getpid() == 1  # never when pids are the host's: kill(-1) reaches all of them
    import resource  # noqa: F401 - every child needs it

    os.write(1, b"ready\n")
    while True:
        try:
            data = marshal.load(control)
        except EOFError:
            return
        try:
            stdin = os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o600)
            with open(stdin, "wb", closefd=False) as file:
                file.write(data)
            os.lseek(stdin, 0, os.SEEK_SET)
            pid = os.fork()
        except OSError as error:
            os.write(1, f"error {error.strerror}\n".encode())
            return
        if pid == 0:
            run_program(job, stdin)
            return
        status = os.wait4(pid, 0)[1]
        os.close(stdin)
        if isolated:
            kill_all()
        os.write(1, f"exit {os.waitstatus_to_exitcode(status)}\n".encode())


def kill_all() -> None:
    """End whatever the program left running, so that it can touch no later test."""
    try:
        os.kill(-1, 9)
        while True:
            os.waitpid(-1, 0)
    except OSError:  # nothing left
        return


def run_program(job: dict[str, Any], stdin: int) -> None:
    """Become the program. Returning from here ends the interpreter in the ordinary way: threads, atexit, buffers."""
    devnull = os.open("/dev/null", os.O_RDWR)
    os.dup2(stdin, 0)
    os.dup2(job["stdout"], 1)
    os.dup2(devnull, 2)
    os.closerange(3, 4096)
    limit(job["limits"])
    for name, fd, mode in (("stdin", 0, "r"), ("stdout", 1, "w")):
        stream = open(fd, mode, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = ["program.py"]
    namespace = fresh_module("__main__")
    for name, source in job["units"]:
        exec(compile(source, name, "exec", dont_inherit=True), namespace)


def serve_calls(job: dict[str, Any]) -> None:
    """Run the program once, then answer the checker's requests until it hangs up."""
    inbox, outbox = job["channel"]
    devnull = os.open("/dev/null", os.O_RDWR)
    limit(job["limits"])
    namespace = fresh_module("program")
    handles = Handles(namespace, job["owner"])
    os.write(1, b"ready\n")
    for fd in (0, 1, 2):
        os.dup2(devnull, fd)
    try:
        for name, source in job["units"]:
            exec(compile(source, name, "exec", dont_inherit=True), namespace)
    except BaseException as error:  # whatever it is, the checker has to know
        reply_error(outbox, error)
        return
    send(outbox, encode(("return", None)))
    while True:
        try:
            request = receive(inbox)
        except Closed:
            return
        try:
            if job["limit_each"]:
                limit_cpu(job["limits"]["cpu"])
            operation, args, kwargs = decode(request, handles.value)
            result = encode(("return", OPERATIONS[operation](*args, **kwargs)), handles.name)
            send(outbox, result)
        except BaseException as error:
            reply_error(outbox, error)


def reply_error(outbox: int, error: BaseException) -> None:
    """Tell the checker what was raised: a name and a text, never the object."""
    send(outbox, encode(("raise", type(error).__name__, str(error)[:500])))


def call(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Call; a named operation like the others."""
    return function(*args, **kwargs)


OPERATIONS: dict[str, Any] = {
    "call": call,
    "getattr": getattr,
    "setattr": setattr,
    "getitem": lambda value, key: value[key],
    "len": len,
    "bool": bool,
    "iter": iter,
    "next": next,
    "str": str,
}


class Handles:
    """Values that stay here and are spoken of by name (the program's globals) or by number (what its calls made)."""

    def __init__(self, namespace: dict[str, Any], owner: str) -> None:
        self.namespace = namespace
        self.owner = owner  # the class whose methods count as functions: LeetCode's `Solution`
        self.instance: Any = None
        self.values: list[Any] = []

    def name(self, value: Any) -> int:
        """Keep a value and return its number."""
        self.values.append(value)
        return len(self.values) - 1

    def value(self, name: int | str) -> Any:
        """Look a value up; raises NameError for what the program does not define."""
        if isinstance(name, int):
            return self.values[name]
        if name in self.namespace:
            return self.namespace[name]
        if self.instance is None and self.owner in self.namespace:
            self.instance = self.namespace[self.owner]()
        if self.instance is not None and hasattr(self.instance, name):
            return getattr(self.instance, name)
        raise NameError(f"name {name!r} is not defined")
