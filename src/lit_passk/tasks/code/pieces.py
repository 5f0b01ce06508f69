"""Pieces of Python in a completion: where they are, and what they define, use and do. Nothing is run."""

from __future__ import annotations

import ast
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from lit_passk.tasks.code.blocks import after_thinking, code_blocks, outside_of
from lit_passk.tasks.code.syntax import BUILTINS, names_in, parse, runs_of_code

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_HARMLESS = (*_DEFINITIONS, ast.Import, ast.ImportFrom)
_INPUT = {"input", "stdin", "fileinput"}
_INPUT_FILES = {"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}
_OUTPUT = {"print", "stdout", "write", "writelines"}


class Piece:
    """A piece of a completion that is Python by itself.

    Args:
        source: Its text.
        body: Its statements.
    """

    def __init__(self, source: str, body: list[ast.stmt]) -> None:
        self.source = source
        self.body = body

    @classmethod
    def of(cls, sources: Iterable[str]) -> list[Piece]:
        """The sources that are Python and not empty."""
        return [cls(source, body) for source in sources if (body := parse(source))]

    @cached_property
    def bound(self) -> dict[str, ast.stmt]:
        """Names bound by statements at the top, each with the last statement that binds it."""
        return {name: statement for statement in self.body for name in _bound_by(statement)}

    @cached_property
    def definitions(self) -> dict[str, ast.stmt]:
        """Functions and classes made at the top, each with its last definition."""
        return {name: made for name, made in self.bound.items() if isinstance(made, ast.FunctionDef | ast.ClassDef)}

    @cached_property
    def missing(self) -> set[str]:
        """Names that are read but neither bound here nor built in."""
        return names_in(self.body, ast.Load) - names_in(self.body, ast.Store) - BUILTINS

    def defines(self, name: str, owner: str) -> bool:
        """Whether the function or class is made here, at the top or as a method of the class ``owner``."""
        statement = self.bound.get(name)
        if isinstance(statement, ast.ImportFrom):  # a test imports what it tests from a file that is not there
            return (statement.module or "").partition(".")[0] in sys.stdlib_module_names
        if isinstance(statement, _DEFINITIONS):
            return True
        if statement is not None:  # `total = total([1, 2])` is a use
            return name not in names_in(statement, ast.Load)
        classes = [part for part in self.body if isinstance(part, ast.ClassDef) and part.name == owner]
        return any(isinstance(part, _DEFINITIONS) and part.name == name for one in classes for part in one.body)

    def lends(self, name: str, borrower: Piece) -> bool:
        """Whether it makes ``name`` without what ``borrower`` makes: a function may use that when it is called."""
        statement = self.bound.get(name)
        if statement is None or isinstance(statement, _HARMLESS):
            return statement is not None
        return not names_in(statement, ast.Load) & borrower.bound.keys()

    @cached_property
    def reads_input(self) -> bool:
        """Whether it reads standard input; one that puts something else in its place is a test."""
        nodes = [node for statement in self.body for node in ast.walk(statement)]
        replaced = any(
            isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Attribute) and target.attr == "stdin" for target in node.targets)
            and "open" not in names_in(node.value, ast.Load)
            for node in nodes
        )
        return not replaced and any(_reads(node) for node in nodes)

    @cached_property
    def writes_output(self) -> bool:
        """Whether it prints."""
        return any(_names_of(node) & _OUTPUT for statement in self.body for node in ast.walk(statement))

    @cached_property
    def runs(self) -> bool:
        """Whether it does more than to define."""
        return any(
            not isinstance(statement, _HARMLESS) and any(isinstance(node, ast.Call) for node in _outside(statement))
            for statement in self.body
        )

    @cached_property
    def returns(self) -> bool:
        """Whether it is the body of a function: it returns or yields outside of any."""
        wanted = (ast.Return, ast.Yield, ast.YieldFrom)
        return any(isinstance(node, wanted) for statement in self.body for node in _outside(statement))

    def text_of(self, statement: ast.stmt) -> str:
        """The lines of one statement, decorators included."""
        lines = self.source.split("\n")
        first = min([statement.lineno, *(mark.lineno for mark in getattr(statement, "decorator_list", []))])
        return "\n".join(lines[first - 1 : statement.end_lineno])


def pieces_in(completion: str) -> Iterator[list[Piece]]:
    """The pieces of a completion, in order: in blocks of Python, in blocks of no language, outside of any, indented."""
    text = after_thinking(completion)
    blocks = code_blocks(text)
    for language in ("python", ""):
        yield Piece.of(source for block in blocks if block.language == language for source in block.sources)
    rest = outside_of(blocks, text)
    yield Piece.of(runs_of_code(rest))
    indented = "\n".join(line if line[:1] in (" ", "\t") else "" for line in rest.split("\n"))
    yield Piece.of(runs_of_code(textwrap.dedent(indented)))  # Markdown's blocks without fences


def completed(chosen: Piece, pieces: Sequence[Piece], lacking: Iterable[str] = ()) -> list[str]:
    """Sources to execute one after the other: what a piece lacks and others define, then the piece itself.

    Args:
        chosen: One of ``pieces``.
        pieces: All of them; the nearest one before ``chosen`` is asked first, those that follow it last.
        lacking: Names to define besides those that ``chosen`` reads.
    """
    at = pieces.index(chosen)
    others = [*reversed(range(at)), *range(at + 1, len(pieces))]
    needed = [*chosen.missing, *lacking]
    found: dict[tuple[int, int], str] = {}
    while needed:
        name = needed.pop()
        place = next((number for number in others if pieces[number].lends(name, chosen)), None)
        if place is None:
            continue
        statement = pieces[place].bound[name]
        if (place, statement.lineno) not in found:
            found[place, statement.lineno] = pieces[place].text_of(statement)
            needed += names_in(statement, ast.Load) - BUILTINS - chosen.bound.keys()
    lacked = "\n".join(found[key] for key in sorted(found))
    return [lacked, chosen.source] if lacked else [chosen.source]


def _bound_by(statement: ast.stmt) -> set[str]:
    if isinstance(statement, _DEFINITIONS):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign):
        return {name for name in names_in(statement, ast.Store) if name != "*"}
    return set()


def _outside(statement: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a statement that do not lie in a function or class of its own."""
    left = [statement]
    while left:  # a sum or an elif of a thousand parts is nested more deeply than functions can call each other
        node = left.pop()
        if not isinstance(node, (*_DEFINITIONS, ast.Lambda)):
            yield node
            left += ast.iter_child_nodes(node)


def _names_of(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, ast.Attribute):
        return {node.attr}
    return {node.name.partition(".")[0]} if isinstance(node, ast.alias) else set()


def _reads(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return node.value in _INPUT_FILES if isinstance(node.value, str) else False
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        first = node.args[0].value
        return first == 0 and type(first) is int and bool(_names_of(node.func) & {"open", "fdopen", "read"})
    return bool(_names_of(node) & _INPUT)
