"""Rows of any kind, judged by a function that people already have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.rewards.function import FunctionReward
from lit_passk.tasks.base import Task
from lit_passk.tasks.columns import NoColumnError, is_missing, look_up, shown
from lit_passk.tasks.records import Record, plain_text
from lit_passk.tasks.rows import ANSWER_COLUMNS, PROMPT_COLUMNS, Columns, Names, read_problems
from lit_passk.tasks.scores import BadScore, as_number
from lit_passk.types import CompletionText, Problem, Score

_NOT_JUDGED = Score(reward=0.0, correct=False)


class FunctionTask(Task):
    """A data set whose completions are judged by a function: verl's ``custom_reward_function``, one of TRL's.

    The reward is the number that the function returns, and a completion is correct from ``correct_from`` on. How it is
    called follows from the names of its parameters, as ``FunctionReward`` says. It runs in worker processes under the
    time limit of scoring; what it raises leaves the completion unscored.

    Problems keep all columns of their row that are no images or other bytes, whatever their size, since the function
    may ask for them.

    Args:
        path: A ``.jsonl`` or ``.parquet`` file, a folder of them, or ``owner/name`` on the Hugging Face hub; or several
            of these.
        function: ``path/to/file.py:name`` or ``package.module:name``.
        kwargs: What else it is called with.
        secrets: Environment variables with credentials that it needs, as of ``FunctionReward``.
        correct_from: The smallest value that counts as correct for Pass@k.
        prompt_column: Where the prompt is, a text or a chat; of several names the first that holds something.
        answer_column: Where the reference answer is; rows without one are left out and counted. None takes what the
            usual columns hold, if they hold anything, and leaves out none: the function may need no reference.
        id_column: Where a name is that no other row has; None is the row's place in the data set.
        split: Of a hub data set; of a folder, the files whose names begin with it.
        subset: Configuration of a hub data set, such as ``main``.
        instruction: Follows the prompt on a line of its own; empty for none.
        expected_rows: Published number of rows, or several of them; another count warns.
        source_column: Which data set a row is from, for metrics per source; None takes ``data_source``, where a row has
            it.
        metadata_columns: The only columns that problems keep for the function; None keeps all.
        only: The rows to read of a file that mixes several kinds, as ``{column: value or list of values}``.

    Raises:
        ValueError: If there is no such function, its parameters fit no known signature, or no row has a column that it
            must have.

    Example:
        >>> import json, pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "rows.jsonl").write_text(json.dumps({"prompt": "Say hi.", "words": 2}))
        >>> _ = (folder / "f.py").write_text("def f(completion, words): return float(len(completion.split()) <= words)")
        >>> task = FunctionTask(str(folder / "rows.jsonl"), f"{folder / 'f.py'}:f")
        >>> task.score(task[0], CompletionText("Hi there.")).correct
        True

    """

    use_workers = True

    def __init__(
        self,
        path: Names,
        function: str,
        kwargs: dict[str, Any] | None = None,
        correct_from: float = 1.0,
        prompt_column: Names = PROMPT_COLUMNS,
        answer_column: Names | None = None,
        id_column: Names | None = None,
        split: str | None = None,
        subset: str | None = None,
        instruction: str = "",
        expected_rows: int | Sequence[int] | None = None,
        source_column: Names | None = None,
        metadata_columns: Sequence[str] | None = None,
        only: Mapping[str, Any] | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self.judge = FunctionReward(function, kwargs, secrets=secrets)
        self.secrets = self.judge.secrets
        self.scores_groups = self.judge.needs_group
        self.correct_from = correct_from
        columns = Columns(
            prompt=prompt_column,
            answer=answer_column,
            id=id_column,
            source=source_column,
            metadata=metadata_columns,
            max_characters=float("inf"),
            only=only,
        )
        rows = read_problems(
            path,
            columns,
            lambda record, _: reference_text(record, answer_column),
            instruction=instruction,
            split=split,
            subset=subset,
            expected_rows=expected_rows,
        )
        self.problems = [problem for problem, _ in rows]
        self.judge.check(self)

    def __len__(self) -> int:
        return len(self.problems)

    def __getitem__(self, index: int) -> Problem:
        return self.problems[index]

    def score(self, problem: Problem, completion: CompletionText) -> Score:
        """What the function says; where it looks at whole groups, that comes with ``score_group``."""
        if self.scores_groups:
            return _NOT_JUDGED
        return self._verdict(problem, self.judge.value(problem, completion, _NOT_JUDGED))

    def score_group(
        self, problem: Problem, completions: Sequence[CompletionText], scores: Sequence[Score]
    ) -> Sequence[Score]:
        """What the function says of each completion of the group."""
        values = self.judge.group_values(problem, completions, scores)
        values = values.tolist() if hasattr(values, "tolist") else values  # of numpy or torch
        if not isinstance(values, list | tuple) or len(values) != len(completions):
            raise BadScore(
                f"{self.judge} must return a list with one number for each of the {len(completions)} completions of "
                f"the group, but returned {shown(values)} for problem {problem.id!r}."
            )
        return [self._verdict(problem, value) for value in values]

    def warm_up(self) -> None:
        """Load the function."""
        self.judge.warm_up()

    def _verdict(self, problem: Problem, value: Any) -> Score:
        if value is None:
            return Score(reward=0.0, correct=False, error=f"{self.judge} does not apply: it returned None")
        number = as_number(value)
        if number is None:
            raise BadScore(
                f"{self.judge} must return a number, but returned {shown(value)} for problem {problem.id!r}."
            )
        return Score(reward=number, correct=number >= self.correct_from)


def reference_text(record: Record, columns: Names | None) -> str:
    """A row's reference answer as text, objects and lists of them as JSON; empty where a row needs none and has none.

    Raises:
        Refusal: If named columns do not exist.
    """
    if columns is not None:
        value = record.find(columns, "the reference answer")[1]
    else:
        held = (_held(record, name) for name in ANSWER_COLUMNS)
        value = next((value for value in held if value is not None), None)
    text = "" if value is None else plain_text(value)
    try:
        return json.dumps(value, ensure_ascii=False) if text is None else text
    except (TypeError, ValueError):
        raise Refusal(
            f"{record.where} needs text, numbers or lists and objects of them as the reference answer, but "
            f"got {shown(value)}."
        ) from None


def _held(record: Record, name: str) -> Any:
    try:
        value = look_up(record.fields, name)
    except NoColumnError:
        return None
    return None if is_missing(value) else value
