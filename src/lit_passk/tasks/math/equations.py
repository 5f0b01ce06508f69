"""Equations compared by sampling: have they the same solutions along a few lines?"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import TypeAlias

from lit_passk.tasks.math.evaluation import evaluate
from lit_passk.tasks.math.floats import Function, UndefinedError, compiled
from lit_passk.tasks.math.precision import arbitrary
from lit_passk.tasks.math.symbols import Node, names

Point: TypeAlias = dict[str, complex]
_MAX_ROOTS = 6
_STARTS = (0.37 + 0.11j, -1.9 + 0.05j, 4.1 - 1.3j)
_STEPS = 40
_SCALES = (1.0, 0.05)  # exp(-40 t) is no part of a sum where t is about 1


def same_equation(one: Node, other: Node) -> bool:
    """Whether ``one = 0`` and ``other = 0`` have the same solutions, as far as a few lines through them show.

    Along each line all variables but one are fixed. Real solutions decide where there are any.
    """
    symbols = sorted(names(one) | names(other))
    if not symbols:
        return False
    if _proportional(one, other, symbols):
        return True
    f, g = compiled(one), compiled(other)
    decided = False
    shared = sorted(names(one) & names(other))[:3]
    for draw, (variable, scale) in enumerate((variable, scale) for variable in shared for scale in _SCALES):
        point: Point = {name: complex(arbitrary(name, 10 + draw)) * scale for name in symbols}
        lines = along(f, point, variable), along(g, point, variable)
        zeros = [roots(lines[0]), roots(lines[1])]
        if any(root.imag == 0 for found in zeros for root in found):
            zeros = [[root for root in found if root.imag == 0] for found in zeros]
        if not all(_vanishes(lines[1 - side], root) for side in (0, 1) for root in zeros[side]):
            return False
        decided |= all(zeros)
    return decided


def along(function: Function, point: Point, variable: str) -> Callable[[complex], complex]:
    """A function of one variable, the others fixed."""
    return lambda t: function({**point, variable: t})


def _proportional(one: Node, other: Node, symbols: list[str]) -> bool:
    ratio = None
    try:
        for draw, scale in enumerate((*_SCALES, 0.3), start=5):
            point = {name: arbitrary(name, draw) * scale for name in symbols}
            (a, noise), (b, more) = evaluate(one, point), evaluate(other, point)
            if isinstance(a, tuple) or isinstance(b, tuple) or abs(a) <= noise or abs(b) <= more:
                return False
            if ratio is not None and abs(a / b - ratio) > 1e-24 * abs(ratio):
                return False
            ratio = a / b
    except ArithmeticError:
        return False
    return True


def roots(function: Callable[[complex], complex], most: int = _MAX_ROOTS) -> list[complex]:
    """Up to ``most`` zeros, each found by the secant method after dividing by those found before."""
    found: list[complex] = []

    def deflated(t: complex) -> complex:
        value = function(t)
        for root in found:
            value /= t - root
        return value

    while len(found) < most:
        for start in _STARTS:
            root = _secant(deflated, start)
            if root is not None:
                polished = _secant(function, root * (1 + 1e-7) + 1e-9)
                root = polished if polished is not None and abs(polished - root) < 1e-4 * (1 + abs(root)) else root
                found.append(complex(root.real, 0) if abs(root.imag) < 1e-7 * (1 + abs(root)) else root)
                break
        else:
            break
    return found


def _secant(function: Callable[[complex], complex], start: complex) -> complex | None:
    try:
        a, b = start, start * 1.05 + 0.01
        fa, fb = function(a), function(b)
        for _ in range(_STEPS):
            if fb == 0 or abs(b - a) <= 1e-14 * (1 + abs(b)):
                return b
            if fa == fb:
                return None
            a, b, fa = b, b - fb * (b - a) / (fb - fa), fb
            if not cmath.isfinite(b) or abs(b) > 1e9:
                return None
            fb = function(b)
    except (UndefinedError, ZeroDivisionError, OverflowError):
        return None
    return b if abs(b - a) <= 1e-9 * (1 + abs(b)) else None


def _vanishes(function: Callable[[complex], complex], root: complex) -> bool:
    step = 0.05 * max(abs(root), 1e-4)
    value, *near = (_magnitude(function, t) for t in (root, root + step, root - step))
    return value <= 1e-6 * max((size for size in near if size < math.inf), default=0.0)


def _magnitude(function: Callable[[complex], complex], t: complex) -> float:
    try:
        return abs(function(t))
    except (UndefinedError, ZeroDivisionError, OverflowError):
        return math.inf
