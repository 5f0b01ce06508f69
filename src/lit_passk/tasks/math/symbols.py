"""Names of what has no value of its own: variables with indices and accents, unknown functions, what is left to do."""

from __future__ import annotations

from typing import TypeAlias

from lit_passk.tasks.math.cursor import Cursor, UnreadableError
from lit_passk.tasks.math.latex import spelled

Node: TypeAlias = tuple
"""``(kind, ...)``: ("number", "3.5"), ("symbol", "x_1"), ("+", a, b), ("*", a, b), ("/", a, b), ("^", a, b),
("-", a), ("call", name, *arguments), ("matrix", *rows), ("opaque", spelling),
("bound", "sum", variable, body, low, high) and so for "prod", "int", "lim", "lim+", "lim-", "diff"."""

OPAQUE = {"\\int", "\\iint", "\\oint", "\\sum", "\\prod", "\\lim", "\\nabla", "\\partial", "\\limsup", "\\liminf"}
ACCENTS = {"\\overline", "\\vec", "\\hat", "\\tilde", "\\dot", "\\ddot", "\\overarc", "\\angle", "\\triangle"}
GREEK = set(
    (  # noqa: SIM905
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi "
        "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega pi infty ell hbar odot mho prime star "
        "emptyset"
    ).split()
)
WHOLE_NUMBERS = frozenset("klmnN")
"""Letters that stand for whole numbers where something is counted."""
_NAMED_FUNCTIONS = set("fgFG")
_CONSTANTS = {"\\pi", "e", "i", "\\infty"}


def names(node: Node) -> frozenset[str]:
    """The free symbols of an expression; what is opaque is one of them."""
    if node[0] in {"symbol", "opaque"}:
        return frozenset() if node[1] in _CONSTANTS else frozenset([node[1]])
    if node[0] == "bound":
        return (names(node[3]) - {node[2]}) | names(node[4]) | names(node[5])
    return frozenset().union(*(names(part) for part in parts(node)))


def parts(node: Node) -> tuple[Node, ...]:
    """The expressions that an expression is made of."""
    if node[0] == "matrix":
        return tuple(cell for row in node[1:] for cell in row)
    if node[0] == "bound":
        return node[3:]
    return () if node[0] == "number" else node[2:] if node[0] == "call" else node[1:]


def has_bound(node: Node) -> bool:
    """Whether a sum, product, integral or limit is left to do in it."""
    return node[0] == "bound" or any(map(has_bound, parts(node)))


def bounds(node: Node) -> frozenset[str]:
    """The symbols that say how many terms a sum has."""
    own = names(node[4]) | names(node[5]) if node[0] == "bound" and node[1] in {"sum", "prod"} else frozenset()
    return own.union(*map(bounds, parts(node)))


def replaced(node: Node, new: dict[str, Node]) -> Node:
    """The expression with other expressions in place of some symbols."""
    if node[0] in {"symbol", "opaque"}:
        return new.get(node[1], node)
    if node[0] == "bound":
        new = {name: other for name, other in new.items() if name != node[2]}
    return tuple(
        replaced(part, new)
        if isinstance(part, tuple) and part and isinstance(part[0], str)
        else tuple(replaced(cell, new) for cell in part)
        if isinstance(part, tuple)
        else part
        for part in node
    )


def size(node: Node, times: int = 1) -> int:
    """Of how many symbols, numbers and operations it is made; those in an integral count ``times``."""
    return 1 + sum(size(part, times) for part in parts(node)) * (times if node[0] == "bound" else 1)


def _chosen(letter: str, most: Node, chosen: Node) -> Node:
    """``C(5,3)`` or ``P(5,3)``: how many combinations or permutations."""
    combinations: Node = ("call", "binomial", most, chosen)
    return combinations if letter == "C" else ("*", combinations, ("call", "factorial", chosen))


class SymbolReader(Cursor):
    """Reads what counts as one symbol."""

    def bracketed(self, opening: str) -> Node:
        """A sum in brackets."""
        raise NotImplementedError

    def name(self, text: str) -> Node:
        """A variable with its index, or a function that is not known: f(2) is one unknown number."""
        if self.take("_"):
            start = self.place
            self.place = self.closing() if self.text() == "{" else start + 1
            index = [token for token in self.tokens[start : self.place] if token.text not in {"{", "}"}]
            text += "_" + spelled(index)
            if text[:2] == "c_" and text[2:].isdigit():  # arbitrary constants are C_1 or c_1
                text = text.upper()
        if text in _NAMED_FUNCTIONS and self.text() == "^" and self.text(1) == "{":  # f^{-1}(x)
            end = self.closing(self.place + 1)
            if end < len(self.tokens) and self.tokens[end].text == "(":
                text += spelled(self.tokens[self.place : end])
                self.place = end
                return ("symbol", text + self.skipped())
        if text == "\\Gamma" and self.text() == "(":
            return ("call", "gamma", self.bracketed("("))
        if self.text() == "(":
            end = self.closing()
            pair = self.tokens[self.place + 1 : end - 1]
            kinds = [token.kind for token in pair]
            if text in {"C", "P"} and kinds == ["number", "sign", "number"] and pair[1].text == ",":
                self.place = end
                return _chosen(text, *(("number", token.text) for token in pair[::2]))
            inside = [token.text for token in self.tokens[self.place + 1 : end - 1]]
            applied = bool({",", "<", ">", "=", "\\le", "\\ge", "\\mid"} & set(inside))
            number = len(inside) == 1 and self.tokens[self.place + 1].kind == "number"
            if applied or number or text in _NAMED_FUNCTIONS:
                return ("symbol", text + self.skipped())
        return ("symbol", text)

    def accented(self, text: str) -> Node:
        r"""``\vec{v}``, ``\overline{AB}``, ``\angle ABC``: a name that begins with the accent."""
        start = self.place
        end = self.closing() if self.text() == "{" else start
        while end == self.place or (end < len(self.tokens) and text in {"\\angle", "\\triangle"}):
            if end >= len(self.tokens) or self.tokens[end].kind != "letter":
                break
            end += 1
        if end == start:
            raise UnreadableError
        self.place = end
        return self.name(text + spelled([t for t in self.tokens[start:end] if t.text not in "{}"]))

    def opaque(self) -> Node:
        """All that a sum or an integral can stand before, by its spelling."""
        start, level = self.place - 1, 0
        while self.place < len(self.tokens) and level >= 0:
            level += (self.text() in {"{", "(", "["}) - (self.text() in {"}", ")", "]"})
            self.place += level >= 0
        return ("opaque", spelled(self.tokens[start : self.place]))
