r"""Answers in parts that are called (a) and (b), (i) and (ii), 1) and 2)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAMES = ("a b c d e f", "i ii iii iv v vi", "1 2 3 4 5 6")
_NAME = r"[a-f]|i{1,3}|iv|vi?|[1-6]"
_LABEL = re.compile(rf"\\text(?:bf|it|rm)?\s*\{{[\s,;]*(?:and\s+)?\(?({_NAME})[).:]\s*\}}|(?<![\w\\)}}])\(({_NAME})\)")
_PART = re.compile(rf"(?:^|\n)\W{{0,6}}(?:[Pp]art\s{{0,3}})?\(?({_NAME})\)")


def apart_by_label(text: str) -> str | None:
    r"""An answer in parts with commas for the labels of the parts, None where it has none.

    Example:
        >>> apart_by_label(r"\text{(i) } 3 \quad \text{(ii) } 5"), apart_by_label("f(a) + f(b)")
        (', 3 \\quad , 5', None)

    """
    labels = list(_LABEL.finditer(text))
    if labels and labels[0].start() == 0 and _in_a_row(label[1] or label[2] for label in labels):
        return _LABEL.sub(",", text)
    return None


def boxes_by_part(text: str, boxes: list[tuple[int, int, str]]) -> str | None:
    r"""The last box of every part of a text, joined; None where the text is not in parts, or one of them has no box."""
    parts = list(_PART.finditer(text))
    if not _in_a_row(part[1] for part in parts):
        return None
    ends = [part.start() for part in parts[1:]] + [len(text)]
    last = [
        next((content for begin, _, content in reversed(boxes) if part.start() < begin < end), None)
        for part, end in zip(parts, ends, strict=True)
    ]
    found = [content for content in last if content is not None]
    return ",".join(found) if len(found) == len(last) else None


def _in_a_row(names: Iterable[str]) -> bool:
    found = " ".join(names)
    return " " in found and any(row.startswith(found) for row in _NAMES)
