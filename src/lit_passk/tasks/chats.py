"""Prompts of rows: a text, or a chat as lists of turns, as JSON text and in the other forms that data sets have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.printable import surrogate
from lit_passk.tasks.columns import from_json, is_missing, plain_value, shown
from lit_passk.tasks.records import Record
from lit_passk.types import Prompt

_BEGUN_CHAT = re.compile(r"""\s*\[\s*\{\s*['"](?:role|content|from|value)['"]\s*:""")
_ROLES = {"human": "user", "gpt": "assistant"}  # of turns with `from` and `value`, ShareGPT's form
MEDIA_COLUMNS = ("images", "image", "videos", "video", "audios", "audio")


def read_prompt(record: Record, columns: str | Sequence[str]) -> Prompt:
    """The prompt of a row: a text, or the turns of a chat.

    A chat is a list of turns with ``role`` and ``content`` (or ``from`` and ``value``), the JSON text of such a list,
    or the two lists that the datasets package may make of it. A content may be a list of text parts
    (``{"type": "text", "text": ...}``), which are joined. Other keys of a turn stay, if they hold anything: a template
    may use a ``name``.

    Args:
        record: The row.
        columns: Where the prompt is; of several names the first that holds something.

    Raises:
        Refusal: If there is none, a turn is malformed, or a part or a column of the row holds an image, sound or video;
            names file, line and column.

    Example:
        >>> row = {"prompt": '[{"role": "user", "content": [{"type": "text", "text": "1 + 1?"}]}]'}
        >>> read_prompt(Record("a.jsonl line 1", row), "prompt")
        [{'role': 'user', 'content': '1 + 1?'}]

    """
    name, value = record.find(columns, "the question")
    for column in MEDIA_COLUMNS:
        if not is_missing(plain_value(record.fields.get(column))):
            raise Refusal(
                f"{record.where} has something to look at or listen to in column {column!r}, and prompts can only be "
                "text here. If the text is enough, remove the column."
            )
    turns = _turns(value)
    if turns is None:
        if isinstance(value, str) and _BEGUN_CHAT.match(value):
            raise Refusal(
                f"{record.where} has a text in column {name!r} that begins as a chat and is not the JSON of one: "
                f"{shown(value)}. Write it with json.dumps."
            )
        return record.text(name, "the question")
    here = f"{record.where}, column {name!r}: "
    chat = [_turn(turn, f"{here}turn {number} of the chat") for number, turn in enumerate(turns, start=1)]
    if not any(turn["content"].strip() for turn in chat):
        raise Refusal(f"{here}no turn of the chat holds any text, but {shown(value)}.")
    return chat


def with_instruction(prompt: Prompt, instruction: str, where: str) -> Prompt:
    """The prompt with an instruction on a line of its own: at the end of a text, or of a chat's last user turn.

    Raises:
        Refusal: If a chat has no user turn.
    """
    if not instruction:
        return prompt
    if isinstance(prompt, str):
        return f"{prompt}\n{instruction}"
    at = max((place for place, turn in enumerate(prompt) if turn["role"] == "user"), default=None)
    if at is None:
        raise Refusal(f"{where} has a chat without a user turn that `instruction` could follow: {shown(prompt)}.")
    asked = {**prompt[at], "content": f"{prompt[at]['content']}\n{instruction}"}
    return [*prompt[:at], asked, *prompt[at + 1 :]]


def conversation(value: Any, where: str) -> tuple[list[dict[str, Any]], str | None]:
    """The turns of a conversation before the assistant's last one, and what that says; None if another has the last.

    Raises:
        Refusal: If it is no list of turns, or a turn is malformed; ``where`` opens the message.
    """
    turns = _turns(value)
    if turns is None:
        raise Refusal(f"{where} needs a list of turns, but holds {shown(value)}.")
    chat = [_turn(turn, f"{where}: turn {number}") for number, turn in enumerate(turns, start=1)]
    if chat[-1]["role"] != "assistant":
        return chat, None
    return chat[:-1], chat[-1]["content"]


def message_text(value: Any, where: str) -> str | None:
    """The text of a completion: itself, or the content of the last turn of a chat; None for anything else.

    Raises:
        Refusal: If that turn has no text; ``where`` opens the message.
    """
    turns = _turns(value)
    last = plain_value(turns[-1]) if turns else None
    if not isinstance(last, Mapping) or "role" not in _named(last):
        return value if isinstance(value, str) else None
    return str(_turn(last, f"{where}: the last turn")["content"])


def _turns(value: Any) -> list[Any] | None:
    """The turns of what looks like a chat, None for anything else; nothing in them is checked."""
    if isinstance(value, str):
        value = from_json(value)
        named = isinstance(value, list) and all(isinstance(turn, Mapping) and "role" in _named(turn) for turn in value)
        if not named:
            return None  # a text that begins with a bracket
    if isinstance(value, Mapping) and {"role", "content"} <= set(value := _named(value)):
        roles, contents = plain_value(value["role"]), plain_value(value["content"])
        if isinstance(roles, list) and isinstance(contents, list) and len(roles) == len(contents):
            return [{"role": role, "content": content} for role, content in zip(roles, contents, strict=True)]
        return [value]
    return value if isinstance(value, list) and value else None


def _named(turn: Mapping[str, Any]) -> Mapping[str, Any]:
    """A turn, or lists of what turns hold, with ``role`` and ``content`` for ``from`` and ``value``."""
    if "role" in turn or not {"from", "value"} <= set(turn):
        return turn
    others = {key: value for key, value in turn.items() if key not in ("from", "value")}
    roles = plain_value(turn["from"])
    named = [_role(role) for role in roles] if isinstance(roles, list) else _role(roles)
    return {"role": named, "content": turn["value"], **others}


def _role(name: Any) -> Any:
    return _ROLES.get(name, name) if isinstance(name, str) else name


def _turn(turn: Any, where: str) -> dict[str, Any]:
    turn = plain_value(turn)
    turn = _named(turn) if isinstance(turn, Mapping) else turn
    if not isinstance(turn, Mapping):
        raise Refusal(f"{where} needs a role and a content, but is {shown(turn)}.")
    if not isinstance(turn.get("role"), str) or "content" not in turn:
        keys = ", ".join(repr(key) for key in turn) or "none"
        raise Refusal(f"{where} needs a `role` of text and a `content`, but its keys are {keys}: {shown(turn)}.")
    content = plain_value(turn["content"])
    parts = content if isinstance(content, list) else [content]
    text = "".join(_part(part, where) for part in parts)
    if (half := surrogate(text)) is not None:
        raise Refusal(f"{where} holds half of a surrogate pair ({half}): {shown(text)}. Mend or remove the row.")
    others = {key: value for key, value in turn.items() if key not in ("role", "content") and not is_missing(value)}
    return {"role": turn["role"], "content": text, **others}


def _part(part: Any, where: str) -> str:
    part = plain_value(part)
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and part.get("type", "text") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = f"a part of type {part['type']!r}" if isinstance(part, Mapping) and "type" in part else shown(part)
    raise Refusal(f"{where} needs text as its content, but holds {kind}.")
