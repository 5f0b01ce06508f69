r"""What an answer says: a formula, words, a list, set, interval or tuple, a relation, or sets joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lit_passk.tasks.math.symbols import Node, names


@dataclass(frozen=True)
class Words:
    """An answer in words, or a formula that nobody can read: it equals its own spelling."""

    text: str


@dataclass(frozen=True)
class Formula:
    """An expression; ``percent`` where a percent sign was taken off, ``base``: that of ``4210_5``, or a modulus.

    ``degrees`` where it ends in a degree sign, which is dropped as units are; ``unit``: the words and signs behind it.
    """

    node: Node
    percent: bool = False
    base: str | None = None
    degrees: bool = False
    unit: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sequence:
    r"""Several answers: a list without brackets (``opening`` is empty), ``\{..\}``, ``(..)``, ``[..)``, a quantity."""

    items: tuple[Answer, ...]
    opening: str = ""
    closing: str = ""


@dataclass(frozen=True)
class Relation:
    r"""``a < b = c``: sides and the signs between them, one of ``= < > \le \ge \ne \in``."""

    sides: tuple[Answer, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True)
class Joined:
    """Sets or conditions joined by "or", "and" or "minus", or one of the sets of numbers, "all" in ``parts[0]``."""

    how: str
    parts: tuple[Answer, ...]


Answer: TypeAlias = Words | Formula | Sequence | Relation | Joined

EMPTY = Sequence((), "\\{", "\\}")


def is_region(answer: Answer) -> bool:
    """Whether it means a set of real numbers with more than single points; ``(1,2)`` and ``[1,2]`` alone need not."""
    if isinstance(answer, Relation):
        return answer.signs != ("=",) * len(answer.signs)
    if isinstance(answer, Sequence) and not answer.opening:
        return any(is_region(item) for item in answer.items)
    return isinstance(answer, Joined) or (
        isinstance(answer, Sequence) and answer.opening + answer.closing in {"[)", "(]"}
    )


def is_interval(answer: Answer) -> bool:
    """Whether it can be an interval; ``(1,2)`` may be a point as well."""
    return isinstance(answer, Sequence) and answer.opening in {"(", "["} and len(answer.items) == 2


def is_name(answer: Answer) -> bool:
    r"""Whether it stands for a value: words, a symbol, ``f(2)``, ``\sin A``, a+b, 2+3, a sum or limit left to do.

    Not where there are numbers among symbols.
    """
    if isinstance(answer, Words):
        return True
    if isinstance(answer, Sequence):
        return all(is_name(item) for item in answer.items)
    if not isinstance(answer, Formula):
        return False
    return not names(answer.node) or answer.node[0] == "bound" or _names_only(answer.node)


def is_letter(answer: Answer) -> bool:
    """Whether it is one variable."""
    return isinstance(answer, Formula) and answer.node[0] == "symbol" and len(answer.node[1]) == 1


def is_number(answer: Answer) -> bool:
    """Whether it holds no symbol."""
    return isinstance(answer, Formula) and not names(answer.node)


def _names_only(node: Node) -> bool:
    kind = node[0]
    if kind == "call":
        return all(_names_only(part) for part in node[2:] if node[1] != "log")
    return kind in {"symbol", "opaque"} or (kind in {"+", "*", "/", "-"} and all(_names_only(p) for p in node[1:]))


def is_called(answer: Answer) -> bool:
    """Whether it is a function's value, such as ``N(n)``."""
    return isinstance(answer, Formula) and answer.node[0] == "symbol" and answer.node[1].endswith(")")
