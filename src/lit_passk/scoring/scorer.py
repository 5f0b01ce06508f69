"""Scores completions while the engine is still sampling, under a time limit that nothing gets around."""

from __future__ import annotations

import logging
import pickle
import queue
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import TypeAlias

from lit_passk.errors import Refusal
from lit_passk.scoring.pool import CLOSED, Worker, WorkerLost, WorkerPool
from lit_passk.tasks.base import Task
from lit_passk.tasks.scores import BadScore, score_of
from lit_passk.types import Problem, Score

log = logging.getLogger(__name__)

Item: TypeAlias = tuple[str, Problem, str, "Future[Score]"]


class Scorer:
    """Scores completions of any number of tasks, those with ``use_workers`` in one pool of worker processes.

    A completion that takes too long, or whose worker dies, gets ``Score(error=...)`` and a new worker takes over: the
    trainer sees neither an exception nor a silent 0. Other tasks are scored at once in the caller's thread, where an
    exception is a bug of the task and is raised. Results do not depend on the number of workers.

    Workers start with the first completion that needs them. They ignore Ctrl-C and never outlive this process.

    Args:
        tasks: Tasks by name; each travels to the workers once.
        num_workers: Worker processes.
        timeout: Seconds one completion may take, unless its task's own ``score_timeout`` is longer.

    Example:
        >>> from lit_passk.tasks import MazeTask
        >>> mazes = MazeTask(sizes=[5], num_problems=1)
        >>> with Scorer({"maze": mazes}) as scorer:
        ...     scores = [scorer.submit("maze", mazes[0], text) for text in (mazes.demonstration(0), "UU")]
        ...     [score.result().correct for score in scores]
        [True, False]

    """

    def __init__(self, tasks: Mapping[str, Task], num_workers: int = 2, timeout: float = 10.0) -> None:
        if num_workers < 1:
            raise Refusal(f"Scorer needs num_workers >= 1, but got {num_workers}.")
        if timeout <= 0:
            raise Refusal(f"Scorer needs a timeout above 0 seconds, but got {timeout}.")
        self.tasks = dict(tasks)
        self.num_workers = num_workers
        self.timeout = timeout
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._pool: WorkerPool | None = None
        self._closed = False
        self._logged: set[str] = set()

    def submit(self, name: str, problem: Problem, completion: str) -> Future[Score]:
        """Have one completion scored.

        Args:
            name: Which task the problem is from.
            problem: The problem.
            completion: Text without special tokens; a ``CompletionText`` for tasks that look at tokens.

        Returns:
            The score, as a future; collect a list of them in any order. It raises ``BadScore`` if a task with
            ``use_workers`` returned what is no score.

        Raises:
            BadScore: If a task without ``use_workers`` did.
            RuntimeError: If a task without ``use_workers`` raised, with the problem's id.
            ValueError: If a task with ``use_workers`` cannot be pickled.
        """
        if self._closed:
            raise RuntimeError("The scorer is closed.")
        future: Future[Score] = Future()
        if self.tasks[name].use_workers:
            if self._pool is None:
                self._start()
            self._queue.put((name, problem, completion, future))
        else:
            future.set_result(self._score_here(name, problem, completion))
        return future

    def close(self) -> None:
        """Stop at once: completions not scored yet get ``Score(error="the scorer was closed")``. Safe to call twice."""
        self._closed = True
        if self._pool is None:
            return
        self._pool.close()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def __enter__(self) -> Scorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        self._pool = WorkerPool({name: task for name, task in self.tasks.items() if task.use_workers})
        for number in range(self.num_workers):
            thread = threading.Thread(target=self._serve, name=f"scorer-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _score_here(self, name: str, problem: Problem, completion: str) -> Score:
        try:
            return score_of(self.tasks[name], problem, completion)
        except Refusal:
            raise
        except Exception as error:
            raise RuntimeError(
                f"Scoring a completion of problem {problem.id!r} of task {name!r} raised "
                f"{type(error).__name__}: {error}"
            ) from error

    def _serve(self) -> None:
        """Life of a thread: hand one completion after another to a worker of its own."""
        assert self._pool is not None
        worker: Worker | None = None
        while (item := self._queue.get()) is not None:
            name, problem, completion, future = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                request = pickle.dumps((name, problem, completion))
                if self._closed:
                    raise WorkerLost(CLOSED)
                if worker is None or worker.ended():
                    worker = self._pool.fork()
                timeout = max(self.timeout, self.tasks[name].score_timeout or 0.0)
                score, trace = worker.score(request, timeout)
                if isinstance(score, BadScore):
                    raise score
                if trace is not None:
                    self._log_once(name, problem, score, trace)
                future.set_result(score)
            except WorkerLost as lost:
                worker = None
                reason = CLOSED if self._closed else str(lost)
                future.set_result(Score(reward=0.0, correct=False, error=reason))
            except BaseException as error:  # no score, no workers, or a problem that cannot be pickled
                future.set_exception(error)
        if worker is not None:
            worker.connection.close()

    def _log_once(self, name: str, problem: Problem, score: Score, trace: str) -> None:
        kind = str(score.error).partition(":")[0]
        if kind not in self._logged:
            self._logged.add(kind)
            log.warning("A completion of problem %r of task %r could not be scored:\n%s", problem.id, name, trace)
