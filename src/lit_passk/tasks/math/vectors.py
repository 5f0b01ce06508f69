r"""Vectors in their notations: ``(1, 2)``, ``\langle 1, 2\rangle``, a column, ``\mathbf{i} + 2\mathbf{j}``."""

from __future__ import annotations

from lit_passk.tasks.math.answers import Answer, Formula, Sequence
from lit_passk.tasks.math.sampling import same_value
from lit_passk.tasks.math.symbols import Node, names, replaced

_UNITS = [("\\veci", "i", "\\hatx"), ("\\vecj", "j", "\\haty"), ("\\veck", "k", "\\hatz")]


def same_vector(right: Answer, given: Answer) -> bool:
    """Whether two answers are one vector in different notations."""
    listed = [_listed(answer) for answer in (right, given)]
    if listed.count(None) == 2 or (isinstance(right, Formula) and isinstance(given, Formula) and None not in listed):
        return False  # a column is no row
    dimension = len(next(components for components in listed if components is not None))
    found = [
        components if components is not None else _from_units(answer, dimension)
        for components, answer in zip(listed, (right, given), strict=True)
    ]
    one, other = found
    return one is not None and other is not None and len(one) == len(other) and all(map(same_value, one, other))


def with_identity(node: Node, size: int) -> Node:
    """An expression with the identity matrix of this size for I: ``2I``."""
    rows = tuple(tuple(("number", "1" if row == column else "0") for column in range(size)) for row in range(size))
    return replaced(node, dict.fromkeys(("I", f"I_{size}"), ("matrix", *rows)))


def _listed(answer: Answer) -> tuple[Node, ...] | None:
    """The components of a tuple, a row or a column."""
    if (
        isinstance(answer, Sequence)
        and answer.opening in {"(", "\\langle", "["}
        and answer.closing in {")", "\\rangle", "]"}
    ):
        items = answer.items
        return (
            tuple(i.node for i in items if isinstance(i, Formula))
            if all(isinstance(i, Formula) for i in items)
            else None
        )
    if isinstance(answer, Formula) and answer.node[0] == "matrix":
        rows = answer.node[1:]
        return rows[0] if len(rows) == 1 else tuple(row[0] for row in rows) if len(rows[0]) == 1 else None
    return None


def _from_units(answer: Answer, dimension: int) -> tuple[Node, ...] | None:
    """The components of a sum of multiples of unit vectors."""
    if not isinstance(answer, Formula) or dimension not in {2, 3} or not _in_units(answer.node):
        return None
    rows = []
    for place in range(dimension):
        values = {
            name: ("number", "1" if place == other else "0") for other, unit in enumerate(_UNITS) for name in unit
        }
        rows.append(replaced(answer.node, values))
    outside: Node = replaced(answer.node, {name: ("number", "0") for unit in _UNITS[:dimension] for name in unit})
    return tuple(rows) if same_value(outside, ("number", "0")) else None


def _in_units(node: Node) -> bool:
    found = names(node)
    return "j" in found or any(name.startswith("\\") for unit in _UNITS for name in found.intersection(unit))
