"""Rows as problems: which columns a data set is likely to have, and what of a row a problem keeps."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.tasks.chats import with_instruction
from lit_passk.tasks.columns import from_json, is_missing, shown
from lit_passk.tasks.files import check_count, load_records
from lit_passk.tasks.pairs import asked, with_completion, with_prompt
from lit_passk.tasks.records import NoAnswer, NoSuchColumn, Record, answered, plain_text
from lit_passk.types import Problem, Prompt

Names = str | Sequence[str]
"""A column, or several of which the first that holds something is taken; dotted into objects, lists and JSON text."""

PROMPT_COLUMNS = (
    "prompt", "problem", "question_concat", "question", "input", "Problem", "Question", "query", "instruction",
    "problem_statement", "problem_text", "original_text", "responses_create_params.input", "0.value",
)  # fmt: skip
ANSWER_COLUMNS = (
    "reward_model.ground_truth", "reward_spec.ground_truth", "answer_number", "reference_answer", "gt_answer", "answer",
    "final_answer", "expected_answer", "ground_truth", "verification_info.ground_truth", "label", "Answer", "gt",
    "solution", "solutions", "ground_truth_solution", "gold_standard_solution", "metadata.expected_answer",
    "golden_answer", "golden", "ans", "final_ans", "info.answer", "completion", "response", "output",
    "1.ground_truth.value",
)  # fmt: skip
# Of the answer: "... your final answer within \boxed{}", 'after "####"'; a worked example's \boxed{7} asks for nothing.
_ASKS_FOR_FORM = re.compile(
    r"(?:answer|response|result|solution|put|place|enclose|wrap)[^\n]{0,80}"
    r"(?:\\boxed(?:\s*\{\s*(?:\.\.\.|…|\\[lc]?dots)?\s*\}|(?!\s*\{))|[\"'`“]####)"
    r"|\\boxed\{[^{}\n]*answer|answer: ?\$?answer|<answer>",
    re.IGNORECASE,
)
_RENDERED = re.compile(r"<[|｜][A-Za-z_▁]{4,}[|｜]>|<start_of_turn>|\[INST\]")  # marks of a chat template
_OBJECTS = ("extra_info", "reward_model", "reward_spec")  # of verl's rows; many files hold their JSON text


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Where the parts of a problem are in a row."""

    prompt: Names = PROMPT_COLUMNS
    """The prompt, a text or a chat."""
    answer: Names | None = ANSWER_COLUMNS
    """The reference answer; a row without one is left out. None: no row needs one."""
    id: Names | None = None
    """A name that no other row has; None is the row's place in the data set, from 0."""
    source: Names | None = None
    """Which data set the row is from; None takes ``data_source``, where a row has it."""
    metadata: Sequence[str] | None = None
    """What else is kept; None keeps all columns that are small, see ``small_columns``."""
    max_characters: float = 4096
    """Most characters of a small column, as a mean over rows."""
    only: Mapping[str, Any] | None = None
    """Rows that are read: those that hold this value, or one of these, in each of these columns."""


def read_problems(
    path: Names,
    columns: Columns,
    reference: Callable[[Record, Prompt], str],
    *,
    instruction: str | None = "",
    default_instruction: str = "",
    split: str | None = None,
    subset: str | None = None,
    expected_rows: int | Sequence[int] | None = None,
    open_question: Callable[[Record], bool] = lambda _: False,
) -> list[tuple[Problem, Record]]:
    """Every row of a data set that has a reference answer, as a problem, and the row.

    Args:
        path: As ``load_records`` takes it.
        columns: Where the parts of a problem are.
        reference: Reads the reference answer of a row that has one; gets its prompt, too.
        instruction: Follows the prompt; None for ``default_instruction`` after a text that does not ask for a form of
            the answer, and nothing after others and after a chat, which says itself what is asked for.
        default_instruction: Follows a text where ``instruction`` is None.
        split: As ``load_records`` takes it.
        subset: As ``load_records`` takes it.
        expected_rows: Published number of rows (of those that ``only`` leaves), or several; another count warns.
        open_question: Whether a row, whatever its answer column says, has no answer to compare with.

    Raises:
        Refusal: If the data set or a row cannot be read, a prompt is the output of a chat template and ``instruction``
            is None, or two rows have the same id; names file, line and column.
    """
    rows = list(enumerate(load_records(path, split, subset)))
    for name, wanted in (columns.only or {}).items():
        rows = _chosen(rows, name, wanted, path)
    check_count(len(rows), expected_rows, repr(path))
    records = _whole([record for _, record in rows], columns, path, open_question)
    kept: list[str] = []
    if columns.metadata is None:
        kept = small_columns([rows[at][1].fields for at, _ in records], path, columns.max_characters)
    found: list[tuple[Problem, Record]] = []
    seen: dict[str, str] = {}
    for at, record in records:
        prompt = asked(record, columns.prompt)
        follows = _usual(default_instruction, prompt, record.where) if instruction is None else instruction
        problem = Problem(
            id=str(rows[at][0]) if columns.id is None else record.text(columns.id, "the id"),
            prompt=with_instruction(prompt, follows, record.where),
            answer=reference(record, prompt),
            source=source_of(record, columns.source),
            metadata=_metadata(record, columns, kept),
        )
        if problem.id in seen:
            raise Refusal(
                f"{record.where} and {seen[problem.id]} have the same id {problem.id!r} in column {columns.id!r}."
            )
        seen[problem.id] = record.where
        found.append((problem, record))
    return found


