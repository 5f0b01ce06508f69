"""Names of what has no value of its own: variables with indices and accents, unknown functions, what is left to do."""

from __future__ import annotations

from typing import TypeAlias

from lit_passk.tasks.math.cursor import Cursor, UnreadableError
from lit_passk.tasks.math.latex import spelled

Node: TypeAlias = tuple
"""``(kind, ...)``: ("number", "3.5"), ("symbol", "x_1"), ("+", a, b), ("*", a, b), ("/", a, b), ("^", a, b),
("-", a), ("call", name, *arguments), ("matrix", *rows), ("opaque", spelling)."""

OPAQUE = {"\\int", "\\iint", "\\oint", "\\sum", "\\prod", "\\lim", "\\nabla", "\\partial", "\\limsup", "\\liminf"}
ACCENTS = {"\\overline", "\\vec", "\\hat", "\\tilde", "\\dot", "\\ddot", "\\overarc", "\\angle", "\\triangle"}
GREEK = set(
    (  # noqa: SIM905
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi "
        "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega pi infty ell hbar odot mho prime star "
        "emptyset"
    ).split()
)
_NAMED_FUNCTIONS = set("fgFG")


class SymbolReader(Cursor):
    """Reads what counts as one symbol."""

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
        if self.text() == "(":
            end = self.closing()
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
