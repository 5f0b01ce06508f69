r"""From tokens to the tree of an expression: all that is no relation, list, set or interval.

math-verify's own parser does the same; it is not used here because it needs 10 to 700 milliseconds for an expression of
a college textbook and seconds for nested brackets, adds factors that stand side by side (2(3) is 5 to it), and knows
no capitals, so that R/r is 1.
"""

from __future__ import annotations

from lit_passk.tasks.math.commands import CLOSING, STARTING, CommandReader, product
from lit_passk.tasks.math.cursor import UnreadableError
from lit_passk.tasks.math.latex import FUNCTIONS, Token
from lit_passk.tasks.math.symbols import GREEK, Node

MAX_TOKENS = 400
"""No answer of the data sets has half as many; reading and sampling cost some microseconds per token."""
MAX_DEPTH = 40
"""How deep brackets may be nested."""
_TIMES = {"*", "\\cdot", "\\times"}
_OVER = {"/", "\\div", ":"}


def parse_expression(tokens: list[Token]) -> Node:
    """The tree of an expression.

    Raises:
        UnreadableError: If the tokens are no expression, or too many of them.

    """
    if not tokens or len(tokens) > MAX_TOKENS:
        raise UnreadableError
    reader = _Reader(tokens)
    node = reader.sum()
    if reader.place < len(reader.tokens):
        raise UnreadableError
    return node


class _Reader(CommandReader):
    """A recursive-descent parser: ``sum`` of ``term`` of ``chunk`` (factors side by side) of ``factor``."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self.bars = 0

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnreadableError
        node = self.term()
        while sign := self.take("+", "-"):
            right = self.term()
            node = ("+", node, ("-", right) if sign == "-" else right)
        if over := self.take("\\over", "\\choose"):
            below = self.sum()
            node = ("/", node, below) if over == "\\over" else ("call", "binomial", node, below)
        self.depth -= 1
        return node

    def term(self) -> Node:
        negative = False
        while sign := self.take("+", "-"):
            negative ^= sign == "-"
        factors = self.chunk()
        node = product(factors)
        while operator := self.take(*_TIMES, *_OVER):
            minus = self.take("-")
            right = self.chunk()
            if operator in _TIMES:
                node = ("*", node, product(right))
            elif _plain(factors) and right[0][0] == "number":  # 1/2 x is half of x, a/2x is a over 2x
                node = product([("/", node, right[0]), *right[1:]])
            else:
                node = ("/", node, product(right))
            node = ("-", node) if minus else node
            factors = [node]
        return ("-", node) if negative else node

    def chunk(self) -> list[Node]:
        """Factors side by side, of which there is at least one; a whole number before a fraction is added to it."""
        factors: list[Node] = []
        while self.starts_factor():
            token = self.tokens[self.place]
            if factors and token.kind == "number" and factors[-1][0] == "number":
                after = self.tokens[self.place + 1 : self.place + 3]
                if len(factors) > 1 or len(after) < 2 or after[0].text != "/" or after[1].kind != "number":
                    raise UnreadableError  # two numbers side by side are neither a product nor a number
                self.place += 3
                factors = [("+", factors[0], ("/", ("number", token.text), ("number", after[1].text)))]
                continue
            new = self.factor()
            mixed = token.text == "\\frac" and len(factors) == 1 and _whole(factors[0]) and _fraction(new)
            factors = [("+", factors[0], new)] if mixed else [*factors, new]
        if not factors:
            raise UnreadableError
        return factors

    def starts_factor(self) -> bool:
        if self.place >= len(self.tokens):
            return False
        kind, text, _ = self.tokens[self.place]
        if kind == "sign":
            return text in {"(", "[", "{"} or (text == "|" and not self.bars)
        return kind != "command" or text[1:] in GREEK or text[1:] in FUNCTIONS or text in STARTING

    def factor(self) -> Node:
        node = self.base()
        while True:
            if self.take("^"):
                node = self.raised(node)
            elif node[0] == "number" and self.take("\\circ"):  # a degree sign that is not raised
                node = ("/", ("*", node, ("symbol", "\\pi")), ("number", "180")) if self.angle else node
            elif self.take("!"):
                node = ("call", "factorial2" if self.take("!") else "factorial", node)
            elif self.take("%"):
                node = ("/", node, ("number", "100"))
            elif self.take("'"):
                if node[0] != "symbol":
                    raise UnreadableError
                node = ("symbol", node[1] + "'")
            else:
                return node

    def raised(self, node: Node) -> Node:
        start = self.place
        end = self.closing() if self.text() == "{" else start + 1
        inside = [token.text for token in self.tokens[start:end] if token.text not in "{}"]
        if inside and set(inside) <= {"\\circ", "\\prime", "'", "*", "\\star"}:
            self.place = end
            if inside == ["\\circ"]:
                return ("/", ("*", node, ("symbol", "\\pi")), ("number", "180")) if self.angle else node
            if node[0] != "symbol":
                raise UnreadableError
            return ("symbol", node[1] + "".join(inside).replace("\\prime", "'"))
        if node[0] == "matrix" and set(inside) <= {"T", "\\top"}:
            self.place = end
            return ("matrix", *zip(*node[1:], strict=True))
        minus = self.take("-")
        exponent = self.argument(whole_number=True)
        return ("^", node, ("-", exponent) if minus else exponent)

    def base(self) -> Node:
        if self.place >= len(self.tokens):
            raise UnreadableError
        kind, text, _ = self.tokens[self.place]
        if text in CLOSING and kind != "word":
            return self.bracketed(text)
        self.place += 1
        if kind == "number":
            if self.take("_"):  # the base of 4210_5: math-verify compares the digits, and so do we
                self.place = self.closing() if self.text() == "{" else self.place + 1
            return ("number", text)
        if kind in {"letter", "word"} or text[1:] in GREEK:
            return self.name(text)
        if text[1:] in FUNCTIONS:
            return self.function(text)
        return self.command(text)

    def bracketed(self, opening: str) -> Node:
        self.place += 1
        bars, self.bars = self.bars, int(opening == "|")
        node = self.sum()
        self.bars = bars
        self.need(CLOSING[opening])
        name = {"|": "abs", "\\lfloor": "floor", "\\lceil": "ceiling"}.get(opening)
        return ("call", name, node) if name else node


def _whole(node: Node) -> bool:
    return node[0] == "number" and node[1].isdigit()


def _plain(factors: list[Node]) -> bool:
    return len(factors) == 1 and factors[0][0] == "number"


def _fraction(node: Node) -> bool:
    return node[0] == "/" and _whole(node[1]) and _whole(node[2])
