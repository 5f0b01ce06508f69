"""Tasks whose scoring does what the completion says, in worker processes that have to import this file."""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import locale
import math
import mmap
import os
import pickle
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from lit_passk.tasks.base import Task
from lit_passk.types import CompletionText, Problem, Score

kept: list[object] = []


def refuses(*args: object) -> None:
    """What the kernel says to a limit above the highest that is allowed."""
    raise ValueError("not allowed to raise maximum limit")


GUARDED = {
    "builtins": "exit quit help",
    "os": "kill system putenv remove rmdir fchdir setuid fork killpg rename unlink chmod chown chroot getcwd chdir",
    "shutil": "rmtree move chown",
    "subprocess": "Popen",
}
"""What HumanEval's guard takes away, by module."""
HEAVY = ("torch", "lightning", "transformers", "vllm")


class Obedient(Task):
    """``score`` obeys the first word of the completion; by default it hands the completion back as the answer."""

    use_workers = True

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Problem:
        return Problem(id="the-problem", prompt="", answer="")

    def score(self, problem: Problem, completion: str) -> Score:
        word, _, rest = completion.partition(" ")
        answer = getattr(self, f"do_{word}", lambda _: completion)(rest)
        return answer if word == "return" else Score(reward=1.0, correct=True, answer=str(answer))

    def do_return(self, rest: str) -> str:
        return "no score"

    def do_sleep(self, rest: str) -> None:
        time.sleep(float(rest))

    def do_backtrack(self, rest: str) -> None:
        re.match(r"(a+)+$", "a" * 64 + "b")  # for years, in C, without letting go of the interpreter

    def do_signal(self, rest: str) -> str:
        os.kill(os.getpid(), signal.Signals[rest])
        return "still here"

    def do_crash(self, rest: str) -> None:
        ctypes.string_at(0)

    def do_exit(self, rest: str) -> None:
        os._exit(int(rest))

    def do_quit(self, rest: str) -> None:
        sys.exit(int(rest))

    def do_raise(self, rest: str) -> None:
        raise KeyError(rest)

    def do_allocate(self, rest: str) -> int:
        return len(bytearray(int(rest)))

    def do_pids(self, rest: str) -> str:
        return f"{os.getpid()} {os.getppid()}"

    def do_modules(self, rest: str) -> list[str]:
        return [name for name in HEAVY if name in sys.modules]

    def do_leak(self, rest: str) -> int:
        """Keep so much memory, untouched, for ever."""
        kept.append(mmap.mmap(-1, int(rest), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        return os.getpid()

    def do_open(self, rest: str) -> int:
        """Keep so many files open."""
        kept.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(int(rest)))
        return os.getpid()

    def do_threads(self, rest: str) -> int:
        """Leave so many threads behind."""
        for _ in range(int(rest)):
            threading.Thread(target=time.sleep, args=[1000.0], daemon=True).start()
        return os.getpid()

    def do_chdir(self, rest: str) -> None:
        os.chdir(rest)

    def do_setenv(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        os.environ[name] = value

    def do_silence(self, rest: str) -> None:
        sys.stdout.close()
        sys.stderr.close()
        os.closerange(0, 3)

    def do_print(self, rest: str) -> None:
        print("x" * int(rest), flush=True)

    def do_alarm(self, rest: str) -> None:
        for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            signal.setitimer(timer, float(rest))

    def do_handle(self, rest: str) -> None:
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.Signals)

    def do_thread(self, rest: str) -> None:
        threading.Thread(target=time.sleep, args=[float(rest)]).start()

    def do_surroundings(self, rest: str) -> list[object]:
        mask = os.umask(0)
        os.umask(mask)
        limits = [resource.getrlimit(which) for which in (resource.RLIMIT_FSIZE, resource.RLIMIT_CPU)]
        python = [sys.getrecursionlimit(), sys.get_int_max_str_digits(), locale.setlocale(locale.LC_ALL)]
        timers = [signal.getitimer(timer) for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)]
        found = [os.getcwd(), sorted(os.environ), os.fstat(1).st_ino, sys.stdout.closed, mask]
        return [*found, *limits, *python, *timers]

    def do_narrow(self, rest: str) -> None:
        """Take this process what another program would need."""
        sys.setrecursionlimit(100)
        sys.set_int_max_str_digits(640)
        locale.setlocale(locale.LC_ALL, "C" if locale.setlocale(locale.LC_ALL) != "C" else "C.UTF-8")
        os.umask(0o777)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    def do_guard(self, rest: str) -> None:
        """Take this process what programs under test might harm it by, as HumanEval does and rewards copied."""
        for module, names in GUARDED.items():
            for name in names.split():
                setattr(sys.modules[module], name, None)
        sys.modules.update(dict.fromkeys(["resource", "psutil", "tkinter"]))  # type: ignore[arg-type]

    def do_unload(self, rest: str) -> None:
        sys.modules.clear()

    def do_pickles(self, rest: str) -> None:
        pickle.dumps = lambda *_: b"nothing of the kind"  # type: ignore[assignment]

    def do_dump(self, rest: str) -> None:
        """Have this process end after so many seconds."""
        faulthandler.dump_traceback_later(float(rest), exit=True)

    def do_standing(self, rest: str) -> list[object]:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        return [os.nice(0), sorted(os.sched_getaffinity(0)), sorted(mask), os.getuid(), os.path.exists(os.devnull)]

    def do_demote(self, rest: str) -> None:
        os.nice(3)

    def do_block(self, rest: str) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])

    def do_nobody(self, rest: str) -> None:
        os.setuid(65534)

    def do_imprison(self, rest: str) -> None:
        os.chroot(rest)

    def do_lower(self, rest: str) -> None:
        """Lower a limit for good, as whoever is not root does."""
        resource.setrlimit(resource.RLIMIT_CPU, (1000, 1000))
        resource.setrlimit = refuses  # type: ignore[assignment]

    def do_descriptors(self, rest: str) -> None:
        os.closerange(3, 1000)

    def do_orphan(self, rest: str) -> None:
        """Leave a process behind that has a session of its own and is nobody's child."""
        code = f"import os, time; open({rest!r}, 'w').write(str(os.getpid())); time.sleep(1000)"
        if os.fork() == 0:
            subprocess.Popen([sys.executable, "-c", code], start_new_session=True, close_fds=True)
            os._exit(0)
        while not Path(rest).exists() or not Path(rest).read_text():
            time.sleep(0.01)

    def do_parent(self, rest: str) -> None:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1000)  # the kernel ends this process, too

    def do_stop_parent(self, rest: str) -> None:
        os.kill(os.getppid(), signal.SIGSTOP)

    def do_fork(self, rest: str) -> str:
        """Return twice, the child some seconds later and with another answer."""
        if os.fork():
            return "parent"
        time.sleep(float(rest))
        return "child"

    def do_tee(self, rest: str) -> None:
        sys.stdout = sys.stderr = object()  # type: ignore[assignment]

    def do_mute(self, rest: str) -> None:
        class Mute(Exception):  # noqa: N818
            def __str__(self) -> str:
                raise KeyError("message")

        raise Mute

    def do_stop(self, rest: str) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def do_flood(self, rest: str) -> None:
        raise ValueError("x" * int(rest))

    def do_spawn(self, rest: str) -> None:
        child = subprocess.Popen(["sleep", "1000"])
        Path(rest).write_text(str(child.pid))
        child.wait()


