r"""Sums that a policy wrote, worked out with fractions: ``(1 + 2) / 3``, ``2 × 3 ÷ 4``, ``\frac{1}{2} \times 4``."""

from __future__ import annotations

import ast
import re
from fractions import Fraction

_LONGEST = 1000
_SIGNS = {
    "\N{MULTIPLICATION SIGN}": "*",
    "\N{MIDDLE DOT}": "*",
    "\N{DOT OPERATOR}": "*",
    "\N{ASTERISK OPERATOR}": "*",
    "\N{DIVISION SIGN}": "/",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "[": "(",
    "]": ")",
    "$": "",
}
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_WORDS = [
    (r"\\(?:times|cdot|ast)(?![a-zA-Z])", "*"),
    (r"\\div(?![a-zA-Z])", "/"),
    (r"\\(?:left|right|[()\[\],;!: ])", ""),
]


def plain_sum(text: str) -> str:
    r"""A sum with the signs of a keyboard.

    Example:
        >>> plain_sum(r"\left(3 \times 4\right) \div \frac{1}{2}")
        '(3 * 4) / ((1)/(2))'

    """
    while True:
        opened = _FRACTION.sub(r"((\1)/(\2))", text)
        if opened == text:
            break
        text = opened
    for pattern, sign in _WORDS:
        text = re.sub(pattern, sign, text)
    for sign, plain in _SIGNS.items():
        text = text.replace(sign, plain)
    return text.replace("{", "(").replace("}", ")").strip()


def value_of(text: str) -> tuple[Fraction, list[int]] | None:
    """The value of a sum and the numbers in it, in order; None where it is none or divides by zero.

    There are whole numbers, ``+ - * /``, signs and parentheses, nothing else.

    Example:
        >>> value_of("(1 + 2) / 4")
        (Fraction(3, 4), [1, 2, 4])

    """
    if len(text) > _LONGEST:
        return None
    numbers: list[int] = []
    try:
        return _value(ast.parse(text.strip(), mode="eval").body, numbers), numbers
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr, numbers: list[int]) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        numbers.append(node.value)
        return Fraction(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        value = _value(node.operand, numbers)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, numbers), _value(node.right, numbers)
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Div):
            return left / right
    raise ValueError(f"{ast.dump(node)} is no sum")
