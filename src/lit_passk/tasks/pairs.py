"""Rows whose question is in two columns or in a conversation, as rows of a prompt and a completion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lit_passk.tasks.chats import conversation, read_prompt
from lit_passk.tasks.columns import NoColumnError, is_missing, look_up, plain_value
from lit_passk.tasks.records import Record
from lit_passk.types import Prompt

_BODIES = (  # what it is about, what is asked, and what joins them
    ("Body", "Question", " "),  # SVAMP
    ("body", "question", " "),  # ASDiv
    ("instruction", "input", "\n"),  # Alpaca's form
)
_CONVERSATIONS = ("messages", "conversations")
_SYSTEM = ("system", "system_prompt")


def with_prompt(record: Record, columns: Sequence[str]) -> Record:
    """With a ``prompt`` where the question is in two columns, or in a conversation and in none of ``columns``.

    A conversation's last turn of the assistant is no part of the prompt: it would show the answer.
    """
    if not {"prompt", "problem", "question_concat"} & record.fields.keys():
        for about, asked, between in _BODIES:
            texts = [record.fields.get(name) for name in (about, asked)]
            if all(isinstance(text, str) and text.strip() for text in texts):
                return Record(record.where, {**record.fields, "prompt": between.join(texts)})  # type: ignore[arg-type]
    name = _conversation_column(record)
    if name is None or any(not is_missing(_value(record, column)) for column in columns):
        return record
    turns, _ = conversation(record.fields[name], f"{record.where}, column {name!r}")
    return Record(record.where, {**record.fields, "prompt": turns}) if turns else record


def with_completion(record: Record, columns: Sequence[str]) -> Record:
    """With a ``completion``, the assistant's last turn of a conversation, where the row has none of ``columns``.

    A column that exists and holds nothing stays a missing answer: what a model wrote does not stand in for it.
    """
    name = _conversation_column(record)
    if name is None or any(_exists(record, column) for column in columns):
        return record
    _, answer = conversation(record.fields[name], f"{record.where}, column {name!r}")
    return Record(record.where, {**record.fields, "completion": answer}) if answer is not None else record


def asked(record: Record, columns: str | Sequence[str]) -> Prompt:
    """The prompt of a row, as ``read_prompt`` reads it.

    A chat gets the row's own system prompt, where a column holds one and the chat does not; a conversation that was
    asked for by its name loses the assistant's last turn here.
    """
    prompt = read_prompt(record, columns)
    if isinstance(prompt, str):
        return prompt
    named = [columns] if isinstance(columns, str) else columns
    if set(named) <= set(_CONVERSATIONS) and len(prompt) > 1 and prompt[-1]["role"] == "assistant":
        prompt = prompt[:-1]
    if any(turn["role"] == "system" for turn in prompt):
        return prompt
    said = (plain_value(record.fields.get(name)) for name in _SYSTEM)
    text = next((text for text in said if isinstance(text, str) and text.strip()), None)
    return prompt if text is None else [{"role": "system", "content": text}, *prompt]


def _conversation_column(record: Record) -> str | None:
    return next((name for name in _CONVERSATIONS if not is_missing(plain_value(record.fields.get(name)))), None)


def _exists(record: Record, column: str) -> bool:
    """Whether there is such a place; what is in a column that is null itself is not there."""
    first, point, _ = column.partition(".")
    if point and column not in record.fields and is_missing(plain_value(record.fields.get(first))):
        return False
    try:
        look_up(record.fields, column)
    except NoColumnError:
        return False
    return True


def _value(record: Record, column: str) -> Any:
    try:
        return look_up(record.fields, column)
    except NoColumnError:
        return None
