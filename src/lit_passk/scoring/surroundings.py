"""What a function finds in its process, and may change for the next one: noted at first, put back afterwards."""

from __future__ import annotations

import builtins
import faulthandler
import locale
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any, TextIO

_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_GUARDED = (builtins, os, pickle, shutil, signal, subprocess, sys.modules["posix"])
"""Modules whose functions are replaced by None in the guard that HumanEval runs programs behind, which rewards copied,
and those that a worker itself cannot do without."""


class Modules:
    """The modules that are loaded, and what the most patched of them hold."""

    def __init__(self) -> None:
        self.loaded = dict(sys.modules)
        self.contents = [(vars(module), dict(vars(module))) for module in _GUARDED]

    def restore(self) -> None:
        """Put back what was replaced or taken away; what was imported since stays."""
        for now, before in self.contents:
            if now != before:
                now.update(before)
        hidden = [name for name, module in list(sys.modules.items()) if module is None]
        for name in hidden:  # None keeps a module from being imported
            del sys.modules[name]
        if not self.loaded.items() <= sys.modules.items():
            sys.modules.update(self.loaded)


class Surroundings:
    """The folder, environment, standard streams, timers, limits, locale, and who the process is for the system."""

    def __init__(self) -> None:
        self.folder = os.getcwd()
        self.environment = dict(os.environ)
        self.streams = [os.dup(number) for number in range(3)]
        self.printed_to = sys.stdout, sys.stderr
        self.of_python = sys.getrecursionlimit(), sys.get_int_max_str_digits()
        self.locale = locale.setlocale(locale.LC_ALL)
        self.umask = os.umask(0o077)
        os.umask(self.umask)
        self.limits = [resource.getrlimit(which) for which in _LIMITS]
        self.standing = _standing()

    def restore(self) -> bool:
        """Make it as it was; returns whether that could be done: a limit can be lowered for good."""
        sys.setrecursionlimit(self.of_python[0])
        sys.set_int_max_str_digits(self.of_python[1])
        faulthandler.cancel_dump_traceback_later()
        for timer in _TIMERS:
            signal.setitimer(timer, 0)
        try:
            for which, limit in zip(_LIMITS, self.limits, strict=True):
                if resource.getrlimit(which) != limit:
                    resource.setrlimit(which, limit)
        except (OSError, ValueError):
            return False
        if _standing() != self.standing:  # rights and ranks are given up more easily than taken back
            return False
        for number, stream in enumerate(self.streams):
            os.dup2(stream, number)
        self.printed_to = _open(self.printed_to[0], 1), _open(self.printed_to[1], 2)
        sys.stdout, sys.stderr = self.printed_to
        if os.environ != self.environment:
            os.environ.clear()
            os.environ.update(self.environment)
        locale.setlocale(locale.LC_ALL, self.locale)
        os.umask(self.umask)
        with suppress(OSError):  # somebody removed it, which is not the completion's affair
            os.chdir(self.folder)
        return True


def _standing() -> list[Any]:
    """User, groups, root folder, priority, cores and blocked signals of this process."""
    root = os.stat("/")
    return [
        *(os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups(), root.st_dev, root.st_ino),
        os.getpriority(os.PRIO_PROCESS, 0),
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
        signal.pthread_sigmask(signal.SIG_BLOCK, []),
    ]


def _open(stream: TextIO | None, number: int) -> TextIO:
    """A standard stream that can be written to, also where it was closed."""
    if stream is None or stream.closed:
        return open(number, "w", buffering=1, errors="backslashreplace", closefd=False)
    return stream
