"""SIGKILL at every change that a training makes to its files, found by watching them, and what it leaves."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import psutil
import torch
from helpers import faults
from helpers.small_runs import build
from lightning.pytorch.loggers import CSVLogger

from lit_passk.callbacks import RolloutCallback
from lit_passk.checkpointing.run_folder import last_checkpoint

STEPS = 14
CLONE_NEWNS = 0x20000
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = {"os.mkdir", "os.rmdir", "os.rename", "os.remove", "os.truncate", "os.chmod", "os.link", "os.symlink"}
OURS = ("lit_passk.", "lightning.pytorch.loggers.", "lightning.fabric.loggers.")


class KillAtChange:
    """SIGKILLs this process before a change to what lies below a folder; torch's writing of a file is two.

    Args:
        folder: The folder.
        which: The how manieth, from 1; or ``name#n``, the n-th by the function of this name. Empty kills nothing.
    """

    def __init__(self, folder: Path, which: str) -> None:
        self.folder = f"{folder}{os.sep}"
        self.which = which
        self.changes: list[str] = []
        """By which function of this project, or of a logger, each was made."""
        sys.addaudithook(self._hook)
        self._save, torch.save = torch.save, self._torn_save

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(args[2], int) and args[2] & WRITING
        if (writes or event in CHANGES) and str(args[0]).startswith(self.folder):
            self._changed(sys._getframe(1))

    def _torn_save(self, what: Any, file: Any, *args: Any, **kwargs: Any) -> None:
        """``torch.save``, which opens the file in C++: the first change leaves half of it, the second all of it."""
        self._save(what, file, *args, **kwargs)
        if not isinstance(file, str | os.PathLike):
            return
        frame = sys._getframe(1)
        self._changed(frame, lambda: os.truncate(file, os.path.getsize(file) // 2))
        self._changed(frame)

    def _changed(self, frame: FrameType | None, before: Callable[[], None] = lambda: None) -> None:
        while frame is not None and not frame.f_globals.get("__name__", "").startswith(OURS):
            frame = frame.f_back
        where = "somebody else" if frame is None else f"{frame.f_globals['__name__']}.{frame.f_code.co_name}"
        where = where.removeprefix("lit_passk.")
        self.changes.append(where)
        if self.which in (str(len(self.changes)), f"{where}#{self.changes.count(where)}"):
            before()
            kill(where)


def kill(where: str) -> None:
    """SIGKILL to this process; ``last_words.json`` says where, and which processes it had started."""
    started = [child.pid for child in psutil.Process().children(recursive=True)]
    Path("last_words.json").write_text(json.dumps({"where": where, "started": started}))
    os.kill(os.getpid(), signal.SIGKILL)


class KillAt(faults.FaultAt):
    """SIGKILLs this process in a phase of a step."""

    def happen(self) -> None:
        kill(self.where)


def train(args: Sequence[str]) -> None:
    """Train in this process, going on from the last checkpoint: policy's folder, run's folder, where to be killed.

    That is what ``KillAtChange`` takes, or the phase of a ``FaultAt`` and the steps done by then; ``workers``
    has processes score.
    """
    policy, folder, which, *step = [arg for arg in args if arg != "workers"]
    changes = KillAtChange(Path(folder), "" if step else which)
    callbacks: list[L.Callback] = [KillAt(int(step[0]), which)] if step else []
    trainer, module, data = build(policy, Path(folder), *callbacks, every=1, steps=STEPS, workers="workers" in args)
    trainer.loggers, trainer.log_every_n_steps = [CSVLogger(folder)], 1
    last = last_checkpoint(folder)
    [rollout] = [c for c in trainer.callbacks if isinstance(c, RolloutCallback)]
    rollout.save.starts_anew = last is None  # as the command line has it
    trainer.fit(module, datamodule=data, ckpt_path=last)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    torch.save({"weights": module.state_dict(), "metrics": metrics, "changes": changes.changes}, "end.pt")


def evaluate(args: Sequence[str]) -> None:
    """Evaluate in this process: policy's folder, folder; killed in the middle of so manieth writing of results."""
    policy, folder, number = *args[:2], int(args[2])
    pwrite, writes = os.pwrite, []

    def half(descriptor: int, data: bytes, offset: int) -> int:
        writes.append(data)
        if len(writes) == number:
            pwrite(descriptor, data[: len(data) // 2], offset)
            kill("results")
        return pwrite(descriptor, data, offset)

    os.pwrite = half
    trainer, module, data = build(policy, Path(folder))
    [rollout] = [c for c in trainer.callbacks if isinstance(c, RolloutCallback)]
    rollout.evaluation.results = f"{folder}/results.jsonl"
    trainer.validate(module, datamodule=data)
    Path("writes.json").write_text(json.dumps(len(writes)))


def train_within_limits(args: Sequence[str]) -> None:
    """``train`` with 64 open files, on a machine whose shared memory is full."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    if ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0:
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", "/dev/shm"], check=True)
        with open("/dev/shm/full", "wb") as file:
            file.write(bytes(4096))
    train(args)
