"""A place in a list of tokens: what the reader of expressions looks at, takes and skips."""

from __future__ import annotations

from lit_passk.tasks.math.latex import Token, spelled


class UnreadableError(ValueError):
    """The tokens are no expression."""


class Cursor:
    """Tokens, and the place of the next one."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = list(tokens)
        self.place = 0
        self.depth = 0

    def text(self, ahead: int = 0) -> str:
        """The text of the next token, empty for a word and behind the end."""
        place = self.place + ahead
        return self.tokens[place].text if place < len(self.tokens) and self.tokens[place].kind != "word" else ""

    def take(self, *texts: str) -> str | None:
        """Take the next token if it is one of these."""
        if self.text() in texts and self.text():
            self.place += 1
            return self.tokens[self.place - 1].text
        return None

    def need(self, text: str) -> None:
        """Take the next token, which has to be this one."""
        if not self.take(text):
            raise UnreadableError

    def skipped(self) -> str:
        """The spelling of the bracket that begins here, and to behind it."""
        start, self.place = self.place, self.closing()
        return spelled(self.tokens[start : self.place])

    def closing(self, place: int | None = None) -> int:
        """The place after the bracket that closes the one at ``place``."""
        place = self.place if place is None else place
        level = 0
        for end in range(max(place, 0), len(self.tokens)):
            text = self.tokens[end].text
            level += (text in {"{", "(", "["}) - (text in {"}", ")", "]"})
            if level == 0 and end >= place and text in {"}", ")", "]"}:
                return end + 1
        raise UnreadableError
