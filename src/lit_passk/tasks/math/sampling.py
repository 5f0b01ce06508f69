"""Two expressions are equal when they agree at a few arbitrary points.

Sampling decides in microseconds what algebra may need seconds for, and errs about as often as two different formulas
agree in thirty digits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lit_passk.tasks.math.evaluation import EXACT, Value, arbitrary, cells, evaluate, mp, mpf, names, parts, shape
from lit_passk.tasks.math.expressions import Node

_ROUNDED = mpf("0.6e-6")
"""How far a decimal may be from the value that it rounds: six places, as math-verify has it."""
_SMALL = mpf("1e-3")


def is_rounded(node: Node) -> bool:
    """Whether a decimal is in it, which may stand for another number."""
    return (node[0] == "number" and not node[1].isdigit()) or any(is_rounded(part) for part in parts(node))


@lru_cache(maxsize=16384)
def same_value(a: Node, b: Node) -> bool:
    """Whether two expressions are equal wherever their symbols are positive, and where all of it is real elsewhere."""
    if a == b:
        return True
    symbols = sorted(names(a) | names(b))
    rounded = is_rounded(a) or is_rounded(b)
    try:
        if not _agree(evaluate(a), evaluate(b), rounded):
            return False
        for draw in (1, 2) if symbols else ():
            point = {name: arbitrary(name, draw) * 3 for name in symbols}
            if not _agree(evaluate(a, point), evaluate(b, point), rounded):
                return False
    except ArithmeticError:
        return False
    for draw in (3, 4) if symbols else ():
        point = {name: arbitrary(name, draw) * (-1) ** (draw + place) for place, name in enumerate(symbols)}
        try:
            values = evaluate(a, point, real=True), evaluate(b, point, real=True)
        except ArithmeticError:
            continue
        if not _agree(*values, rounded):
            return False
    return True


def _agree(one: tuple[Value, Any], other: tuple[Value, Any], rounded: bool) -> bool:
    (a, noise_a), (b, noise_b) = one, other
    if isinstance(a, tuple) or isinstance(b, tuple):
        return (
            isinstance(a, tuple)
            and isinstance(b, tuple)
            and shape(a) == shape(b)
            and all(close(x, y, noise_a + noise_b, rounded) for x, y in zip(cells(a), cells(b), strict=True))
        )
    return close(a, b, noise_a + noise_b, rounded)


def close(a: Value, b: Value, noise: Any = 0, rounded: bool = False) -> bool:
    """Whether two numbers are the same, or one the other in six decimals if one is ``rounded``."""
    if a == b:
        return True
    if not (mp.isfinite(a) and mp.isfinite(b)):
        return False
    apart, largest = abs(a - b), max(abs(a), abs(b))
    if apart <= EXACT * largest + noise:
        return True
    return rounded and apart <= _ROUNDED and (apart <= _SMALL * largest)
