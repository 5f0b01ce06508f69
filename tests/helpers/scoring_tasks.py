"""Tasks whose scoring does what the completion says, in worker processes that have to import this file."""

from __future__ import annotations

import ctypes
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from lit_passk.tasks.base import Task
from lit_passk.types import CompletionText, Problem, Score

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
