"""Signals that end a run: a checkpoint first, then an exit status that tells which signal it was."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch.trainer.states import TrainerFn

from lit_passk.callbacks.resume import ResumeCheckpoint
from lit_passk.distributed import all_max, world_size
from lit_passk.engines.interrupts import ENDING, REPEATED

Handler = Callable[[int, FrameType | None], Any]

ECHO = 1.0
"""Seconds in which a signal that comes again is the same: launchers pass on what a terminal sends to all."""


class Stopped(SystemExit):
    """A signal ended the run. The exit status is 128 plus its number, as a shell reports it.

    Args:
        number: The signal.
        together: Whether every rank stops at this very place, so that they can still write a checkpoint together.
    """

    def __init__(self, number: int, together: bool) -> None:
        super().__init__(128 + number)
        self.together = together

    def __str__(self) -> str:
        return f"the run was stopped by {signal.Signals(self.code - 128).name}"  # type: ignore[operator]


@contextmanager
def signals_end_at_once() -> Iterator[None]:
    """Until a training begins, and after it, a signal ends the process like an error, with its exit status."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Stopped(number, together=False)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ends = [number for number in ENDING if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)]
    before = {number: signal.signal(number, end) for number in ends}
    try:
        yield
    except Stopped as stopped:
        if stopped.code == 128 + REPEATED:  # the next would kill the interpreter, which takes a second to end
            before[REPEATED] = signal.SIG_IGN
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StopOnSignal(L.Callback):
    """Ends a run on SIGINT (Ctrl-C), SIGTERM, SIGHUP or SIGXCPU with its last RL step in a checkpoint.

    A second signal ends it at once; SIGXCPU, a limit on CPU time, comes again each second and counts as one.
    One process stops sampling, validating or computing gradients where it is: the weights are still those after the
    last RL step. While they change, and with several processes, the step under way is finished; one process that got
    the signal is enough. An evaluation ends at once, or after the batch with several processes; what it has sampled is
    in its result file.

    The signal by which SLURM announces the end of a job (SIGUSR1) is handed on to Lightning at the end of a step, which
    writes ``hpc_ckpt_<n>.ckpt`` and requeues the job. Signals that are ignored (by ``nohup``) stay ignored.
    """

    def __init__(self) -> None:
        self._got: int | None = None
        self._since = 0.0
        self._requeue: tuple[int, Handler] | None = None
        self._requeue_due = False
        self._trainer: L.Trainer | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the signals over from Lightning, which gives them back to their handlers before when the run ends."""
        self._trainer = trainer
        if threading.current_thread() is not threading.main_thread():
            return
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end)
        environment = trainer._accelerator_connector.cluster_environment
        if isinstance(environment, SLURMEnvironment) and environment.requeue_signal is not None:
            number, handler = environment.requeue_signal, signal.getsignal(environment.requeue_signal)
            if environment.auto_requeue and callable(handler):
                self._requeue = (number, handler)
                signal.signal(number, self._note_requeue)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """As for a training; one in the course of a training has begun with it."""
        if trainer.state.fn != TrainerFn.FITTING:
            self.on_train_start(trainer, pl_module)
        else:
            self._look()

    on_test_start = on_predict_start = on_validation_start

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        """Stop between two steps."""
        self._look()

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Let Lightning write its checkpoint and requeue the job: here the state is one to go on from."""
        if self._requeue is not None and all_max(torch.tensor(int(self._requeue_due)), "signals"):
            self._requeue_due = False
            number, handler = self._requeue
            handler(number, None)

    def on_validation_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        """Stop between two batches."""
        self._look()

    on_test_batch_start = on_predict_batch_start = on_validation_batch_start  # type: ignore[assignment]

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Let nothing that only prints keep the others from cleaning up."""
        leave_closed_outputs()

    def _look(self) -> None:
        """Act on signals that came meanwhile, on whichever rank; every rank must call this."""
        if got := int(all_max(torch.tensor(self._got or 0), "signals")):
            self._got = got
            raise Stopped(got, together=True)

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self._got is not None:
            if number != REPEATED and time.monotonic() > self._since + ECHO:  # somebody means it
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        self._got, self._since = number, time.monotonic()
        leave_closed_outputs()
        at_once = self._may_stop_here()
        when = "here" if at_once else "after the step under way"
        more = "" if number == REPEATED else "; once more: at once"
        with suppress(OSError):  # printing could be what was interrupted
            os.write(2, f"\nlit-passk: {signal.Signals(number).name}: stops {when}{more}.\n".encode())
        if at_once:
            raise Stopped(number, together=world_size() == 1)

    def _may_stop_here(self) -> bool:
        assert self._trainer is not None
        if world_size() > 1:
            return False
        resume = [c for c in self._trainer.callbacks if isinstance(c, ResumeCheckpoint)]  # type: ignore[attr-defined]
        return self._trainer.state.fn != TrainerFn.FITTING or not resume or resume[0].at_rest

    def _note_requeue(self, number: int, frame: FrameType | None) -> None:
        self._requeue_due = True


def leave_closed_outputs() -> None:
    """Have output that nobody reads any more go nowhere: writing it would raise, before a checkpoint is written.

    A terminal that was closed, or a ``tee`` that Ctrl-C ended too.
    """
    for descriptor in (1, 2):
        poll = select.poll()
        poll.register(descriptor, 0)  # errors are told unasked
        with suppress(OSError):
            if poll.poll(0):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, descriptor)
                os.close(nothing)
