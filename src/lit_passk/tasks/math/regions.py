"""Inequalities and sets of real numbers compared by sampling: on their edges, beside them and between."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

from lit_passk.tasks.math.answers import Answer, Formula, Joined, Relation, Sequence, Words, is_interval
from lit_passk.tasks.math.cursor import UnreadableError
from lit_passk.tasks.math.equations import Point, along, roots
from lit_passk.tasks.math.evaluation import evaluate
from lit_passk.tasks.math.floats import UndefinedError, compiled
from lit_passk.tasks.math.precision import arbitrary
from lit_passk.tasks.math.symbols import Node, names

_ALL = {"all R", "all Z", "all N"}
_MOST_WHOLE = 100  # whole numbers up to here are looked at one by one where a set has no others
_MEMBER = "member"  # the variable of a set that names none


class Region:
    """A condition on real numbers: ``holds(point)``, and ``edges(point, variable)`` where it may change.

    Raises:
        UnreadableError: If the answer is no such condition.

    """

    def __init__(self, answer: Answer) -> None:
        self.parts: list[Region] = []
        self.how = ""
        self.variables: frozenset[str] = frozenset()
        if isinstance(answer, Joined) and answer.how == "all":
            self.how = "all " + answer.parts[0].text if isinstance(answer.parts[0], Words) else ""
            if self.how not in _ALL:
                raise UnreadableError
        elif isinstance(answer, Joined):
            self.how, self.parts = answer.how, [Region(part) for part in answer.parts]
            self.variables = frozenset().union(*(part.variables for part in self.parts))
        elif isinstance(answer, Relation) and answer.signs == ("\\in",):
            self.how, self.parts = "and", [Region(answer.sides[1])]
        elif isinstance(answer, Relation) and "\\in" not in answer.signs:
            self.how, self.signs = "relation", answer.signs
            nodes = [_with_index(_node(side)) for side in answer.sides]
            self.sides = [compiled(node) for node in nodes]
            self.variables = frozenset().union(*(names(node) for node in nodes))
        elif isinstance(answer, Sequence) and (is_interval(answer) or answer.opening == "\\{"):
            self.how = answer.opening + answer.closing
            self.values = [_real(_node(item)) for item in answer.items]
            if answer.opening != "\\{" and self.values[0] >= self.values[1]:
                raise UnreadableError  # a point, and no interval
        elif isinstance(answer, Formula):
            self.how, self.values = "\\{\\}", [_real(answer.node)]
        else:
            raise UnreadableError

    def holds(self, point: Point) -> bool:
        """Whether the condition is true at a point, of which a set without a variable looks at ``member``."""
        if self.parts:
            held = [part.holds(point) for part in self.parts]
            return any(held) if self.how == "or" else all(held) if self.how == "and" else held[0] and not any(held[1:])
        if self.how == "relation":
            return self._related(point)
        t = point[_MEMBER].real
        if self.how.startswith("all "):
            return self.how == "all R" or (abs(t - round(t)) < 1e-12 and (self.how == "all Z" or t > 0))
        if self.how == "\\{\\}":
            return any(abs(t - value) <= 1e-12 * (1 + abs(t)) for value in self.values)
        low, high = self.values
        at_low, at_high = (abs(t - end) <= 1e-12 * (1 + abs(t)) for end in (low, high))
        left = at_low if at_low and self.how[0] == "[" else t > low and not at_low
        right = at_high if at_high and self.how[1] == "]" else t < high and not at_high
        return left and right

    def _related(self, point: Point) -> bool:
        try:
            values = [side(point) for side in self.sides]
        except (UndefinedError, ZeroDivisionError, OverflowError):
            return False
        if any(abs(value.imag) > 1e-9 * (1 + abs(value)) for value in values):
            return False
        for (a, b), sign in zip(pairwise(values), self.signs, strict=True):
            apart = a.real - b.real
            same = a.real == b.real or (math.isfinite(apart) and abs(apart) <= 1e-10 * (1 + abs(a) + abs(b)))
            true = {"=": same, "\\ne": not same, "<": apart < 0 and not same, ">": apart > 0 and not same}
            true |= {"\\le": apart <= 0 or same, "\\ge": apart >= 0 or same}
            if not true[sign]:
                return False
        return True

    def edges(self, point: Point, variable: str) -> list[float]:
        """Where it may become true or false, the other variables being fixed."""
        if self.parts:
            found = [edge for part in self.parts for edge in part.edges(point, variable)]
            near = [edge for edge in found if abs(edge) < _MOST_WHOLE]
            if near and any(part.how in {"all Z", "all N"} for part in self.parts):
                return found + [float(n) for n in range(math.floor(min(near)), math.ceil(max(near)) + 1)]
            return found
        if self.how == "relation":
            zeros: list[complex] = []
            for side, next_side in pairwise(self.sides):
                left, right = along(side, point, variable), along(next_side, point, variable)
                zeros += roots(lambda t, left=left, right=right: left(t) - right(t))  # type: ignore[misc]
            return [root.real for root in zeros if abs(root.imag) < 1e-6]
        return [0.0, 1.0, 2.0] if self.how.startswith("all ") else [v for v in self.values if math.isfinite(v)]


def same_region(one: Answer, other: Answer) -> bool:
    """Whether two conditions hold for the same numbers.

    Raises:
        UnreadableError: If one of them is no condition on real numbers.

    """
    a, b = Region(one), Region(other)
    if a.variables and b.variables and a.variables != b.variables:
        return False
    variables = sorted(a.variables | b.variables) or [_MEMBER]
    if (not a.variables or not b.variables) and len(variables) > 1:
        return False
    for draw in range(1 if len(variables) == 1 else 6):
        point: Point = {name: complex(arbitrary(name, 20 + draw)) * (3 * draw - 5) for name in variables}
        variable = variables[draw % len(variables)]
        edges = sorted({*a.edges(point, variable), *b.edges(point, variable)})
        for t in _around(edges):
            here = {**point, variable: complex(t), _MEMBER: complex(t)}
            if a.holds(here) != b.holds(here):
                return False
    return True


def _around(edges: list[float]) -> Iterable[float]:
    for edge in edges:
        yield from (edge, edge - 1e-4 * (1 + abs(edge)), edge + 1e-4 * (1 + abs(edge)))
    yield from ((a + b) / 2 for a, b in pairwise(edges))
    yield from (-1e6, -123.4567, -10.123, -2.345, -0.6789, 0.0, 0.4321, 1.7654, 8.765, 98.7654, 1e6)


def _node(answer: Answer) -> Node:
    if not isinstance(answer, Formula) or answer.base:
        raise UnreadableError
    return answer.node


def _with_index(node: Node) -> Node:
    """An ``i`` that is compared is a number like any other, not the imaginary unit."""
    if node[0] == "number":
        return node
    if node[0] == "symbol":
        return ("symbol", "i_") if node[1] == "i" else node
    return tuple(_with_index(part) if isinstance(part, tuple) else part for part in node)


def _real(node: Node) -> float:
    if names(node):
        raise UnreadableError
    try:
        value, _ = evaluate(node, real=True)
        return float(value)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise UnreadableError from error
