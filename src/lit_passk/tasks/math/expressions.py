r"""From tokens to the tree of an expression: all that is no relation, list, set or interval.

math-verify's own parser does the same; it is not used here because it needs 10 to 700 milliseconds for an expression of
a college textbook and seconds for nested brackets, adds factors that stand side by side (2(3) is 5 to it), and knows
no capitals, so that R/r is 1.
"""

from __future__ import annotations

from lit_passk.tasks.math.bound import BoundReader
from lit_passk.tasks.math.cursor import UnreadableError
from lit_passk.tasks.math.latex import FUNCTIONS, Token, spelled
from lit_passk.tasks.math.symbols import ACCENTS, GREEK, OPAQUE, Node

MAX_TOKENS = 400
"""No answer of the data sets has half as many; reading and sampling cost some microseconds per token."""
MAX_DEPTH = 40
"""How deep brackets may be nested."""
_CLOSING = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "|": "|", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil"}
_TIMES = {"*", "\\cdot", "\\times"}
_OVER = {"/", "\\div", ":"}
_TRIGONOMETRIC = {"\\sin", "\\cos", "\\tan", "\\cot", "\\sec", "\\csc", "\\cis"}


_HALF = ("/", ("number", "1"), ("number", "2"))


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


class _Reader(BoundReader):
    """A recursive-descent parser: ``sum`` of ``term`` of ``chunk`` (factors side by side) of ``factor``."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self.angle = 0  # inside so many trigonometric functions, where a degree is an angle
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
        node = _product(factors)
        while operator := self.take(*_TIMES, *_OVER):
            minus = self.take("-")
            right = self.chunk()
            if operator in _TIMES:
                node = ("*", node, _product(right))
            elif _plain(factors) and right[0][0] == "number":  # 1/2 x is half of x, a/2x is a over 2x
                node = _product([("/", node, right[0]), *right[1:]])
            else:
                node = ("/", node, _product(right))
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
        return kind != "command" or text[1:] in GREEK or text[1:] in FUNCTIONS or text in _STARTING

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
        if text in _CLOSING and kind != "word":
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

    def function(self, text: str) -> Node:
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
        if self.text() in _CLOSING:
            return self.bracketed(self.text())
        factors: list[Node] = []
        while self.starts_factor() and self.text()[1:] not in FUNCTIONS and not (factors and self.text() in "([{"):
            factors.append(self.factor())
        if not factors:
            if self.text()[1:] not in FUNCTIONS:
                raise UnreadableError
            factors = [self.factor()]  # \ln\sin x
        return _product(factors)

    def listed(self) -> list[Node]:
        opening = self.take("(", "\\{", "{") or ""
        arguments = [self.sum()]
        while self.take(","):
            arguments.append(self.sum())
        self.need(_CLOSING.get(opening, ")"))
        return arguments

    def command(self, text: str) -> Node:
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
        start = self.place
        above = self.argument()
        middle = self.place
        below = self.argument()
        upper, lower = (
            [token.text for token in self.tokens[a:b] if token.text not in "{}"]
            for a, b in ((start, middle), (middle, self.place))
        )
        if upper and lower and upper[0] == lower[0] and upper[0] in {"d", "\\partial"} and len(lower) > 1:
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

    def bracketed(self, opening: str) -> Node:
        self.place += 1
        bars, self.bars = self.bars, int(opening == "|")
        node = self.sum()
        self.bars = bars
        self.need(_CLOSING[opening])
        name = {"|": "abs", "\\lfloor": "floor", "\\lceil": "ceiling"}.get(opening)
        return ("call", name, node) if name else node

    def matrix(self) -> Node:
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


_STARTING = {"\\det", "\\frac", "\\binom", "\\sqrt", "\\begin", "\\lfloor", "\\lceil", *ACCENTS, *OPAQUE}


def _product(factors: list[Node]) -> Node:
    return factors[0] if len(factors) == 1 else ("*", *factors)


def _whole(node: Node) -> bool:
    return node[0] == "number" and node[1].isdigit()


def _plain(factors: list[Node]) -> bool:
    return len(factors) == 1 and factors[0][0] == "number"


def _fraction(node: Node) -> bool:
    return node[0] == "/" and _whole(node[1]) and _whole(node[2])
