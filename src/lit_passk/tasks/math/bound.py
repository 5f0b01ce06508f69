r"""Reads sums, products, integrals and limits: what binds a variable."""

from __future__ import annotations

import re

from lit_passk.tasks.math.cursor import UnreadableError
from lit_passk.tasks.math.latex import Token
from lit_passk.tasks.math.symbols import Node, SymbolReader, names, replaced

_BINDING = {"\\sum", "\\prod", "\\int", "\\lim"}
_GROUPS = {"{": 1, "(": 1, "[": 1, "}": -1, ")": -1, "]": -1}
_INFINITY: Node = ("symbol", "\\infty")


class BoundReader(SymbolReader):
    """Reads ``("bound", kind, variable, body, low, high)``; the grammar of what is inside is its subclass's."""

    def term(self) -> Node:
        """A product."""
        raise NotImplementedError

    def factor(self) -> Node:
        """A base with what is raised or stands behind it."""
        raise NotImplementedError

    def sum(self) -> Node:
        """A sum."""
        raise NotImplementedError

    def argument(self, whole_number: bool = False) -> Node:
        """A group or one token."""
        raise NotImplementedError

    def binding(self, text: str) -> Node:
        """The sum, integral, ... that ``text`` begins, or all that follows by its spelling where it cannot be read."""
        start, tokens = self.place, list(self.tokens)
        if text in _BINDING:
            try:
                read = {"\\lim": self._limit, "\\int": self._integral}.get(text, lambda: self._sum(text[1:]))
                return _with_common_variable(read())
            except UnreadableError:
                self.place, self.tokens = start, tokens
        return self.opaque()

    def derivative(self, variable: str) -> Node | None:
        r"""What ``\frac{d}{dx}`` stands before, None where that holds other letters, which may depend on x."""
        start, tokens = self.place, list(self.tokens)
        try:
            body = self.factor() if self.text() in {"(", "[", "{"} else self.term()
        except UnreadableError:
            body = ("number", "0")
        if names(body) != {variable}:
            self.place, self.tokens = start, tokens
            return None
        place: Node = ("symbol", variable)
        return _with_common_variable(("bound", "diff", variable, body, place, place))

    def _limit(self) -> Node:
        self.need("_")
        end = self.closing()
        self.need("{")
        variable = self._variable()
        if not self.take("\\to", "\\rightarrow"):
            raise UnreadableError
        inside = [token for token in self.tokens[self.place : end - 1] if token.text not in {"{", "}"}]
        side = inside[-1].text if [token.text for token in inside[-2:]] in (["^", "+"], ["^", "-"]) else ""
        place = self.of(inside[:-2]) if side else self.of(self.tokens[self.place : end - 1])
        self.place = end
        return ("bound", "lim" + side, variable, self.term(), place, place)

    def _sum(self, kind: str) -> Node:
        self.need("_")
        self.need("{")
        variable = self._variable()
        sign = self.take("=", "\\ge")
        if not sign:
            raise UnreadableError
        low = self.sum()
        self.need("}")
        if sign == "=":
            self.need("^")
            high = self.argument(whole_number=True)
        else:
            high = _INFINITY
        return ("bound", kind, variable, self.term(), low, high)

    def _integral(self) -> Node:
        self.need("_")
        low = self._end()
        self.need("^")
        high = self._end()
        if self.take("\\int"):
            body = self._integral()
            return ("bound", "int", self._differential(), body, low, high)
        level = 0
        for place in range(self.place, len(self.tokens) - 1):
            level += _GROUPS.get(self.tokens[place].text, 0) if self.tokens[place].kind != "word" else 0
            if level < 0:
                break
            if self._is_differential(place):
                return ("bound", "int", *self._integrand(place, level), low, high)
        raise UnreadableError

    def _integrand(self, place: int, level: int) -> tuple[str, Node]:
        """The variable and the body; ``dx`` stands behind it or above a fraction bar."""
        variable = self.tokens[place + 1].text
        if level == 0:
            inside = self.tokens[self.place : place]
            self.place = place + 2
            return variable, self.of(inside) if inside else ("number", "1")
        alone = self.tokens[place - 1].text == "{" and self.tokens[place + 2 : place + 3] == [Token("sign", "}")]
        self.tokens[place : place + 2] = [Token("number", "1")] if alone else []
        return variable, self.term()

    def _differential(self) -> str:
        if not self._is_differential(self.place):
            raise UnreadableError
        self.place += 2
        return self.tokens[self.place - 1].text

    def _is_differential(self, place: int) -> bool:
        pair = self.tokens[place : place + 2]
        return (
            len(pair) == 2
            and pair[0][:2] == ("letter", "d")
            and (pair[1].kind == "letter" or pair[1].text in {"\\theta", "\\phi"})
        )

    def _end(self) -> Node:
        minus = self.take("-")
        node = self.argument()
        return ("-", node) if minus else node

    def _variable(self) -> str:
        if self.place >= len(self.tokens) or self.tokens[self.place].kind not in {"letter", "command"}:
            raise UnreadableError
        self.place += 1
        return self.tokens[self.place - 1].text

    def of(self, tokens: list[Token]) -> Node:
        """The tree of other tokens."""
        reader = type(self)(tokens)
        reader.depth = self.depth + 1
        node = reader.sum()
        if reader.place < len(tokens):
            raise UnreadableError
        return node


def _with_common_variable(node: Node) -> Node:
    """The same for every name of the bound variable, which stands in the names of ``a_k`` and ``f(x)`` too."""
    _, kind, variable, body, *ends = node
    depth = 1
    while "#" * depth in str(body):  # the variables bound inside
        depth += 1
    own = re.compile(rf"(?<![A-Za-z\\]){re.escape(variable)}(?![A-Za-z])")
    new: dict[str, Node] = {name: ("symbol", own.sub("#" * depth, name)) for name in (*names(body), variable)}
    return ("bound", kind, "#" * depth, replaced(body, new), *ends)
