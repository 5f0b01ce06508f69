"""Two expressions are equal when they agree at a few arbitrary points.

Sampling decides in microseconds what algebra may need seconds for, and errs about as often as two different formulas
agree in thirty digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from lit_passk.tasks.math.evaluation import Point, Value, cells, evaluate, mpf, shape
from lit_passk.tasks.math.precision import EXACT, arbitrary, mp
from lit_passk.tasks.math.symbols import WHOLE_NUMBERS, Node, bounds, has_bound, names, parts

_ROUNDED = mpf("0.6e-6")
"""How far a decimal may be from the value that it rounds: six places, as math-verify has it."""
_SMALL = mpf("1e-3")
_MORE_BITS, _MOST_BITS = 1000, 20_000


def is_rounded(node: Node) -> bool:
    """Whether a decimal is in it, which may stand for another number."""
    return (node[0] == "number" and not node[1].isdigit()) or any(is_rounded(part) for part in parts(node))


@lru_cache(maxsize=16384)
def same_value(a: Node, b: Node) -> bool:
    """Whether two expressions are equal wherever their symbols are positive, and where all of it is real elsewhere."""
    if a == b:
        return True
    symbols = sorted(names(a) | names(b))
    if _counting(a) or _counting(b):
        return _same_where_whole(a, b, symbols)
    counts = {name: place for place, name in enumerate(sorted(bounds(a) | bounds(b)))}
    rounded = is_rounded(a) or is_rounded(b)
    try:
        point = {name: mpf(3 + place) for name, place in counts.items()}
        values = evaluate(a, point), evaluate(b, point)
        if not _agree(*values, rounded) or not (symbols or rounded or _agree_in_digits(a, b, values[0][0])):
            return False
        for draw in (1, 2) if symbols else ():
            point = {name: arbitrary(name, draw) * 3 for name in symbols}
            point |= {name: mpf(4 * draw + place) for name, place in counts.items()}
            if not _agree(evaluate(a, point), evaluate(b, point), rounded):
                return False
    except ArithmeticError:
        return False
    steps = _has_steps(a) or _has_steps(b)
    for point in _further_points(symbols, steps) if symbols and not counts else ():
        try:
            values = evaluate(a, point, real=True), evaluate(b, point, real=True)
        except ArithmeticError:
            continue
        if not _agree(*values, rounded):
            return False
    return True


def same_up_to_constant(a: Node, b: Node) -> bool:
    """Whether two antiderivatives with ``+ C`` differ by a number, which C makes up for."""
    one, other = _without_c(a), _without_c(b)
    if one is None or other is None or "C" in (symbols := names(one) | names(other)) or not symbols:
        return False
    try:
        apart = [
            evaluate(("+", one, ("-", other)), {name: arbitrary(name, draw) * 3 for name in symbols})
            for draw in (1, 2, 3)
        ]
    except ArithmeticError:
        return False
    return all(_agree(apart[0], value, rounded=False) for value in apart[1:])


def _without_c(node: Node) -> Node | None:
    """The expression without its summand C, None where it has none."""
    if node == ("symbol", "C"):
        return ("number", "0")
    for place in (1, 2) if node[0] == "+" else ():
        if (rest := _without_c(node[place])) is not None:
            return ("+", rest, node[3 - place])
    return None


def _counting(node: Node) -> bool:
    """Whether whole parts or signs are taken of nothing but letters that stand for whole numbers: ``(-1)^n``."""
    taken = (
        node[:2] in {("call", "floor"), ("call", "ceiling"), ("^", ("-", ("number", "1")))}
        or (node[:2] in {("call", "sin"), ("call", "cos")} and "\\pi" in str(node[2]))
    )  # fmt: skip
    letters = names(node[2]) if taken else frozenset()
    return (bool(letters) and letters <= WHOLE_NUMBERS) or any(map(_counting, parts(node)))


def _same_where_whole(a: Node, b: Node, symbols: list[str]) -> bool:
    """Whether two expressions are equal wherever the letters that count are whole."""
    agreed = 0
    for n in range(1, 31):
        point = {
            name: mpf(n + 7 * place) if name in WHOLE_NUMBERS else arbitrary(name, n) * 3
            for place, name in enumerate(symbols)
        }
        try:
            values = evaluate(a, point), evaluate(b, point)
        except ArithmeticError:
            continue
        if not _agree(*values, is_rounded(a) or is_rounded(b)):
            return False
        agreed += 1
    return agreed > 2


def _agree_in_digits(a: Node, b: Node, about: Value) -> bool:
    """Whether two numbers are the same in 230 digits, and large ones to the unit, as far as that is cheap.

    ``1 - 2^{-100}`` is not 1.
    """
    if (
        isinstance(about, tuple)
        or not mp.isfinite(about)
        or mp.mag(about) >= _MOST_BITS
        or has_bound(a)
        or has_bound(b)
    ):
        return True
    with mp.workprec(max(mp.mag(about), 0) + _MORE_BITS if about else _MORE_BITS):
        (x, noise), (y, more) = evaluate(a), evaluate(b)
        return abs(x - y) <= min(_SMALL, (noise + more + abs(x) * EXACT) * mpf(10) ** -200)


def _further_points(symbols: list[str], steps: bool) -> Iterable[Point]:
    """Negative values, and whole ones where whole parts are taken, which seldom differ near 1."""
    for draw in (3, 4):
        yield {name: arbitrary(name, draw) * (-1) ** (draw + place) for place, name in enumerate(symbols)}
    for n in range(1, 31) if steps else ():
        yield {name: mpf(n + 7 * place) for place, name in enumerate(symbols)}
        yield {name: arbitrary(name, n) * n for name in symbols}


def _has_steps(node: Node) -> bool:
    return node[:2] in {("call", "floor"), ("call", "ceiling")} or any(map(_has_steps, parts(node)))


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
