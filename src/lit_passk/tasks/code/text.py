"""Finds the program in what a policy wrote."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from lit_passk.tasks.code.blocks import after_thinking, code_blocks
from lit_passk.tasks.code.judge import Unit
from lit_passk.tasks.code.pieces import Piece, completed, pieces_in
from lit_passk.tasks.code.syntax import parse

# Where the paper that published HumanEval ends a completion, and a closed fence.
_STOPS = re.compile(r"\n(?=class|def|@|#|if|print|```)")


def program_units(completion: str, wanted: Sequence[str] | None = None, owner: str = "Solution") -> list[Unit]:
    r"""The program of a completion: the last piece of Python that can be the answer.

    A block may be an example of use, a test or an output. So for tests that call functions, the program is the last
    piece that defines one of them, and for tests that feed standard input, the last one that reads it; definitions in
    other pieces that it lacks go before it. Pieces are the blocks of Python, or else the blocks without a language, or
    else the lines of Python among those of prose. Where no piece is one, the program is the last block (the last that
    prints, for standard input), or without any the whole text. What stands before ``</think>`` does not count.

    Args:
        completion: What the policy wrote.
        wanted: Names of the functions and classes that the tests use; None for a program that reads standard input.
        owner: Class whose methods count as functions.

    Returns:
        Units to execute one after the other.

    Example:
        >>> answer = "```python\ndef add(a, b): return a + b\n```\nUsage:\n```python\nprint(add(1, 2))\n```"
        >>> program_units(answer, ["add"])
        [('completion', 'def add(a, b): return a + b\n')]

    """
    sources = _program(completion, wanted, owner) or [_last_resort(completion, wanted)]
    return [("completion", source) for source in sources]


def function_units(prompt: str, entry_point: str, completion: str) -> list[Unit]:
    r"""The program made of a function's beginning and its completion, which may hold the body or the whole function.

    Args:
        prompt: Source that ends with the function's signature and docstring, perhaps after imports and helpers.
        entry_point: Name of the function.
        completion: A body as continuation of the prompt, or an answer that defines the function itself.

    Returns:
        Units to execute one after the other.

    Example:
        >>> function_units("def f(x):\n    '''Double.'''\n", "f", "    return 2 * x\n")[0][1]
        "def f(x):\n    '''Double.'''\n    return 2 * x\n"
        >>> function_units("def f(x):\n    '''Double.'''\n", "f", "```python\ndef f(x): return 2 * x\n```")[1][1]
        'def f(x): return 2 * x\n'

    """
    text, block = after_thinking(completion), _body_block(completion)
    continues = text.lstrip("\n")[:1] in (" ", "\t") and not text.lstrip().startswith(("```", "~~~"))
    whole = None if continues and block is None else _program(completion, [entry_point], "")
    if whole is not None:
        return [("prompt", prompt), *(("completion", source) for source in whole)]
    if block is not None and not continues:
        return [("completion", prompt + _indented(prompt, block)), *_later_helpers(prompt, entry_point, block)]
    body = _indented(prompt, _STOPS.split(text, maxsplit=1)[0])
    indented = re.search(r"^[ \t]+\S", text, re.MULTILINE)
    if not continues and indented is not None and not parse(prompt + body):  # prose, then the body
        text = text[indented.start() :]
        body = _indented(prompt, _STOPS.split(text, maxsplit=1)[0])
    return [("completion", prompt + body), *_later_helpers(prompt, entry_point, text)]


def _program(completion: str, wanted: Sequence[str] | None, owner: str) -> list[str] | None:
    """The sources of the program, None where no piece can be the answer."""
    for pieces in pieces_in(completion):
        chosen = _reading(pieces) if wanted is None else _defining(pieces, wanted, owner)
        if chosen is not None:
            return completed(chosen, pieces, [name for name in wanted or () if not chosen.defines(name, owner)])
    return None


def _defining(pieces: Sequence[Piece], wanted: Sequence[str], owner: str) -> Piece | None:
    found = [piece for piece in pieces if any(piece.defines(name, owner) for name in wanted)]
    return found[-1] if found else None


def _reading(pieces: Sequence[Piece]) -> Piece | None:
    """The last piece that reads input: by itself, or else by what others define, or else only defines what does."""

    def rank(piece: Piece) -> int:
        if piece.reads_input and piece.runs:
            return 3
        joined = Piece.of(["\n".join(completed(piece, pieces))])
        return 2 if piece.runs and any(one.reads_input for one in joined) else int(piece.reads_input)

    best = max(map(rank, pieces), default=0)
    return [piece for piece in pieces if rank(piece) == best][-1] if best else None


def _last_resort(completion: str, wanted: Sequence[str] | None) -> str:
    codes = _codes(completion)
    printing = [code for code in codes if wanted is None and any(piece.writes_output for piece in Piece.of([code]))]
    return (printing or codes or [after_thinking(completion)])[-1]


def _body_block(completion: str) -> str | None:
    """The last block that can be the body of a function, or else the last block; None when there is none."""
    codes = _codes(completion)
    bodies = [code for code in codes if any(piece.returns for piece in Piece.of([textwrap.dedent(code)]))]
    return (bodies or codes)[-1] if codes else None


def _codes(completion: str) -> list[str]:
    """The code of the blocks of Python, or else of the blocks without a language."""
    blocks = code_blocks(after_thinking(completion))
    python = [block.code for block in blocks if block.language == "python"]
    return python or [block.code for block in blocks if not block.language]


def _indented(prompt: str, body: str) -> str:
    """The body of a function, where its first line or all of it lacks the indentation (tokenizers eat it)."""
    first = next((line for line in body.splitlines() if line.strip()), "")
    missing = " " * (4 - len(first) + len(first.lstrip()))
    if first[:1] == "\t" or not missing:
        return body
    for candidate in (body.replace(first, missing + first, 1), textwrap.indent(body, missing)):
        if parse(prompt + candidate):
            return candidate
    return body


def _later_helpers(prompt: str, entry_point: str, text: str) -> list[Unit]:
    """Functions and classes that follow the body: definitions do no harm, statements are the policy running on."""
    whole = Piece.of([prompt + text])
    helpers = [
        one.text_of(statement)
        for one in whole
        for name, statement in one.definitions.items()
        if statement.lineno > prompt.count("\n") and name != entry_point
    ]
    return [("helpers", "\n".join(helpers))] if helpers else []
