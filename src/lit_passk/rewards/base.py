"""A part of a reward: a number for one completion, or for each completion of a group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from lit_passk.tasks.base import Task
from lit_passk.types import CompletionText, Problem, Score


class RewardPart(ABC):
    """One part of a reward; ``RewardedTask`` adds up ``weight * value`` of all parts.

    A part must be a pure function of its arguments. With ``use_workers = True`` it runs in the processes that score,
    under their time limit.

    Args:
        weight: What its value counts for; 0 has it logged alone. Penalties are negative values, not negative weights.

    Example:
        >>> class Ends(RewardPart):
        ...     def __init__(self, with_text: str, weight: float = 1.0) -> None:
        ...         super().__init__(weight)
        ...         self.with_text = with_text
        ...
        ...     def value(self, problem, completion, score):
        ...         return float(completion.endswith(self.with_text))
        >>> verdict = Score(reward=0.0, correct=False)
        >>> problem = Problem(id="1", prompt="1 + 1", answer="2")
        >>> Ends(".").value(problem, CompletionText("It is 3."), verdict)  # exact: 0 or 1
        1.0

    """

    use_workers: bool = False
    """True for what is slow or may hang: the task is then scored in worker processes with a time limit."""
    needs_group: bool = False
    """True for what depends on the other completions of the group: ``group_values`` is then called once for all."""
    secrets: Sequence[str] = ()
    """Names of environment variables with credentials that it needs in a worker process, as of a ``Task``."""
    weight: float = 1.0

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def __str__(self) -> str:
        return type(self).__name__

    @abstractmethod
    def value(self, problem: Problem, completion: CompletionText, score: Score) -> float | None:
        """The part's value for one completion.

        Args:
            problem: The problem.
            completion: The completion, which knows its tokens and whether it was cut.
            score: The task's verdict on it.

        Returns:
            A finite number; None where the part does not apply, which pays nothing and is not logged.
        """

    def group_values(
        self, problem: Problem, completions: Sequence[CompletionText], scores: Sequence[Score]
    ) -> Sequence[float | None]:
        """The values for the completions of a group that could be scored, in their order."""
        return [self.value(problem, *pair) for pair in zip(completions, scores, strict=True)]

    def check(self, task: Task) -> None:  # noqa: B027 - most parts need nothing of the rows
        """Refuse a task whose problems lack what the part needs."""

    def warm_up(self) -> None:  # noqa: B027 - most parts have nothing to get ready
        """Load what ``value`` loads on first use; called once, before workers are forked."""


class GroupRewardPart(RewardPart):
    """A part that depends on the other completions of the group: override ``group_values``."""

    needs_group = True

    @abstractmethod
    def group_values(
        self, problem: Problem, completions: Sequence[CompletionText], scores: Sequence[Score]
    ) -> Sequence[float | None]:
        """The values for the completions of a group that could be scored, in their order; see ``RewardPart.value``."""

    def value(self, problem: Problem, completion: CompletionText, score: Score) -> float | None:
        """The value for a completion that is alone in its group."""
        return self.group_values(problem, [completion], [score])[0]


class Verdict(RewardPart):
    """The task's own reward.

    Args:
        weight: What it counts for in the sum.
    """

    def value(self, problem: Problem, completion: CompletionText, score: Score) -> float:
        """``Score.reward`` of the task."""
        return score.reward
