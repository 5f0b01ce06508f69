"""Runs a program that reads standard input, once for each input. What it prints is judged outside.

The first process only feeds the program and reports how it ended; it never runs a line of it, and as the first process
of its PID namespace it can be neither killed nor stopped from inside.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys

from lit_passk.tasks.code.sandbox.inside.confine import fresh_module, kill_all, limit, watch_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO


def main(job: dict[str, Any], control: BinaryIO) -> None:
    """For each input that arrives, run the whole program in a process of its own and report how it ended."""
    import resource  # noqa: F401 - every child needs it

    isolated = job["isolated"] and os.getpid() == 1  # never when pids are the host's: kill(-1) reaches all of them
    for module in job["modules"]:  # once here instead of once in every child
        __import__(module)
    if isolated:
        watch_files()
    gc.freeze()  # what is here already is no garbage: children need not look through it as they end
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
            run(job, stdin)
            return
        status = os.waitpid(pid, 0)[1]
        os.close(stdin)
        if isolated:
            end_rest()
        os.write(1, f"exit {os.waitstatus_to_exitcode(status)}\n".encode())


def end_rest() -> None:
    """End whatever the program left running, so that it can touch no later test."""
    kill_all()
    try:
        while True:
            os.waitpid(-1, 0)
    except OSError:  # nothing left
        return


def run(job: dict[str, Any], stdin: int) -> None:
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
