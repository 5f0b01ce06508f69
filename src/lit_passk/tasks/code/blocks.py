"""Fenced blocks of code in Markdown, as language models write it: indented, never closed, with fences inside."""

from __future__ import annotations

import re
import textwrap
from bisect import bisect_left
from typing import NamedTuple

from lit_passk.tasks.code.syntax import parse, runs_of_code

_OPENING = re.compile(r"(?P<before>.*?)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`]*)")
_QUOTED_FENCE = re.compile(r"^> ?(?:`{3}|~{3})", re.MULTILINE)
_QUOTATION = re.compile(r"^>(?!>) ?", re.MULTILINE)
_PYTHON = re.compile(r"i?py(?:thon)?[\d.]*")
_MOST_FENCES = 20
"""Fences that a text in triple quotes may hold: each costs one run of the parser."""


class Block(NamedTuple):
    """What stands between two fences."""

    language: str
    """What the opening fence says: ``python`` in any spelling of it, ``""`` for none."""
    code: str
    closed: bool
    """Whether a fence ends it that opens no other block; otherwise its end is unknown, and prose may follow."""
    first: int
    """Line of the opening fence, from 0."""
    end: int
    """Line after its last one."""

    @property
    def sources(self) -> list[str]:
        """The code, or the pieces of it that are Python where the block is not closed."""
        code = _without_prompts(self.code)
        return [code] if self.closed else runs_of_code(code)


def after_thinking(completion: str) -> str:
    """What follows ``</think>``, or all of it."""
    return completion.rpartition("</think>")[2]


def code_blocks(text: str) -> list[Block]:
    r"""The fenced blocks of a text, in order.

    A block ends at the next fence, whether that closes it or opens another one, but not inside a text in triple quotes.
    Python that is never closed goes to the end; other blocks have to be closed.

    Example:
        >>> [(b.language, b.code) for b in code_blocks("A draft:\n```py\nold()\n\nBetter:\n~~~python3\nnew()\n~~~\n")]
        [('python', 'old()\n\nBetter:\n'), ('python', 'new()\n')]

    """
    lines = _unquoted(text).split("\n")
    fences = {character: _fence_lines(lines, character) for character in "`~"}
    blocks: list[Block] = []
    at = 0
    while at < len(lines):
        first, opening = at, _OPENING.fullmatch(lines[at].rstrip())
        at += 1
        if opening is None:
            continue
        language = _language(opening["info"])
        if language != "python" and opening["before"].strip():
            continue
        own = fences[opening["fence"][0]]
        ends = own[bisect_left(own, at) :][:_MOST_FENCES]
        if not ends and language != "python":
            continue
        end = _end(lines, at, ends) if language == "python" else ends[0]
        closed = end < len(lines) and not _opens(lines[end])
        code = _code(lines[at:end], lines[end : end + 1])
        at = end + 1 if closed else end  # a line that opens another block has still to be read as such
        blocks.append(Block(language, textwrap.dedent(code) if opening["before"] else code, closed, first, at))
    return blocks


def _unquoted(text: str) -> str:
    """Without the marks of a quotation, where it holds a block."""
    return _QUOTATION.sub("", text) if _QUOTED_FENCE.search(text) else text


def _without_prompts(code: str) -> str:
    """What was typed in a session of the interpreter; the code where it is none."""
    lines = code.split("\n")
    if not next((line for line in lines if line.strip()), "").startswith(">>>"):
        return code
    return "\n".join(line[4:] for line in lines if line.startswith((">>> ", "... ")) or line in {">>>", "..."})


def outside_of(blocks: list[Block], text: str) -> str:
    """The text without its blocks, an empty line in the place of each."""
    lines = text.split("\n")
    for block in reversed(blocks):
        lines[block.first : block.end] = [""]
    return "\n".join(lines)


def _language(info: str) -> str:
    word = re.split(r"[\s,:;{}]+", info.strip().lstrip("{."), maxsplit=1)[0].lower()
    return "python" if _PYTHON.fullmatch(word) else word


def _fence_lines(lines: list[str], character: str) -> list[int]:
    """Lines that end a block opened with ``character``: its own fences, and whatever opens a block of Python."""
    fence = character * 3
    return [
        number
        for number, line in enumerate(lines)
        if line.lstrip().startswith(fence) or line.rstrip().endswith(fence) or _opens(line, "python")
    ]


def _opens(line: str, language: str | None = None) -> bool:
    """Whether a line opens a block of this language, or of any that has a name."""
    opening = _OPENING.fullmatch(line.rstrip())
    if opening is None or opening["before"].strip():
        return False
    found = _language(opening["info"])
    return found == language if language else bool(found)


def _end(lines: list[str], start: int, ends: list[int]) -> int:
    """The first fence that does not lie inside a text in triple quotes; past the last line where there is none."""
    candidates = [*ends, len(lines)] if len(ends) < _MOST_FENCES else ends  # never all that follows, for every block
    first = "\n".join(lines[start : candidates[0]])
    if first.count('"""') % 2 == first.count("'''") % 2 == 0:
        return candidates[0]
    complete = (end for end in candidates if parse(textwrap.dedent("\n".join(lines[start:end]))) is not None)
    return next(complete, candidates[0])


def _code(lines: list[str], end: list[str]) -> str:
    """The code before the line that ends its block, which may hold the last of it; no such line at the text's end."""
    if not end:
        return "\n".join(lines)
    last = end[0].rstrip()
    rest = "" if last.lstrip().startswith(("```", "~~~")) else last.rstrip("`~")
    return "\n".join([*lines, rest])
