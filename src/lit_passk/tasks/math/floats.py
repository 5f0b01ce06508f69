"""Expressions as functions of complex floats: fifty times as fast as ``sampling.evaluate``, for searching zeros."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import TypeAlias

from numpy.polynomial.legendre import leggauss

from lit_passk.tasks.math.cursor import UnreadableError
from lit_passk.tasks.math.precision import arbitrary
from lit_passk.tasks.math.symbols import Node

AREA_POINTS = 24
"""Of an integral within another one."""
Function: TypeAlias = Callable[[dict[str, complex]], complex]


class UndefinedError(ArithmeticError):
    """The function has no value here that fits into a float."""


def _real(function: Callable[..., float]) -> Callable[..., complex]:
    def of_reals(*values: complex) -> complex:
        if any(abs(value.imag) > 1e-12 for value in values):
            raise UndefinedError
        return complex(function(*(value.real for value in values)))

    return of_reals


_FUNCTIONS: dict[str, Callable[..., complex]] = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "cot": lambda x: 1 / cmath.tan(x),
    "sec": lambda x: 1 / cmath.cos(x), "csc": lambda x: 1 / cmath.sin(x), "arcsin": cmath.asin, "arccos": cmath.acos,
    "arctan": cmath.atan, "sinh": cmath.sinh, "cosh": cmath.cosh, "tanh": cmath.tanh, "arsinh": cmath.asinh,
    "arcosh": cmath.acosh, "artanh": cmath.atanh, "coth": lambda x: 1 / cmath.tanh(x), "ln": cmath.log,
    "log": lambda x, base: cmath.log(x) / cmath.log(base), "exp": cmath.exp, "abs": lambda x: complex(abs(x)),
    "floor": _real(math.floor), "ceiling": _real(math.ceil), "max": _real(max), "min": _real(min),
    "factorial": _real(lambda x: math.gamma(x + 1)), "sgn": _real(lambda x: math.copysign(1, x) if x else 0.0),
    "root": lambda x, n: _root(x, n), "conjugate": lambda x: x.conjugate(), "cis": lambda x: cmath.exp(1j * x),
    "+": lambda a, b: a + b, "/": lambda a, b: a / b, "-": lambda a: -a, "*": lambda *values: math.prod(values),
}  # fmt: skip
_CONSTANTS = {"\\pi": complex(math.pi), "e": complex(math.e), "\\infty": complex(math.inf)}


def compiled(node: Node, areas: bool = False) -> Function:
    """A function of a point; it raises ``UndefinedError``, ZeroDivisionError or OverflowError where it has no value.

    Args:
        node: An expression.
        areas: Whether definite integrals are computed, each in 24 values, precise where what is inside is smooth.

    Raises:
        UnreadableError: For what has no value in floats, such as a matrix, or has to be searched for: an integral.

    """
    kind = node[0]
    if kind == "number":
        number = complex(float(node[1].rstrip(".")))
        return lambda point: number
    if kind in {"symbol", "opaque"}:
        name = node[1]
        constant = _CONSTANTS.get(name)
        if constant is not None:
            return lambda point: constant
        default = 1j if name == "i" else complex(arbitrary(name, 0))
        return lambda point: point.get(name, default)
    if node[:2] == ("bound", "int") and areas:
        return _area(node)
    if kind in {"matrix", "bound"}:
        raise UnreadableError
    name, parts = (node[1], node[2:]) if kind == "call" else (kind, node[1:])
    arguments = [compiled(part, areas) for part in parts]
    if name == "^":
        base, exponent = arguments
        return lambda point: _power(base(point), exponent(point))
    if name not in _FUNCTIONS:
        raise UnreadableError
    function = _FUNCTIONS[name]

    def value(point: dict[str, complex]) -> complex:
        try:
            return function(*(argument(point) for argument in arguments))
        except ValueError as error:
            raise UndefinedError from error

    return value


def _area(node: Node) -> Function:
    """A definite integral by the sum of Gauss and Legendre."""
    variable, (body, low, high) = node[2], (compiled(part, areas=True) for part in node[3:])
    places, weights = (values.tolist() for values in leggauss(AREA_POINTS))

    def value(point: dict[str, complex]) -> complex:
        a, b = low(point), high(point)
        if not (cmath.isfinite(a) and cmath.isfinite(b)):
            raise UndefinedError
        half, middle = (b - a) / 2, (a + b) / 2
        at = ((body({**point, variable: middle + half * t}), weight) for t, weight in zip(places, weights, strict=True))
        return half * sum(part * weight for part, weight in at)

    return value


def _root(value: complex, degree: complex) -> complex:
    if value.imag == 0 and value.real < 0 and degree.real % 2 == 1:
        return -_power(-value, 1 / degree)
    return _power(value, 1 / degree)


def _power(base: complex, exponent: complex) -> complex:
    if exponent.imag == 0 and exponent.real.is_integer() and abs(exponent.real) < 100:
        return base ** int(exponent.real)
    if base == 0:
        if exponent.real > 0:
            return 0j
        raise UndefinedError
    return cmath.exp(exponent * cmath.log(base))