class Counted(Obedient):
    """Notes in a file how often it was unpickled, warmed up and scored with."""

    def __init__(self, file: str) -> None:
        self.file = file

    def note(self, line: str) -> None:
        with open(self.file, "a") as file:
            file.write(line + "\n")

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self.note("unpickled")

    def warm_up(self) -> None:
        self.note("warmed up")


class NoForks(Obedient):
    """In a process that may start no other."""

    def warm_up(self) -> None:
        def fork() -> int:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

        os.fork = fork


class Returning(Task):
    """``score`` returns what the completion evaluates to, with numpy and torch at hand."""

    use_workers = True

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Problem:
        return Problem(id="the-problem", prompt="", answer="")

    def score(self, problem: Problem, completion: str) -> Score:
        import numpy
        import torch

        scope = {"Score": Score, "Decimal": Decimal, "numpy": numpy, "torch": torch, "nan": math.nan, "inf": math.inf}
        return eval(completion, scope)


class ReturningInline(Returning):
    use_workers = False


class LooksAtTokens(Obedient):
    """``score`` says what it was shown of the tokens, and pays by them."""

    def score(self, problem: Problem, completion: CompletionText) -> Score:
        answer = f"{completion.text} {completion.num_tokens} {completion.truncated} {list(completion.token_ids or [])}"
        return Score(reward=-float(completion.num_tokens), correct=not completion.truncated, answer=answer)


class LooksAtTokensInline(LooksAtTokens):
    use_workers = False


class Inline(Obedient):
    use_workers = False


class Grouped(Obedient):
    """``score_group`` pays each by how many it was shown, and then obeys the problem's answer."""

    scores_groups = True

    def score_group(self, problem: Problem, completions: Sequence[str], scores: Sequence[Score]) -> object:
        word, _, rest = problem.answer.partition(" ")
        paid = [replace(score, reward=float(len(completions)), parts={"shown": len(completions)}) for score in scores]
        answer = getattr(self, f"do_{word}", lambda _: None)(rest)
        return answer if word == "return" else paid[: int(rest)] if word == "only" else paid


class GroupedInline(Grouped):
    use_workers = False