def _whole(
    given: Sequence[Record], columns: Columns, path: Names, open_question: Callable[[Record], bool]
) -> list[tuple[int, Record]]:
    """The rows that have what they need, in one column each, with their positions."""
    records = list(given)
    if _same(columns.prompt, PROMPT_COLUMNS):
        records = [with_prompt(record, PROMPT_COLUMNS) for record in records]
    if _same(columns.answer, ANSWER_COLUMNS):
        records = [with_completion(record, ANSWER_COLUMNS) for record in records]
    kept = list(enumerate(records))
    try:
        if columns.answer is not None:
            kept = answered(records, columns.answer, path, open_question)
        if kept:
            kept[0][1].find(columns.prompt, "the question")
    except NoAnswer as error:
        raise NoAnswer(
            f"{error} A proof has none, nor has a long solution that does not state one at its end; `answer_column` "
            "takes another name."
        ) from None
    except NoSuchColumn as error:
        raise NoSuchColumn(
            f"{error} `prompt_column` and `answer_column` take other names; a point leads into an object or a list. "
            "`only` reads some of the rows of a file that mixes kinds."
        ) from None
    return kept


def _same(names: Names | None, usual: Sequence[str]) -> bool:
    """Whether they are the usual ones, which a configuration that was written to a file has as a list."""
    return names is not None and list(names) == list(usual)


def _usual(instruction: str, prompt: Prompt, where: str) -> str:
    """What follows a prompt if nothing is set: nothing where it says itself how to answer."""
    if not isinstance(prompt, str):
        return ""
    if mark := _RENDERED.search(prompt):
        raise Refusal(
            f"{where} has a prompt that a chat template was already applied to: it holds {mark[0]!r}. `prompt_column` "
            "names the plain question, if the row has it; `instruction: ''` takes the text as it is, with "
            "`data.chat_template: false`."
        )
    return "" if _ASKS_FOR_FORM.search(prompt) else instruction


def _chosen(rows: Sequence[tuple[int, Record]], name: str, wanted: Any, path: Names) -> list[tuple[int, Record]]:
    texts = {plain_text(value) for value in (wanted if isinstance(wanted, list | tuple) else [wanted])}
    values = [plain_text(record.find(name, "`only`")[1]) for _, record in rows]
    chosen = [row for row, value in zip(rows, values, strict=True) if value in texts]
    if not chosen:
        there = [value for value in dict.fromkeys(values) if value is not None]
        raise Refusal(
            f"No row of {path!r} has {shown(wanted)} in column {name!r}, as `only` wants it. "
            f"It holds {', '.join(map(shown, there[:10])) or 'nothing'}{', ...' if len(there) > 10 else ''}."
        )
    return chosen


def small_columns(rows: Sequence[Mapping[str, Any]], path: Names, most: float) -> list[str]:
    """Names of the columns that every problem may keep, because reward functions might ask for them.

    Text, numbers, truth values, lists and objects of them are kept, where a column has at most so many characters a row
    on average (of a thousand rows, as JSON). One warning names the others.
    """
    sample = rows[:: max(1, len(rows) // 1000)]
    sizes: dict[str, float] = {}
    for row in sample:
        for name, value in row.items():
            sizes[name] = sizes.get(name, 0) + _characters(value)
    large = [name for name, size in sizes.items() if size / len(sample) > most or size == inf]
    if large:
        warnings.warn(
            f"The columns {', '.join(map(repr, large))} of {path!r} are large or no text, numbers or lists of them: "
            "problems do not keep them in their metadata. A reward function that needs one gets it by "
            "`metadata_columns`.",
            stacklevel=2,
        )
    return [name for name in sizes if name not in large]


def _characters(value: Any) -> float:
    if isinstance(value, str):
        return len(value)
    try:
        return len(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):  # bytes, images, dates
        return inf


def source_of(record: Record, columns: Names | None = None) -> str | None:
    """Which data set a row is from: what these columns hold, or ``data_source`` where there is one."""
    if columns is not None:
        return record.text(columns, "the source")
    source = record.fields.get("data_source")
    return None if is_missing(source) else plain_text(source)


def _metadata(record: Record, columns: Columns, kept: Iterable[str]) -> dict[str, Any]:
    if columns.metadata is not None:
        return {name: record.find(name, "the metadata")[1] for name in columns.metadata}
    prompt_column, _ = record.find(columns.prompt, "the question")
    fields = {name: record.fields[name] for name in kept if name in record.fields and name != prompt_column}
    return {name: _object(value) if name in _OBJECTS else value for name, value in fields.items()}


def _object(value: Any) -> Any:
    return from_json(value) if isinstance(value, str) else value
