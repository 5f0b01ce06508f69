"""Columns by dotted name, ``reward_model.ground_truth``: into objects, into lists, and into the JSON text of either."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_PLAIN = frozenset({str, int, float, bool, list, dict, type(None)})


class NoColumnError(LookupError):
    """A dotted name that ends before it is through.

    Args:
        reached: The deepest place that exists, empty for the row itself.
        found: What is there.
    """

    def __init__(self, reached: str, found: Any) -> None:
        super().__init__(reached)
        self.reached = reached
        self.found = found

    def __str__(self) -> str:
        if isinstance(self.found, Mapping):
            keys = ", ".join(repr(key) for key in self.found) or "none"
            return f"{self.reached!r} holds an object with the keys {keys}"
        if isinstance(self.found, list):
            return f"{self.reached!r} holds a list of {len(self.found)}"
        which = ", which is no JSON object" if isinstance(self.found, str) else ""
        return f"{self.reached!r} holds {shown(self.found)}{which}"


def look_up(fields: Mapping[str, Any], name: str) -> Any:
    """The value of a column.

    A column of the whole name goes before a part of another one: rows that were flattened have columns with points in
    their names. A whole number is a place in a list. What is null on the way there holds null.

    Args:
        fields: One row.
        name: A column, or a way into one: ``extra_info.index``, ``prompt.0.content``.

    Raises:
        NoColumnError: If there is no such place.

    Example:
        >>> row = {"reward_model": '{"style": "rule", "ground_truth": "42"}', "extra_info": None}
        >>> look_up(row, "reward_model.ground_truth"), look_up(row, "extra_info.index")
        ('42', None)

    """
    found, reached, rest = fields, "", name
    while rest:
        if reached and is_missing(found):
            return None
        step = _step(_opened(found), rest)
        if step is None:
            raise NoColumnError(reached, _opened(found))
        head, rest, found = step
        reached = f"{reached}.{head}" if reached else head
    return plain_value(found)


def _step(value: Any, rest: str) -> tuple[str, str, Any] | None:
    """The longest beginning of ``rest`` that exists in ``value``, what is left of the name, and what is there."""
    if isinstance(value, Mapping):
        head = rest
        while head not in value:
            head, point, _ = head.rpartition(".")
            if not point:
                return None
        return head, rest[len(head) + 1 :], value[head]
    if isinstance(value, list):
        head, _, after = rest.partition(".")
        return (head, after, value[int(head)]) if head.isdecimal() and int(head) < len(value) else None
    return None


def _opened(value: Any) -> Any:
    """An object or a list, also of their text in JSON or as Python prints them; anything else as it is."""
    value = plain_value(value)
    if not isinstance(value, str):
        return value
    opened = from_json(value)
    return _from_python(value) if opened is value and value.lstrip()[:2] in ("{'", "[{") else opened


def _from_python(text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def from_json(text: str) -> Any:
    """The object or list that a text is the JSON of; any other text as it is."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def plain_value(value: Any) -> Any:
    """Arrays and scalars of numpy and pyarrow as plain lists and values, tuples as lists."""
    if type(value) in _PLAIN:  # millions of rows come by here
        return value
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, str | int | float | list | Mapping):
        return value
    convert = getattr(value, "tolist", None) or getattr(value, "as_py", None)
    return convert() if callable(convert) else value


def is_missing(value: Any) -> bool:
    """Whether a column holds nothing: null, NaN, or an empty text or list."""
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, list | tuple):
        return not value
    return value is None or (isinstance(value, float | Decimal) and math.isnan(value))


def shown(value: Any, most: int = 80) -> str:
    """A value for an error message, cut where it is long; half a surrogate pair is escaped."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}..."
