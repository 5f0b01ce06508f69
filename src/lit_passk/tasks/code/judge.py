"""Runs a program against its tests and says whether it passes: the part that no program can reach.

``stdio``: the program runs once for each input, what it prints is compared here. One sandbox start for all inputs.
``functional`` and ``assert``: the tests run in a process of their own and exchange plain values with the program's,
which gets to see nothing else of them. See ``lit_passk.tasks.code.sandbox.inside``.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import lru_cache
from io import FileIO
from typing import Any

from lit_passk.errors import CannotRun
from lit_passk.tasks.code.outputs import Verdict, same_lines, same_output
from lit_passk.tasks.code.sandbox.processes import asleep
from lit_passk.tasks.code.sandbox.sandbox import Limits, Sandbox, SandboxError
from lit_passk.tasks.code.syntax import modules_in

Unit = tuple[str, str]
"""Name and text of a piece of source; a program's units are executed one after the other in one namespace."""

_LOADED_ONCE = {
    "array", "bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq", "io",
    "itertools", "json", "math", "operator", "os", "queue", "random", "re", "statistics", "string", "sys", "time",
    "typing",
}  # fmt: skip
"""Modules that do nothing when they are imported: loaded before a program is started for each of its tests."""
_OUT_OF_CPU_TIME = f"exit {-signal.SIGXCPU}"


def judge(tests: Mapping[str, Any], units: Sequence[Unit], limits: Limits, unsafe: bool = False) -> Verdict:
    """Run one program against the tests of its problem.

    Args:
        tests: As ``lit_passk.tasks.code.rows`` makes them.
        units: The program.
        limits: What it may use.
        unsafe: Run it without a sandbox.

    Raises:
        SandboxError: If no verdict could be had, for a reason that is not the program's.
    """
    with ExitStack() as stack:
        judge_style = judge_stdio if tests["style"] == "stdio" else judge_calls
        return judge_style(tests, units, limits, unsafe, stack)


@lru_cache(maxsize=2)
def check_sandbox(unsafe: bool = False) -> None:
    """Raise a RuntimeError unless programs can be judged here; judges two right ones to find out."""
    echo = {"style": "stdio", "cases": [{"input": "1", "output": "1"}], "tolerance": None}
    same = {"style": "functional", "names": ["same"], "owner": "Solution", "cases": [([1], [1])]}
    try:
        verdicts = [judge(echo, [("check", "print(input())")], Limits(), unsafe)]
        verdicts += [judge(same, [("check", "def same(x): return x")], Limits(), unsafe)]
    except SandboxError as error:
        raise CannotRun(
            f"Code can only be scored in a sandbox, and that does not work here: {error}\n"
            "It needs bubblewrap and user namespaces (containers often forbid them; see `sysctl "
            "user.max_user_namespaces kernel.unprivileged_userns_clone kernel.apparmor_restrict_unprivileged_userns`). "
            "`unsafe_no_sandbox: true` would run the programs with your own rights."
        ) from error
    if not all(verdict.passed for verdict in verdicts):
        raise CannotRun(f"The code sandbox rejects a right program: {[verdict.reason for verdict in verdicts]}.")


