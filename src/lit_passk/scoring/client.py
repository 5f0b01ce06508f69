"""A thread's way to its worker: scores come back, or the reason why there are none."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lit_passk.printable import printable
from lit_passk.scoring.pool import CLOSED, Worker, WorkerLost, WorkerPool
from lit_passk.tasks.base import Task
from lit_passk.tasks.scores import BadScore
from lit_passk.types import Problem, Score

log = logging.getLogger(__name__)


class Client:
    """One thread's worker, replaced whenever it is lost.

    Args:
        pool: Where workers come from.
        tasks: The tasks by name.
        timeout: Seconds one completion may take, unless its task says more.
        logged: Kinds of errors whose traceback was shown; shared between threads.
    """

    def __init__(self, pool: WorkerPool, tasks: Mapping[str, Task], timeout: float, logged: set[str]) -> None:
        self.pool = pool
        self.tasks = tasks
        self.timeout = timeout
        self.logged = logged
        self.worker: Worker | None = None

    def scores(
        self, name: str, problem: Problem, completions: Sequence[str], scores: Sequence[Score] | None = None
    ) -> list[Score]:
        """Have completions scored; given the ``scores`` of a whole group, the step over it.

        Completions that could not be scored keep their reason in that step, and get no time for it.

        Raises:
            BadScore: If the task returned what is no score.
        """
        before = list(scores) if scores is not None else [Score(reward=0.0, correct=False)] * len(completions)
        rows = sum(score.error is None for score in before)
        if rows == 0:
            return before
        try:
            request = pickle.dumps((name, problem, completions, scores))
            if self.pool.closed:
                raise WorkerLost(CLOSED)
            if self.worker is None or self.worker.ended():
                self.worker = self.pool.fork()
            answer, trace = self.worker.score(request, rows * self.tasks[name].time_limit(self.timeout))
        except WorkerLost as lost:
            self.worker = None
            return _unscored(before, CLOSED if self.pool.closed else str(lost))
        if isinstance(answer, BadScore):
            raise answer
        if isinstance(answer, str):
            self._log_once(name, problem, answer, trace)
            return _unscored(before, answer)
        return answer

    def close(self) -> None:
        """Let the worker go."""
        if self.worker is not None:
            self.worker.connection.close()

    def _log_once(self, name: str, problem: Problem, reason: str, trace: str | None) -> None:
        kind = reason.partition(":")[0]
        if kind not in self.logged:
            self.logged.add(kind)
            why = printable(trace or "")  # which may cite the completion
            log.warning("A completion of problem %r of task %r could not be scored:\n%s", problem.id, name, why)


def _unscored(before: Sequence[Score], reason: str) -> list[Score]:
    """No score for any completion; those that had none keep their own reason."""
    failed = Score(reward=0.0, correct=False, error=reason)
    return [replace(failed, answer=score.answer) if score.error is None else score for score in before]
