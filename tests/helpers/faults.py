"""Faults that happen to real runs, put where a test wants them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch


class KillAt(L.Callback):
    """SIGKILLs this process in an RL step.

    Args:
        step: RL steps done by then.
        where: ``start`` of the next step; ``update``: between its two optimizer steps; ``write``: in the middle of
            writing the checkpoint of that step; ``rename``: with the checkpoint written but not yet under its name.
        rank: Which rank; -1 is every rank, as when a machine goes down.
    """

    def __init__(self, step: int, where: str, rank: int = -1) -> None:
        self.step = step
        self.where = where
        self.rank = rank
        self.updates = 0

    def _kill(self, trainer: L.Trainer, step: int, where: str) -> None:
        if (step, where) == (self.step, self.where) and self.rank in (-1, trainer.global_rank):
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        self._kill(trainer, pl_module.rl_step, "start")
        self.updates = 0

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: Any, optimizer: Any) -> None:
        self.updates += 1
        if self.updates == 2:
            self._kill(trainer, pl_module.rl_step, "update")

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: Any) -> None:
        if pl_module.rl_step != self.step or self.rank not in (-1, trainer.global_rank):
            return
        if self.where == "write":
            save = torch.save

            def half(obj: Any, file: Any, *args: Any, **kwargs: Any) -> None:
                """What the disk holds when the power goes: a part of the file."""
                save(obj, file, *args, **kwargs)
                if isinstance(file, (str, Path)):
                    os.truncate(file, os.path.getsize(file) // 2)
                    os.kill(os.getpid(), signal.SIGKILL)

            torch.save = half
        elif self.where == "rename":
            Path.rename = Path.replace = lambda *args: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore


class RaiseAt(L.Callback):
    """Raises on one rank at the start of an RL step.

    Args:
        step: RL steps done by then.
        rank: Which rank.
    """

    def __init__(self, step: int, rank: int) -> None:
        self.step = step
        self.rank = rank

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        if (pl_module.rl_step, trainer.global_rank) == (self.step, self.rank):
            raise ValueError("the disk of this rank is full")


class HangAt(RaiseAt):
    """Sleeps for ever on one rank at the start of an RL step."""

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        if (pl_module.rl_step, trainer.global_rank) == (self.step, self.rank):
            time.sleep(3600)


class NanAt(L.Callback):
    """The policy's log-probabilities are NaN on one rank, in the training of some RL steps.

    Args:
        steps: RL steps done by then.
        rank: Which rank.
    """

    def __init__(self, steps: list[int], rank: int) -> None:
        self.steps = steps
        self.rank = rank

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        def ruin(policy: Any, args: Any, out: Any) -> Any:
            if torch.is_grad_enabled() and (pl_module.rl_step in self.steps and trainer.global_rank == self.rank):
                return out[0] * float("nan"), out[1]
            return None

        pl_module.policy.register_forward_hook(ruin)