def judge_stdio(
    tests: Mapping[str, Any], units: Sequence[Unit], limits: Limits, unsafe: bool, stack: ExitStack
) -> Verdict:
    """Feed each input to a fresh process of the program and compare what it prints; see ``judge``."""
    end = time.monotonic() + limits.total_seconds
    output, output_write = _pipe(stack)
    os.set_blocking(output.fileno(), False)
    job = {
        "isolated": not unsafe,
        "units": list(units),
        "limits": limits.for_process(),
        "stdout": output_write.fileno(),
        "modules": sorted(_LOADED_ONCE & modules_in(source for _, source in units)),
    }
    sandbox = stack.enter_context(Sandbox(limits, ("confine", "stdio"), [output_write.fileno()], unsafe))
    sandbox.start(job)
    sandbox.ready()
    for number, case in enumerate(tests["cases"]):
        try:
            sandbox.send(case["input"].encode("utf-8", "surrogatepass"), limits.patience)
            printed, status = _collect(sandbox, output.fileno(), limits, end)
            if status.startswith("error"):
                raise SandboxError(status)
        except SandboxError as error:
            if number == 0:
                raise
            # The program has run before: it may have filled the disk, or stopped the process that feeds it.
            return Verdict(False, f"test {number}: {error}")
        verdict = Verdict(False, status)
        if status == "exit 0":
            text, tolerance = printed.decode("utf-8", "replace"), tests["tolerance"]
            lines = tolerance == "lines"
            verdict = same_lines(text, case["output"]) if lines else same_output(text, case["output"], tolerance)
        if not verdict.passed:
            return Verdict(False, f"test {number}: {verdict.reason}")
    return Verdict(True)


def _collect(sandbox: Sandbox, output: int, limits: Limits, end: float) -> tuple[bytes, str]:
    """Read what a test prints until its process has ended; returns that and how it ended."""
    parts: list[bytes] = []
    size = 0
    poll = select.poll()
    poll.register(output, select.POLLIN)
    poll.register(sandbox.stdout, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poll.poll(min(limits.patience, max(0.0, end - time.monotonic())) * 1000)]
        if time.monotonic() >= end or (not ready and asleep(sandbox.process.pid)):
            return b"", "out of time"
        ended = sandbox.stdout.fileno() in ready
        status = sandbox.line(end) if ended else None
        for data in _available(output):  # after the status, so that nothing printed before it is missed
            size += len(data)
            if size > limits.output_mb << 20:
                return b"", "printed too much"
            parts.append(data)
        if ended:
            status = status or "ended its sandbox"
            return b"".join(parts), "out of CPU time" if status == _OUT_OF_CPU_TIME else status


def _available(fd: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(fd, 1 << 20)
        except BlockingIOError:
            return
        if not data:
            return
        yield data


def judge_calls(
    tests: Mapping[str, Any], units: Sequence[Unit], limits: Limits, unsafe: bool, stack: ExitStack
) -> Verdict:
    """Run the tests in one process and the program in another one; see ``judge``."""
    end = time.monotonic() + limits.total_seconds
    job = {
        "isolated": not unsafe,
        "units": list(units),
        "limits": limits.for_process(len(tests.get("cases", ())) or 1),
        "limit_each": tests["style"] == "functional",
        "owner": tests["owner"],
    }
    sandbox = stack.enter_context(Sandbox(limits, ("confine", "wire", "functions", "checker"), unsafe=unsafe))
    sandbox.start(job)
    sandbox.ready()
    sandbox.send(dict(tests), limits.patience)  # not before the program's process has been split off
    verdict = None
    while verdict is None and time.monotonic() < end:
        verdict = sandbox.line(min(end, time.monotonic() + limits.patience))
        if verdict is None and sandbox.ended:
            return _lost(sandbox, job["limits"]["total_cpu"])
        if verdict is None and asleep(sandbox.process.pid):
            break
    kind, _, reason = (verdict or "fail out of time").partition(" ")
    if kind == "error":
        raise SandboxError(reason)
    return Verdict(kind == "pass", reason)


def _lost(sandbox: Sandbox, cpu: int) -> Verdict:
    """The checker ended without a verdict: the program's doing if it ran out of CPU time over the program's values."""
    if sandbox.wait() >= cpu:
        return Verdict(False, "out of CPU time")
    raise SandboxError("the tests ended without a verdict")


def _pipe(stack: ExitStack) -> tuple[FileIO, FileIO]:
    """The reading and the writing end of a pipe, closed with ``stack`` at the latest."""
    read, write = os.pipe()
    return stack.enter_context(FileIO(read, "r")), stack.enter_context(FileIO(write, "w"))
