"""Rows of a data set: where each was read, what its columns hold, and which of them have an answer."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.printable import surrogate
from lit_passk.tasks.columns import NoColumnError, is_missing, look_up, shown
from lit_passk.types import Problem


class NoSuchColumn(Refusal):
    """A row has none of the columns that something is looked for in."""


class NoAnswer(Refusal):
    """No row of a data set has a reference answer."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row and where it was read, for error messages."""

    where: str
    """For example ``gsm8k.jsonl line 3``."""
    fields: Mapping[str, Any]

    def find(self, columns: str | Sequence[str], purpose: str) -> tuple[str, Any]:
        """The first column that holds something, or else the first that exists, and its value.

        Args:
            columns: Name of the column, dotted into an object, a list or the JSON text of one
                (``reward_model.ground_truth``), or several names of which the first that holds a value is taken.
            purpose: What it is needed for, for the error message.

        Raises:
            NoSuchColumn: If none of them exists; names file, line, column and what is at the deepest place that exists.
        """
        names = [columns] if isinstance(columns, str) else list(columns)
        found: dict[str, Any] = {}
        lost: list[NoColumnError] = []
        for name in names:
            try:
                found[name] = look_up(self.fields, name)
            except NoColumnError as error:
                lost.append(error)
            else:
                if not is_missing(found[name]):
                    return name, found[name]
        if found:
            return next(iter(found.items()))
        deepest = "; ".join(str(error) for error in lost if error.reached)
        there = ", ".join(repr(name) for name in self.fields) or "none: the row is empty"
        what = deepest if deepest and len(names) == 1 else f"Its columns are {there}{'; ' if deepest else ''}{deepest}"
        raise NoSuchColumn(f"{self.where} has no column {any_of(names)} for {purpose}. {what}.")

    def text(self, columns: str | Sequence[str], purpose: str) -> str:
        """The text of a column that may not be empty.

        Args:
            columns: As in ``find``.
            purpose: What the text is needed for, for the error message.

        Raises:
            Refusal: If no such column exists, or it holds nothing, neither text nor number nor truth value, or a
                text with half a surrogate pair; names file, line, column and what was found.

        Example:
            >>> Record("a.jsonl line 1", {"question": "1 + 1?", "answer": 2.0}).text("answer", "the answer")
            '2'

        """
        name, value = self.find(columns, purpose)
        text = plain_text(value)
        if text is None or not text.strip():
            inner = next(iter(value), None) if isinstance(value, Mapping) else None
            hint = "" if inner is None else f" A point leads into it: {f'{name}.{inner}'!r}."
            raise Refusal(f"{self.where} needs {purpose} in column {name!r}, but got {shown(value)}.{hint}")
        if (half := surrogate(text)) is not None:
            raise Refusal(
                f"{self.where} holds half of a surrogate pair ({half}) in column {name!r}, so it is no text that could "
                f"be tokenized: {shown(text)}. Mend or remove the row."
            )
        return text

    def lacks(self, columns: str | Sequence[str], purpose: str) -> bool:
        """Whether all of these columns that exist hold nothing: null, NaN or an empty text or list.

        Raises:
            Refusal: If none of them exists.
        """
        return is_missing(self.find(columns, purpose)[1])


def answered(
    records: Sequence[Record],
    columns: str | Sequence[str],
    path: str | Sequence[str],
    open_question: Callable[[Record], bool] = lambda _: False,
) -> list[tuple[int, Record]]:
    """The rows that have a reference answer, each with its position in the data set: the rule of every reading task.

    A row without one (null, NaN, empty, or an ``open_question``) cannot be scored: it is left out, and one warning
    counts such rows. A row without the column is refused, since a name that is wrong would lose them all.

    Raises:
        NoAnswer: If no row has one.
        NoSuchColumn: If a row has none of the columns.
    """
    kept = [
        (at, record)
        for at, record in enumerate(records)
        if not record.lacks(columns, "the reference answer") and not open_question(record)
    ]
    if not kept:
        names = [columns] if isinstance(columns, str) else list(columns)
        raise NoAnswer(
            f"No row of {path!r} has a reference answer in column {any_of(names)}. The first is {records[0].where}."
        )
    if missing := len(records) - len(kept):
        positions = {at for at, _ in kept}
        first = next(record for at, record in enumerate(records) if at not in positions)
        warnings.warn(
            f"{missing} of {len(records)} rows of {path!r} have no reference answer and are left out, "
            f"the first at {first.where}.",
            stacklevel=3,
        )
    return kept


def any_of(names: Sequence[str]) -> str:
    """Names of columns for a message; of many the first few, since the documentation lists the usual ones."""
    few = names if len(names) < 6 else names[:4]
    more = "" if len(few) == len(names) else f" or {len(names) - len(few)} others that docs/data.md lists"
    return " or ".join(repr(name) for name in few) + more


def check_problem(problem: Any, where: str) -> None:
    """Refuse what a task gives out as a problem and no tokenizer could read.

    Args:
        problem: What the task returned for an index.
        where: Begins the message, such as ``MyTask 'train', problem 3,``.

    Raises:
        Refusal: If it is no Problem, or its prompt is neither text nor chat, or holds half a surrogate pair.
    """
    if not isinstance(problem, Problem):
        raise Refusal(f"{where} must be a Problem(id=..., prompt=..., answer=...), but is {shown(problem)}.")
    prompt = problem.prompt
    turns = [{"content": prompt}] if isinstance(prompt, str) else prompt
    if not isinstance(turns, list | tuple) or not all(isinstance(turn, Mapping) for turn in turns):
        raise Refusal(f"{where} needs a text or a list of turns as its prompt, but has {shown(prompt)}.")
    for text in (str(turn.get("content")) for turn in turns):
        if (half := surrogate(text)) is not None:
            raise Refusal(f"{where} has half of a surrogate pair ({half}) in its prompt: {shown(text)}.")


def plain_text(value: Any) -> str | None:
    """Text, truth values, numbers (whole ones without a point) and lists of them as text; None for anything else.

    Example:
        >>> plain_text([1.0, "x", True]), plain_text(float("nan"))
        ('1, x, True', None)

    """
    if isinstance(value, str):
        return value
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value == int(value) else str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        parts = [plain_text(part) for part in value]
        return None if None in parts else ", ".join(part for part in parts if part)
    return None
