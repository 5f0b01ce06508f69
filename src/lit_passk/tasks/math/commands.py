r"""Reads what a command or a function's name begins: fractions, roots, ``\sin x``, ``\max(a, b)``, matrices."""

from __future__ import annotations

from lit_passk.tasks.math.bound import BoundReader
from lit_passk.tasks.math.cursor import UnreadableError
from lit_passk.tasks.math.latex import FUNCTIONS, Token, spelled
from lit_passk.tasks.math.symbols import ACCENTS, OPAQUE, Node

CLOSING = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "|": "|", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil"}
_TRIGONOMETRIC = {"\\sin", "\\cos", "\\tan", "\\cot", "\\sec", "\\csc", "\\cis"}
_HALF = ("/", ("number", "1"), ("number", "2"))
STARTING = {"\\det", "\\frac", "\\binom", "\\sqrt", "\\begin", "\\lfloor", "\\lceil", *ACCENTS, *OPAQUE}
"""Commands that begin a factor."""


def product(factors: list[Node]) -> Node:
    """Factors side by side, or the only one."""
    return factors[0] if len(factors) == 1 else ("*", *factors)


class CommandReader(BoundReader):
    """Reads commands and functions; sums, factors and brackets are its subclass's."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self.angle = 0  # inside so many trigonometric functions, where a degree is an angle

    def starts_factor(self) -> bool:
        """Whether the next token can begin a factor."""
        raise NotImplementedError

    def base(self) -> Node:
        """A group, number, name or command."""
        raise NotImplementedError

    def function(self, text: str) -> Node:
        r"""What ``\sin``, ``\log_2`` or ``\max`` begins."""
        base = self.argument() if self.take("_") else None
        power = self.argument() if self.take("^") else None
        self.angle += text in _TRIGONOMETRIC
        arguments = self.listed() if text in {"\\gcd", "\\lcm", "\\max", "\\min"} else [self.applied()]
        self.angle -= text in _TRIGONOMETRIC
        name = text[1:]
        if power == ("-", ("number", "1")) and text in _TRIGONOMETRIC:
            name, power = "arc" + name, None
        if name == "log":
            arguments.append(base or ("number", "10"))
        elif base:
            raise UnreadableError
        node = ("call", name, *arguments)
        return ("^", node, power) if power else node

    def applied(self) -> Node:
        """The argument of a function: a bracket, or the factors that follow it."""
        if self.text() in CLOSING:
            return self.bracketed(self.text())
        factors: list[Node] = []
        while self.starts_factor() and self.text()[1:] not in FUNCTIONS and not (factors and self.text() in "([{"):
            factors.append(self.factor())
        if not factors:
            if self.text()[1:] not in FUNCTIONS:
                raise UnreadableError
            factors = [self.factor()]  # \ln\sin x
        return product(factors)

    def listed(self) -> list[Node]:
        """The arguments between brackets and commas."""
        opening = self.take("(", "\\{", "{") or ""
        arguments = [self.sum()]
        while self.take(","):
            arguments.append(self.sum())
        self.need(CLOSING.get(opening, ")"))
        return arguments

    def command(self, text: str) -> Node:
        """What any other command begins."""
        if text == "\\frac":
            return self.fraction()
        if text == "\\binom":
            return ("call", "binomial", self.argument(), self.argument())
        if text == "\\sqrt":
            root: Node = ("number", "2")
            if self.take("["):
                root = self.sum()
                self.need("]")
            inside = self.argument(whole_number=True)
            return ("call", "root", inside, root) if root != ("number", "2") else ("^", inside, _HALF)
        if text == "\\det":
            start = self.place
            inside = self.factor()
            whole = spelled(self.tokens[start : self.place])
            return ("call", "det", inside) if inside[0] == "matrix" else ("symbol", text + whole)
        if text == "\\overline" and {"+", "-"} & {token.text for token in self.tokens[self.place : self.closing()]}:
            return ("call", "conjugate", self.argument())
        if text in ACCENTS:
            return self.accented(text)
        if text == "\\begin":
            return self.matrix()
        if text in OPAQUE:
            return self.binding(text)
        raise UnreadableError

    def fraction(self) -> Node:
        r"""A quotient; ``\frac{dy}{dx}`` is a symbol."""
        start = self.place
        above = self.argument()
        middle = self.place
        below = self.argument()
        upper, lower = (
            [token.text for token in self.tokens[a:b] if token.text not in "{}"]
            for a, b in ((start, middle), (middle, self.place))
        )
        if upper and lower and upper[0] == lower[0] and upper[0] in {"d", "\\partial"} and len(lower) > 1:
            if len(upper) == 1 and len(lower) == 2 and (derivative := self.derivative(lower[1])):
                return derivative
            return ("symbol", f"{''.join(upper)}/{''.join(lower)}")  # a derivative is no quotient
        return ("/", above, below)

    def argument(self, whole_number: bool = False) -> Node:
        r"""What a command takes: a group, or one token, of a number its first digit unless ``whole_number``."""
        if self.place >= len(self.tokens):
            raise UnreadableError
        kind, text, _ = self.tokens[self.place]
        if kind == "number" and not whole_number and len(text) > 1 and text.isdigit():
            self.tokens[self.place] = Token("number", text[1:])
            return ("number", text[0])
        return self.base()

    def matrix(self) -> Node:
        r"""The rows up to ``\end``."""
        rows: list[tuple[Node, ...]] = []
        cells: list[Node] = []
        while not self.take("\\end"):
            cells.append(self.sum())
            if self.take("&"):
                continue
            rows.append(tuple(cells))
            cells = []
            self.take("\\\\")
        if len({len(row) for row in rows}) != 1:
            raise UnreadableError
        return ("matrix", *rows)
