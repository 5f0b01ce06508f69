"""A task is a set of problems together with the verifier of their answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from lit_passk.types import CompletionText, Problem, Score


class Task(ABC):
    """Problems and their verifier in one object.

    ``score`` must be a pure function of its arguments: with ``use_workers = True`` it runs in other processes (the task
    is pickled there once), under the rollout callback's time limit for one completion.

    Example:
        >>> from dataclasses import replace
        >>> class Times(Task):
        ...     def __len__(self):
        ...         return 4
        ...
        ...     def __getitem__(self, index):
        ...         return Problem(id=str(index), prompt=f"{index} * 7 =", answer=str(index * 7))
        ...
        ...     def score(self, problem, completion):
        ...         correct = completion.strip() == problem.answer
        ...         return Score(reward=float(correct), correct=correct, answer=completion.strip())
        >>> task = Times()
        >>> task.score(task[3], " 21").correct
        True

    A reward may depend on more than the text, which knows its tokens (see ``CompletionText``). Here a right answer is
    paid less for every token above 8, and nothing if it was cut off:

        >>> class ShortTimes(Times):
        ...     def score(self, problem, completion):
        ...         score = super().score(problem, completion)
        ...         price = 1.0 if completion.truncated else 0.25 * max(0, completion.num_tokens - 8)
        ...         return replace(score, reward=max(0.0, score.reward - price))
        >>> task = ShortTimes()
        >>> task.score(task[3], CompletionText(" 21", num_tokens=10))  # exact: as given
        Score(reward=0.5, correct=True, answer='21', error=None)

    """

    use_workers: bool = False
    """True when scoring is slow or may hang: it then runs in worker processes with a time limit."""

    score_timeout: float | None = None
    """Seconds one completion may take, where that is more than ``rollout.score_timeout``: for a task that watches the
    clock itself and gives a score to what takes too long."""

    scores_groups: bool = False
    """True when a reward depends on the other completions of its group: ``score_group`` then follows ``score``."""

    secrets: Sequence[str] = ()
    """Names of environment variables with credentials that ``score`` needs, such as ``OPENAI_API_KEY``: the worker
    processes are given no others. What is a credential is told by the name."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of problems."""

    @abstractmethod
    def __getitem__(self, index: int) -> Problem:
        """The problem at ``index``; the same one every time. Raises IndexError past the end."""

    @abstractmethod
    def score(self, problem: Problem, completion: CompletionText) -> Score:
        """Score one completion, given as text without special tokens; a task may declare it as plain ``str``.

        What it returns is checked (``scores.py``): a wrong type stops the run with a sentence, a reward that is NaN or
        infinite is a completion that could not be scored. So is an exception with ``use_workers``; else it stops the
        run.
        """

    def score_group(
        self, problem: Problem, completions: Sequence[CompletionText], scores: Sequence[Score]
    ) -> Sequence[Score]:
        """Go over the scores of a whole group once ``score`` has given each of them; only with ``scores_groups``.

        Args:
            problem: The problem that all of them answer.
            completions: The group's completions that could be scored, 1 to G, in the order they were sampled.
            scores: What ``score`` said of each.

        Returns:
            The scores in their place, one for each completion. An exception leaves the whole group unscored with
            ``use_workers``, and else stops the run.
        """
        return scores

    def time_limit(self, timeout: float) -> float:
        """Seconds that ``score`` may take for one completion, where ``rollout.score_timeout`` is ``timeout``."""
        return max(timeout, self.score_timeout or 0.0)

    def warm_up(self) -> None:  # noqa: B027 - most tasks have nothing to get ready
        """Load what ``score`` loads on first use; called once with ``use_workers``, before the workers are forked."""

    def demonstration(self, index: int) -> str:
        """A completion worth imitating, for the cold start by supervised fine-tuning (``lit-passk sft``)."""
        raise NotImplementedError(
            f"{type(self).__name__} has no demonstrations, so `lit-passk sft` cannot train on it: "
            "override `demonstration(index)`."
        )
