"""The value of an expression at one point, in bounded work: what is too large to write down is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from lit_passk.tasks.math import calculus
from lit_passk.tasks.math.floats import AREA_POINTS, compiled
from lit_passk.tasks.math.precision import EXACT, TooLargeError, arbitrary, mp
from lit_passk.tasks.math.symbols import Node, size

Point: TypeAlias = dict[str, Any]
"""Values of the symbols."""
Value: TypeAlias = Any
"""``mpf`` or ``mpc``, or for a matrix a tuple of rows of them."""

mpf, mpc = mp.mpf, mp.mpc
_LARGEST = 10**7  # bits: 2004! has 19 thousand, 9^(9^9) a billion
_INTEGER_BITS = 4000
_LARGEST_MATRIX = 8
_MOST_STEPS = 20_000  # all the terms of sums together
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "\\pi": lambda: +mp.pi, "e": lambda: +mp.e, "i": lambda: mpc(0, 1), "\\infty": lambda: mp.inf,
}  # fmt: skip


class NotRealError(ArithmeticError):
    """A value that was to be real is not."""


class _Evaluation:
    """One walk through an expression; ``noise`` bounds what cancellation leaves of the exact sums."""

    def __init__(self, point: Point, real: bool = False) -> None:
        self.point, self.real, self.noise = point, real, mpf(0)
        self.steps = 0

    def __call__(self, node: Node) -> Value:
        kind = node[0]
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise TooLargeError
        if kind == "number":
            value = mpf(node[1].rstrip("."))
        elif kind in {"symbol", "opaque"}:
            value = self.symbol(node[1])
        elif kind == "matrix":
            return tuple(tuple(self(cell) for cell in row) for row in node[1:])
        elif kind == "bound":
            value = self.bound(*node[1:])
        else:
            arguments = [self(argument) for argument in (node[2:] if kind == "call" else node[1:])]
            if any(isinstance(argument, tuple) for argument in arguments):
                return self.matrix(node[1] if kind == "call" else kind, arguments)
            value = self.operation(node[1] if kind == "call" else kind, arguments)
        if isinstance(value, mpc):
            if value.imag == 0:
                value = value.real
            elif self.real:
                raise NotRealError
        if mp.isfinite(value) and value and abs(mp.mag(value)) > _LARGEST:
            raise TooLargeError
        return value

    def symbol(self, name: str) -> Value:
        if name in self.point:
            return self.point[name]
        return _CONSTANTS[name]() if name in _CONSTANTS else arbitrary(name, 0)

    def bound(self, kind: str, variable: str, body: Node, low_end: Node, high_end: Node) -> Value:
        """A sum, a product, an integral, a limit or a derivative."""
        low, high = self(low_end), self(high_end)
        outer = self.point

        def at(value: Value) -> Value:
            self.point = {**outer, variable: value}
            try:
                return self(body)
            finally:
                self.point = outer

        error = mpf(0)
        if kind == "int":
            function = compiled(body, areas=True)
            point = {name: complex(value) for name, value in outer.items()}
            most = 10 * (_MOST_STEPS - self.steps) // size(body, AREA_POINTS)  # floats are more than ten times as fast
            value, error = calculus.integral(lambda t: function({**point, variable: t}), float(low), float(high), most)
            value = mp.mpmathify(value)
        elif kind == "diff":
            value = mp.diff(at, low)
            error = (1 + abs(value)) * EXACT
        elif kind.startswith("lim"):
            value, error = calculus.limit(at, low, kind[3:])
        elif kind == "sum" and high == mp.inf:
            value, error = calculus.series(at, low)
        else:
            value = calculus.folded(at, low, high, kind == "prod")
            error = abs(value) * EXACT / 1000
        self.noise = max(self.noise, error)
        return value

    def operation(self, name: str, arguments: list[Value]) -> Value:
        if name == "+":
            self.noise = max(self.noise, max(abs(argument) for argument in arguments) * EXACT / 1000)
            return sum(arguments, mpf(0))
        if name == "*":
            return mp.fprod(arguments)
        if name == "-":
            return -arguments[0]
        if name == "/":
            return arguments[0] / arguments[1]
        if name == "^":
            return _power(*arguments)
        for argument in arguments:  # the periods of a sine, the digits of an integer
            if mp.isfinite(argument) and abs(argument) > 1 and mp.mag(argument) > _INTEGER_BITS:
                raise TooLargeError
        if name in {"sin", "cos", "tan"}:  # of a rounded multiple of pi
            self.noise = max(self.noise, abs(arguments[0]) * EXACT / 1000)
        return _FUNCTIONS[name](*arguments)

    def matrix(self, name: str, arguments: list[Value]) -> Value:
        """Sums, multiples and products of matrices, tuples of rows."""
        first, *rest = arguments
        if name == "-":
            return _times(mpf(-1), first)
        if name == "det" and len(first) == len(first[0]) <= _LARGEST_MATRIX:
            self.noise = max(self.noise, mp.fprod(1 + max(map(abs, row)) for row in first) * EXACT / 1000)
            return mp.det(mp.matrix(first))
        for other in rest:
            matrices = [isinstance(value, tuple) for value in (first, other)]
            if name == "+" and all(matrices) and shape(first) == shape(other):
                first = tuple(tuple(map(sum, zip(*rows, strict=True))) for rows in zip(first, other, strict=True))
            elif name == "*" and all(matrices) and shape(first)[1] == shape(other)[0]:
                first = tuple(tuple(mp.fdot(row, column) for column in zip(*other, strict=True)) for row in first)
            elif name == "*" and not any(matrices):
                first = first * other
            elif name == "*" and sum(matrices) == 1:
                first = _times(first, other) if matrices[1] else _times(other, first)
            elif name == "/" and matrices == [True, False]:
                first = _times(1 / other, first)
            else:
                raise ArithmeticError("no such operation on matrices")
        return first


def _power(base: Value, exponent: Value) -> Value:
    if mp.isfinite(base) and mp.isfinite(exponent) and base and abs(base) != 1:
        bits = max(abs(mp.mag(base)), 1) * abs(exponent)
        if bits > _LARGEST and abs(mp.ln(abs(base)) * exponent) > _LARGEST:  # near 1 the first bound is a poor one
            raise TooLargeError
    if base == 0 and mp.re(exponent) < 0:
        raise ZeroDivisionError
    return mp.power(base, exponent)


def _root(value: Value, degree: Value) -> Value:
    """The real root of a negative number where there is one."""
    if mp.isint(degree) and mp.im(value) == 0 and mp.re(value) < 0 and int(degree) % 2:
        return -_power(-value, 1 / degree)
    return _power(value, 1 / degree)


def _factorial(value: Value, function: Callable[[Value], Value] = mp.factorial) -> Value:
    if abs(value) > 10**6:
        raise TooLargeError
    return function(value)


def _binomial(n: Value, k: Value) -> Value:
    if abs(n) > 10**6 or abs(k) > 10**6:
        raise TooLargeError
    return mp.binomial(n, k)


def _gcd(*values: Value) -> Value:
    """Of integers; of anything else a number that depends on the arguments and nothing more."""
    if all(isinstance(value, mpf) and mp.isint(value) for value in values):
        result = 0
        for value in values:
            result = _euclid(result, int(value))
        return mpf(result)
    return arbitrary("gcd" + "".join(sorted(mp.nstr(value, 20) for value in values)), 0)


def _euclid(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return abs(a)


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "cot": mp.cot, "sec": mp.sec, "csc": mp.csc, "arcsin": mp.asin,
    "arccos": mp.acos, "arctan": mp.atan, "arccot": mp.acot, "arcsec": mp.asec, "arccsc": mp.acsc, "sinh": mp.sinh,
    "cosh": mp.cosh, "tanh": mp.tanh, "coth": mp.coth, "arsinh": mp.asinh, "arcosh": mp.acosh, "artanh": mp.atanh,
    "ln": mp.ln, "log": lambda value, base: mp.ln(value) / mp.ln(base), "exp": lambda value: _power(+mp.e, value),
    "abs": abs, "floor": mp.floor, "ceiling": mp.ceil, "factorial": _factorial, "binomial": _binomial, "sgn": mp.sign,
    "factorial2": lambda value: _factorial(value, mp.fac2), "max": max, "min": min, "gcd": _gcd,
    "root": _root, "conjugate": mp.conj, "cis": lambda value: mp.expj(value),
    "gamma": lambda value: _factorial(value, mp.gamma),
    "lcm": lambda a, b: a * b / _gcd(a, b),
}  # fmt: skip


def _times(factor: Value, matrix: Value) -> Value:
    return tuple(tuple(factor * cell for cell in row) for row in matrix)


def shape(matrix: Value) -> tuple[int, int]:
    """Numbers of rows and columns."""
    return len(matrix), len(matrix[0])


def evaluate(node: Node, point: Point | None = None, real: bool = False) -> tuple[Value, Any]:
    """The value at a point, and a bound of what rounding did to it.

    Args:
        node: An expression.
        point: Values of symbols; those it does not name get an arbitrary one between 0.5 and 1.5.
        real: Whether every step has to be real.

    Raises:
        TooLargeError: If a number has more than some million digits.
        NotRealError: If ``real`` and a step is not.
        ArithmeticError: If there is no value: a division by zero, say.

    """
    evaluation = _Evaluation(point or {}, real)
    try:
        value = evaluation(node)
    except (ArithmeticError, RecursionError):
        raise
    except Exception as error:  # whatever mpmath raises outside of a function's domain
        raise ArithmeticError(str(error)) from error
    if any(mp.isnan(cell) for cell in cells(value)):
        raise ArithmeticError("no number")
    return value, evaluation.noise


def cells(value: Value) -> list[Value]:
    """The entries of a matrix, or the value itself."""
    return [cell for row in value for cell in row] if isinstance(value, tuple) else [value]
