"""Scores completions while the engine is still sampling, under a time limit that nothing gets around."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

from lit_passk.errors import Refusal
from lit_passk.scoring.client import Client
from lit_passk.scoring.pool import WorkerPool
from lit_passk.tasks.base import Task
from lit_passk.tasks.scores import group_scores_of, score_of
from lit_passk.types import Problem, Score


@dataclass(eq=False, slots=True)
class _Item:
    """One completion on its way."""

    name: str
    problem: Problem
    completion: str
    future: Future[Score]
    group: _Group | None = None


class _Group:
    """The completions of one problem, for the step over all of them that follows the last one's own score."""

    def __init__(self, name: str, problem: Problem, completions: Sequence[str]) -> None:
        self.name, self.problem, self.completions = name, problem, completions
        self.items = [_Item(name, problem, completion, Future(), self) for completion in completions]
        self.future: Future[list[Score]] = Future()
        self.future.set_running_or_notify_cancel()  # there is nothing to cancel it for
        self._missing = len(self.items)
        self._lock = threading.Lock()

    def one_done(self) -> bool:
        """Count a completion that has its score; whether it was the last."""
        with self._lock:
            self._missing -= 1
            return self._missing == 0


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
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
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
            self._put(_Item(name, problem, completion, future))
        else:
            future.set_result(self._score_here(name, problem, completion))
        return future

    def submit_group(self, name: str, problem: Problem, completions: Sequence[str]) -> Future[list[Score]]:
        """Have all completions of a problem scored, with the step over the whole group where the task has one.

        Each completion is scored as ``submit`` does. The step over the group then has the time limit of all the
        completions in it; where it fails, none of them has a score.

        Args:
            name: Which task the problem is from.
            problem: The problem.
            completions: As ``submit`` takes them.

        Returns:
            The scores in the order of the completions, as a future; it raises what that of ``submit`` would.

        Raises:
            BadScore, RuntimeError, ValueError: As ``submit``.
        """
        if self._closed:
            raise RuntimeError("The scorer is closed.")
        task, group = self.tasks[name], _Group(name, problem, completions)
        if not completions:
            group.future.set_result([])
        elif task.use_workers:
            for item in group.items:
                self._put(item)
        else:
            scores = [self._score_here(name, problem, completion) for completion in completions]
            group.future.set_result(self._group_here(group, scores) if task.scores_groups else scores)
        return group.future

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

    def _put(self, item: _Item) -> None:
        if self._pool is None:
            self._pool = WorkerPool({name: task for name, task in self.tasks.items() if task.use_workers})
            for number in range(self.num_workers):
                thread = threading.Thread(target=self._serve, name=f"scorer-{number}", daemon=True)
                thread.start()
                self._threads.append(thread)
        self._queue.put(item)

    def _score_here(self, name: str, problem: Problem, completion: str) -> Score:
        with _named(f"a completion of problem {problem.id!r} of task {name!r}"):
            return score_of(self.tasks[name], problem, completion)

    def _group_here(self, group: _Group, scores: Sequence[Score]) -> list[Score]:
        with _named(f"the group of problem {group.problem.id!r} of task {group.name!r}"):
            return group_scores_of(self.tasks[group.name], group.problem, group.completions, scores)

    def _serve(self) -> None:
        """Life of a thread: hand one completion after another to a worker of its own."""
        assert self._pool is not None
        client = Client(self._pool, self.tasks, self.timeout, self._logged)
        while (item := self._queue.get()) is not None:
            if not item.future.set_running_or_notify_cancel():
                continue
            try:
                (score,) = client.scores(item.name, item.problem, [item.completion])
                item.future.set_result(score)
            except BaseException as error:  # no score, no workers, or a problem that cannot be pickled
                item.future.set_exception(error)
            if item.group is not None and item.group.one_done():
                self._finish(item.group, client)
        client.close()

    def _finish(self, group: _Group, client: Client) -> None:
        try:
            scores = [item.future.result() for item in group.items]
            if self.tasks[group.name].scores_groups:
                scores = client.scores(group.name, group.problem, group.completions, scores)
            group.future.set_result(scores)
        except BaseException as error:
            group.future.set_exception(error)


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Say what was scored when a task raises; what refuses has a sentence of its own."""
    try:
        yield
    except Refusal:
        raise
    except Exception as error:
        raise RuntimeError(f"Scoring {what} raised {type(error).__name__}: {error}") from error
