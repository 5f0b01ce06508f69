"""Texts of strangers: their control characters are shown on a terminal, not obeyed; what no file can hold is found."""

from __future__ import annotations

import re

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # of the terminal, all but tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # of the direction of writing
    "\u2028\u2029"  # other ends of a line
    "\ud800-\udfff]"  # halves of a character, which no terminal can be sent
)


def printable(text: str) -> str:
    r"""A text that can be printed whoever wrote it: a completion, a row, a server.

    Escape sequences could otherwise rewrite what is on the screen, set the window's title or, in some terminals, type.

    Example:
        >>> print(printable("wrong\x1b[1A\x1b[2Kcorrect, naïve 文"))
        wrong\x1b[1A\x1b[2Kcorrect, naïve 文

    """
    return _CONTROL.sub(_escape, text)


def printable_line(text: str) -> str:
    r"""The same on one line, for a cell of a table.

    Example:
        >>> printable_line("a\nb\tc")
        'a\\nb\\tc'

    """
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def surrogate(text: str) -> str | None:
    """The first half of a surrogate pair without its other half, as an escape; None for a text that can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"\\u{ord(text[error.start]):04x} at character {error.start + 1}"
    return None
