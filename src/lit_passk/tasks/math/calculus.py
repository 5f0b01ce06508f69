"""Sums, products, integrals and limits by number, each in a few hundred values of what stands behind the sign."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mpmath import fp

from lit_passk.tasks.math.precision import TooLargeError, mp

_MOST_TERMS = 20_000
_TERMS = 40
_PRECISE = 1e-9


class NoValueError(ArithmeticError):
    """It diverges, or its value does not show in so few steps."""


def folded(term: Callable[[Any], Any], low: Any, high: Any, product: bool) -> Any:
    """A finite sum or product of what ``term`` is at the whole numbers from ``low`` to ``high``."""
    if not (mp.isint(low) and mp.isint(high)) or high - low > _MOST_TERMS:
        raise TooLargeError
    values = [term(mp.mpf(place)) for place in range(int(low), int(high) + 1)]
    return mp.fprod(values) if product else mp.fsum(values)


def series(term: Callable[[Any], Any], low: Any) -> tuple[Any, Any]:
    """A sum without an end, and a bound of its error, by Levin's u-transform of its first terms.

    Raises:
        NoValueError: If the terms do not fall as those of a convergent series do.

    """
    if not mp.isint(low):
        raise NoValueError
    values = [term(low + place) for place in range(_TERMS)]
    terms = [value for value in values if value != 0]
    if len(terms) < _TERMS // 2:  # all but a few vanish, as far as one sees
        raise NoValueError
    half = len(terms) // 2
    one_sign = all(mp.im(value) == 0 and value * terms[0] > 0 for value in terms)
    if one_sign and abs(terms[-1]) * len(terms) >= 0.999 * abs(terms[half]) * (half + 1):
        return mp.inf * mp.sign(terms[0]), 0
    if abs(terms[-1]) > 0.9 * abs(terms[half]):
        raise NoValueError
    value, earlier = _levin(terms), _levin(terms[:-6])
    if not abs(value - earlier) < _PRECISE * (1 + abs(value)):
        raise NoValueError
    return value, 10 * abs(value - earlier)


def _levin(terms: list[Any]) -> Any:
    n = len(terms) - 1
    total = above = below = mp.mpf(0)
    for place, term in enumerate(terms):
        total += term
        weight = (-1) ** place * math.comb(n, place) * mp.mpf(place + 1) ** (n - 2) / term
        above, below = above + weight * total, below + weight
    return above / below


def integral(function: Callable[[complex], complex], low: float, high: float, most: int) -> tuple[complex, float]:
    """A definite integral and a bound of its error, by double-exponential quadrature of at most ``most`` values.

    Raises:
        NoValueError: If it diverges, oscillates without an end, or jumps.

    """
    values = 0

    def counted(t: float) -> complex:
        nonlocal values
        values += 1
        if values > most:
            raise NoValueError
        return 0j if t in {low, high} else function(complex(t))

    ends = [low, (low + high) / 2, high] if math.isfinite(high - low) else [low, high]
    value, error = fp.quad(counted, ends, error=True)
    if not error < _PRECISE * (1 + abs(value)):
        raise NoValueError
    return value, _PRECISE * (1 + abs(value))


def limit(function: Callable[[Any], Any], place: Any, side: str = "") -> tuple[Any, Any]:
    """What a function tends to, and a bound of the error: its values 1e-12 and 1e-15 from there.

    Raises:
        NoValueError: If these differ, or those of both sides.

    """
    near, nearest = mp.mpf(10) ** -12, mp.mpf(10) ** -15
    if mp.isinf(place):
        points = [(mp.sign(place) / near, mp.sign(place) / nearest)]
    else:
        points = [
            (place + sign * near, place + sign * nearest) for sign in (1, -1) if side in {"", "+" if sign > 0 else "-"}
        ]
    found = []
    for about, nearer in points:
        value, last = function(about), function(nearer)
        if abs(last) > 30 * abs(value) and abs(last) > 1e9:
            last = mp.inf * mp.sign(last)
        elif abs(last - value) > _PRECISE * (1 + abs(value)):
            raise NoValueError
        found.append(last)
    if len(found) > 1 and found[0] != found[1] and not abs(found[0] - found[1]) < _PRECISE * (1 + abs(found[0])):
        raise NoValueError
    return found[0], _PRECISE * (1 + abs(found[0])) if mp.isfinite(found[0]) else 0
