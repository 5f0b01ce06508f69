"""Python or not: the parser's word on a text, and the lines of Python among lines of prose."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterable

BUILTINS = frozenset(dir(builtins))
_CODE_STARTS = re.compile(
    r"(?:async |def |class |import |from |@|for |while |if |with |try:"
    r"|[\w., \[\]*()]+ ?(?:[-+*/%|&]|//|\*\*)?= ?|[\w.]+\()"
)
_MOST_TRIES = 100
"""How often the parser is asked about parts of one text."""


def parse(source: str) -> list[ast.stmt] | None:
    """The statements of a source, None if it is no Python."""
    return _parse(source)[0]


def names_in(trees: ast.AST | Iterable[ast.AST], context: type[ast.expr_context]) -> set[str]:
    """Names that are read (Load) or bound (Store) anywhere in a source; scopes do not matter."""
    found = set()
    for node in (node for tree in ([trees] if isinstance(trees, ast.AST) else trees) for node in ast.walk(tree)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, context):
            found.add(node.id)
        elif context is ast.Store:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.arg):
                found.add(node.arg)
            elif isinstance(node, ast.alias):
                found.add((node.asname or node.name).partition(".")[0])
    return found


def modules_in(sources: Iterable[str]) -> set[str]:
    r"""The modules that sources import, anywhere in them: ``os`` for ``os.path``.

    Example:
        >>> sorted(modules_in(["import os.path as path\ndef f():\n    from math import pi", "no Python"]))
        ['math', 'os']

    """
    nodes = [node for source in sources for tree in parse(source) or [] for node in ast.walk(tree)]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}


def runs_of_code(text: str) -> list[str]:
    r"""The longest runs of whole statements in a text that is Python in parts.

    Words that happen to be Python, such as a heading of one word, are left out.

    Example:
        >>> runs_of_code("Here it is:\n\ndef f(x):\n    return x\n\nIt's easy.\n")
        ['def f(x):\n    return x\n']

    """
    lines = text.split("\n")
    runs: list[str] = []
    start = end = tries = 0
    while start < len(lines) and tries < _MOST_TRIES:
        body, end = None, len(lines)
        while body is None and end > start and tries < _MOST_TRIES:  # until the statements before the first error
            body, failed = _parse("\n".join(lines[start:end]))
            end = end if body is not None else _start_of_statement(lines, start, start + failed)
            tries += 1
        if body:
            runs.append(_without_words("\n".join(lines[start:end]), body))
        start = next((n for n in range(max(end, start + 1), len(lines)) if _CODE_STARTS.match(lines[n])), len(lines))
    return [run for run in runs if run.strip()]


def _parse(source: str) -> tuple[list[ast.stmt] | None, int]:
    """The statements, or None and the line, from 0, at which the source is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes like "\d" in somebody else's program
            return ast.parse(source).body, 0
    except SyntaxError as error:
        return None, max(0, (error.lineno or 1) - 1)
    except (ValueError, RecursionError, MemoryError):
        return None, 0


def _start_of_statement(lines: list[str], first: int, failed: int) -> int:
    """The first line of the statement at the top that holds a line: half of a function is no function."""
    at = min(failed, len(lines) - 1)
    while at > first and (not lines[at].strip() or lines[at][0] in " \t)]}"):
        at -= 1
    while at > first and lines[at - 1].startswith("@"):
        at -= 1
    return at


def _without_words(run: str, body: list[ast.stmt]) -> str:
    bound = names_in(body, ast.Store) | BUILTINS
    lines = run.split("\n")
    for statement in body:
        value = statement.value if isinstance(statement, ast.Expr) else statement
        bare = isinstance(value, ast.Name | ast.Tuple | ast.Attribute | ast.BinOp | ast.Compare | ast.BoolOp | ast.List)
        declared = isinstance(statement, ast.AnnAssign) and statement.value is None
        called = any(isinstance(node, ast.Call) for node in ast.walk(statement))
        if (bare or declared) and not called and names_in(statement, ast.Load) - bound:
            assert statement.end_lineno is not None
            lines[statement.lineno - 1 : statement.end_lineno] = [""] * (statement.end_lineno - statement.lineno + 1)
    return "\n".join(lines)
