r"""Functions in pieces against one formula: ``|x|`` is x where x is not negative and -x where it is."""

from __future__ import annotations

from itertools import pairwise

from lit_passk.tasks.math.answers import Answer, Formula, Sequence, Words
from lit_passk.tasks.math.cursor import UnreadableError
from lit_passk.tasks.math.regions import Region
from lit_passk.tasks.math.sampling import same_value
from lit_passk.tasks.math.symbols import Node, replaced

ELSE = {Words("otherwise"), Words("else")}
_BESIDE = (0.731, 2.318)


def same_in_pieces(one: Answer, other: Answer) -> bool:
    """Whether of two answers one is a function in pieces and the other the same function in one formula."""
    pieces, formula = (one, other) if isinstance(other, Formula) else (other, one)
    if not isinstance(pieces, Sequence) or pieces.opening != "cases" or not isinstance(formula, Formula):
        return False
    try:
        return _has_the_values(formula, pieces)
    except UnreadableError:
        return False


def _has_the_values(formula: Formula, pieces: Sequence) -> bool:
    """Whether it has the value of each piece where that piece holds, tried on the edges, beside them and between.

    Raises:
        UnreadableError: If a condition or a value cannot be read, or conditions are about several variables.

    """
    values = [piece.items[0] for piece in pieces.items if isinstance(piece, Sequence)]
    regions = [
        None if condition in ELSE else Region(condition)
        for piece in pieces.items
        if isinstance(piece, Sequence)
        for condition in piece.items[1:]
    ]
    variables = frozenset().union(*(region.variables for region in regions if region))
    if len(variables) != 1 or len(values) != len(regions):
        raise UnreadableError
    (variable,) = variables
    tried = set()
    for t in _places(regions, variable):
        held = [place for place, region in enumerate(regions) if region and region.holds({variable: complex(t)})]
        held = held or [place for place, region in enumerate(regions) if region is None]
        for place in held:
            if not _equal_at(values[place], formula, variable, t):
                return False
        tried.update(held)
    return len(tried) == len(values)


def _places(regions: list[Region | None], variable: str) -> list[float]:
    edges = sorted({edge for region in regions if region for edge in region.edges({}, variable)}) or [0.0]
    outside = [place for beside in _BESIDE for place in (edges[0] - beside, edges[-1] + beside)]
    between = [low + (high - low) * part for low, high in pairwise(edges) for part in (0.318, 0.731)]
    exact = [round(edge, 6) for edge in edges if abs(edge - round(edge, 6)) < 1e-10]  # others cannot be written down
    return [*exact, *between, *outside]


def _equal_at(value: Answer, formula: Formula, variable: str, t: float) -> bool:
    if not isinstance(value, Formula):
        raise UnreadableError
    number: Node = ("number", f"{abs(t):.12f}")
    here = {variable: ("-", number) if t < 0 else number}
    return same_value(replaced(value.node, here), replaced(formula.node, here))
