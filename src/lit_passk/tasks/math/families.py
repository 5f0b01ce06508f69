"""General solutions: is every curve of one family, whatever its constants are called, a curve of the other?"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from lit_passk.tasks.math.equations import along, roots
from lit_passk.tasks.math.floats import Function, UndefinedError, compiled
from lit_passk.tasks.math.symbols import Node, names

_APPLIED = re.compile(r"([a-zA-Z])\(([xt])\)")
_PAIRS = (("y", "x"), ("y", "t"), ("x", "t"))
_CONSTANT = re.compile(r"C(?:_\d)?")
_ANY_CONSTANT = re.compile(r"[ABCDKck](?:_\d)?")
_MOST_CONSTANTS = 4
_PLACES = tuple(0.013 * 1.6**n for n in range(10))  # so that neither exp(90 t) nor sin(t) hides the other
_STARTS = (0.7, -1.3, 2.1 + 0.4j, -0.4 - 0.2j)
_ROUNDS = 15
_EXACT = 1e-8
_STEP = 1e-6


class _Family(NamedTuple):
    function: Function
    dependent: str
    independent: str
    constants: tuple[str, ...]


def same_family(reference: Node, given: Node) -> bool:
    """Whether ``reference = 0`` and ``given = 0`` are the same curves in x and y (or t), each with its own constants.

    The reference has to call its constants C, C_1, C_2, ... or A and B; a slope k or a speed c is no free constant.
    """
    one, other = _family(reference), _family(given)
    if one is None or other is None or (one.dependent[0], one.independent) != (other.dependent[0], other.independent):
        return False
    if len(one.constants) != len(other.constants) or not all(map(_ANY_CONSTANT.fullmatch, other.constants)):
        return False
    if not all(map(_CONSTANT.fullmatch, one.constants)) and one.constants != ("A", "B"):
        return False
    try:
        return _contains(other, one) and _contains(one, other)
    except (UndefinedError, ZeroDivisionError, OverflowError, np.linalg.LinAlgError):
        return False


def _family(node: Node) -> _Family | None:
    found = names(node)
    applied = [match for name in found if (match := _APPLIED.fullmatch(name))]
    pairs = [(match[0], match[2]) for match in applied] or [pair for pair in _PAIRS if found.issuperset(pair)]
    if len(pairs) != 1:
        return None
    constants = tuple(sorted(found.difference(pairs[0])))
    return _Family(compiled(node), *pairs[0], constants) if 0 < len(constants) <= _MOST_CONSTANTS else None


def _contains(family: _Family, other: _Family) -> bool:
    """Whether some curve of ``other`` is a curve of ``family``."""
    values = {name: complex(0.83 + 0.37 * place) for place, name in enumerate(other.constants)}
    points = []
    for x in _PLACES:
        found = roots(along(other.function, {**values, other.independent: complex(x)}, other.dependent), most=1)
        points += [{family.independent: complex(x), family.dependent: y} for y in found]
    if len(points) < len(family.constants) + 4:
        return False
    return any(_fits(family, points, start) for start in _STARTS)


def _fits(family: _Family, points: list[dict[str, complex]], start: complex) -> bool:
    """Whether Newton's method finds constants with which the curve passes through all points."""
    constants = np.array([start * (1 + 0.3 * place) for place in range(len(family.constants))])
    beside = [{**p, family.dependent: 1.1 * p[family.dependent] + 1e-4} for p in points]
    for _ in range(_ROUNDS):
        scale = np.abs(_values(family, beside, constants))  # how large it is near the curve
        apart = _values(family, points, constants) / scale
        if np.max(np.abs(apart)) <= _EXACT:
            return True
        steps = _STEP * np.eye(len(constants))
        slopes = [(_values(family, points, constants + step) / scale - apart) / _STEP for step in steps]
        constants = constants - np.linalg.lstsq(np.array(slopes).T, apart, rcond=None)[0]
    return False


def _values(family: _Family, points: list[dict[str, complex]], constants: np.ndarray) -> np.ndarray:
    named = dict(zip(family.constants, map(complex, constants), strict=True))
    return np.array([family.function({**point, **named}) for point in points])
