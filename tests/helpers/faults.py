"""Faults that happen to real runs, put where a test wants them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch

from lit_passk.callbacks import RolloutCallback

PHASES = {
    "start": "of the next step",
    "sampling": "the next step",
    "scoring": "the next step",
    "logprobs": "before its first update",
    "forward": "within its update",
    "backward": "within its update",
    "optimizer": "within its update",
    "update": "between its two optimizer steps",
    "log": "when it is done but nothing of it is on the disk",
    "rollouts": "in the middle of writing them",
    "validation": "within the one that follows that step",
    "write": "in the middle of writing the checkpoint of that step",
    "rename": "with the checkpoint written but not yet under its name",
}
"""Where a fault may be put, given a number of steps that are done."""


class FaultAt(L.Callback):
    """Something that happens once, in a phase of an RL step of the command line or of a ``Trainer``.

    Args:
        step: RL steps done by then.
        where: One of ``PHASES``.
        rank: Which rank; -1 is every rank, as when a machine goes down.
    """

    def __init__(self, step: int, where: str, rank: int = -1) -> None:
        assert where in PHASES, where
        self.step = step
        self.where = where
        self.rank = rank
        self.updates = 0
        self.happened = False

    def happen(self) -> None:
        raise NotImplementedError

    def _reach(self, where: str, step: int | None = None) -> None:
        now = self.module.rl_step if step is None else step
        if self.happened or (now, where) != (self.step, self.where):
            return
        if self.rank in (-1, self.trainer.global_rank):
            self.happened = True
            self.happen()

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.trainer, self.module = trainer, pl_module
        [rollout] = [c for c in trainer.callbacks if isinstance(c, RolloutCallback)]
        generate = rollout.engine.generate

        def half_of_it(*args: Any) -> Iterator[Any]:
            for group in generate(*args):
                yield group
                self._reach("validation" if trainer.validating else "sampling")

        rollout.engine.generate = half_of_it  # type: ignore
        task = trainer.datamodule.tasks["train"]
        if not task.use_workers:  # it would have to be pickled
            score = task.score
            task.score = lambda *args: (self._reach("scoring"), score(*args))[1]
        pl_module.policy.register_forward_pre_hook(
            lambda *_: self._reach("forward" if torch.is_grad_enabled() else "logprobs")
        )
        trainer.optimizers[0].register_step_post_hook(lambda *_: self._reach("optimizer"))
        self.replace = os.replace

        def within_rollouts(source: Any, target: Any) -> None:
            if Path(target).name.startswith("step_"):
                self._reach("rollouts", self.module.rl_step - 1)
            self.replace(source, target)

        os.replace = within_rollouts

    def teardown(self, trainer: L.Trainer, pl_module: Any, stage: str) -> None:
        os.replace = getattr(self, "replace", os.replace)  # the next test in this process is another one

    def on_exception(self, trainer: L.Trainer, pl_module: Any, exception: BaseException) -> None:
        self.teardown(trainer, pl_module, "fit")

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        self._reach("start")
        self.updates = 0

    def on_after_backward(self, trainer: L.Trainer, pl_module: Any) -> None:
        self._reach("backward")

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: Any, optimizer: Any) -> None:
        self.updates += 1
        if self.updates == 2:
            self._reach("update")

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        self._reach("log", pl_module.rl_step - 1)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: Any) -> None:
        if self.happened or pl_module.rl_step != self.step or self.rank not in (-1, trainer.global_rank):
            return
        if self.where == "write":
            save = torch.save

            def half(obj: Any, file: Any, *args: Any, **kwargs: Any) -> None:
                """What the disk holds when the power goes: a part of the file."""
                save(obj, file, *args, **kwargs)
                if isinstance(file, (str, Path)) and not self.happened:
                    os.truncate(file, os.path.getsize(file) // 2)
                    self._reach("write")
                    save(obj, file, *args, **kwargs)  # unless that was the end

            torch.save = half
        elif self.where == "rename":
            Path.rename = Path.replace = lambda *args: self._reach("rename")  # type: ignore


class KillAt(FaultAt):
    """SIGKILLs this process."""

    def happen(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class SignalAt(FaultAt):
    """Sends this process a signal.

    Args:
        number: The signal.
    """

    def __init__(self, step: int, where: str, rank: int = -1, number: int = signal.SIGTERM) -> None:
        super().__init__(step, where, rank)
        self.number = number

    def happen(self) -> None:
        os.kill(os.getpid(), self.number)
        sum(range(1000))  # Python looks for signals between instructions


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
                return out._replace(logprobs=out.logprobs * float("nan"))
            return None

        pl_module.policy.register_forward_hook(ruin)
