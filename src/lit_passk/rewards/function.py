"""Rewards by functions that people already have."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.rewards.base import RewardPart
from lit_passk.rewards.load import absolute, load_function, process_kept
from lit_passk.rewards.signatures import Call, Signature, recognise, row_columns
from lit_passk.tasks.base import Task
from lit_passk.tasks.scores import BadScore
from lit_passk.types import CompletionText, Problem, Score


class FunctionReward(RewardPart):
    """The value that a function returns. It runs in worker processes, under the time limit of scoring.

    How it is called follows from the names of its parameters: one of ``completion``, ``completions``, ``solution_str``,
    ``sample`` and so on tells, the others may be left out, ``**kwargs`` takes what is left. docs/rewards.md has an
    example of each.

    - ``f(problem, completion, score)``: a ``Problem``, a ``CompletionText``, the task's ``Score``; returns a number.
      Other parameters are ``prompt``, ``answer`` and columns of the problem's row.
    - ``f(problem, completions, scores)``: the same for a whole group; returns a list.
    - verl's ``compute_score(data_source, solution_str, ground_truth, extra_info)``: returns a number, or a dict with
      ``score``; with all names in the plural for a whole group.
    - TRL's ``f(prompts, completions, completion_ids, **columns)``: for a whole group; completions of chats are chats. A
      column is a list of the row's value, repeated. Returns a list of numbers.
    - slime's ``f(args, sample)``, or ``samples`` for a whole group.

    A function may be ``async``. Where None is returned, the function does not apply (not verl's and slime's).

    Args:
        function: ``path/to/file.py:name`` or ``package.module:name``.
        kwargs: What else it is called with.
        weight: What it counts for in the sum.
        secrets: Environment variables with credentials that it needs, such as ``OPENAI_API_KEY``; the processes that
            it runs in are given no others.

    Raises:
        ValueError: If there is no such function, or its parameters fit none of these.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "rewards.py"
        >>> _ = file.write_text("def brief(completion, limit): return float(len(completion.split()) <= limit)")
        >>> part = FunctionReward(f"{file}:brief", kwargs={"limit": 3})
        >>> problem, verdict = Problem(id="1", prompt="1 + 1", answer="2"), Score(reward=1.0, correct=True)
        >>> part.value(problem, CompletionText("It is 2."), verdict)  # exact: 0 or 1
        1.0

    """

    use_workers = True

    def __init__(
        self, function: str, kwargs: dict[str, Any] | None = None, weight: float = 1.0, secrets: Sequence[str] = ()
    ) -> None:
        super().__init__(weight)
        self.secrets = tuple(secrets)
        self.function = absolute(function)
        self.kwargs = dict(kwargs or {})
        self.name = function
        with process_kept():  # what a file changes as it is loaded it changes in the workers alone
            self.needs_group = self._loaded()[1].signature.of_group

    def __str__(self) -> str:
        return f"FunctionReward {self.name}"

    def __getstate__(self) -> dict[str, Any]:
        """Without the function, which every process loads by its name."""
        return {name: value for name, value in self.__dict__.items() if name != "_function"}

    def value(self, problem: Problem, completion: CompletionText, score: Score) -> Any:
        """What the function returns for one completion."""
        return self._call(problem, [completion], [score])

    def group_values(self, problem: Problem, completions: Sequence[CompletionText], scores: Sequence[Score]) -> Any:
        """What the function returns for a group."""
        return self._call(problem, completions, scores)

    def check(self, task: Task) -> None:
        """Refuse a task of whose rows none has a column that the function must have."""
        call, missing = self._loaded()[1], None
        for index in range(len(task)):
            lacks = call.missing(task[index])
            missing = lacks if missing is None else missing & lacks
            if not missing:
                return
        if missing:
            raise Refusal(
                f"{self} needs a column {min(missing)!r}, but no row of {type(task).__name__} has one: the first has "
                f"{', '.join(row_columns(task[0]))}. Name it as the data does, or give it in `kwargs`."
            )

    def warm_up(self) -> None:
        """Load the function."""
        self._loaded()

    def _loaded(self) -> tuple[Callable[..., Any], Call]:
        if "_function" not in self.__dict__:
            function = load_function(self.function)
            self._function = function, recognise(function, self.kwargs, self.name)
        return self._function

    def _call(self, problem: Problem, completions: Sequence[CompletionText], scores: Sequence[Score]) -> Any:
        function, call = self._loaded()
        returned = function(**call.arguments(problem, completions, scores) | self.kwargs)
        if inspect.isawaitable(returned):
            returned = _runner().run(_wait_for(returned))
        if not call.signature.of_group:
            return self._number(returned, call.signature, problem)
        if not isinstance(returned, list | tuple):
            return returned
        return [self._number(value, call.signature, problem) for value in returned]

    def _number(self, value: Any, signature: Signature, problem: Problem) -> Any:
        if signature.score_key is not None and isinstance(value, Mapping) and signature.score_key in value:
            value = value[signature.score_key]
        if value is None and not signature.none_allowed:
            raise BadScore(f"{self} returned None for problem {problem.id!r}, but {signature} must return a number.")
        return value


async def _wait_for(awaitable: Any) -> Any:
    return await awaitable


@cache
def _runner() -> asyncio.Runner:
    """One event loop for the life of the process, so that a function may keep its connections open."""
    return asyncio.Runner()
