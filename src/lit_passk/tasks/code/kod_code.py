"""KodCode's tests, functions for pytest that import ``solution``, as statements that need no pytest."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from lit_passk.tasks.code.forms import NO_TESTS, assert_tests
from lit_passk.tasks.columns import from_json

_RAISES = """
import re

class pytest:
    class raises:
        def __init__(self, expected, match=None):
            self.expected, self.match, self.value = expected, match, None

        def __enter__(self):
            return self

        def __exit__(self, kind, error, trace):
            self.value = error
            assert kind is not None
            if not issubclass(kind, self.expected):
                return False
            assert self.match is None or re.search(self.match, str(error))
            return True
"""
"""All of pytest that most of its tests use."""


def streams(test: Any) -> list[dict[str, Any]]:
    """Inputs and outputs of problems of its style "online_judge"; empty for tests that are code."""
    found = from_json(test) if isinstance(test, str) else test
    if not isinstance(found, Mapping) or not {"stdin", "stdout"} <= set(found):
        return []
    return [{"input": given, "output": wanted} for given, wanted in zip(found["stdin"], found["stdout"], strict=True)]


def assertions(source: str) -> dict[str, Any] | str:
    r"""The tests in the form of ``assert_tests``, or why they cannot be run.

    Example:
        >>> assertions("from solution import double\n\ndef test_two():\n    assert double(2) == 4")["tests"]
        'def test_two():\n    assert double(2) == 4\ntest_two()\n'
        >>> assertions("from solution import double\nimport numpy\n\ndef test_two():\n    assert double(2) == 4")
        'whose tests handle objects of numpy'

    """
    names: list[str] = []
    kept: list[ast.stmt] = []
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ImportFrom) and statement.module == "solution":
            if any(alias.asname or alias.name == "*" for alias in statement.names):
                return "whose tests rename what they import"
            names += [alias.name for alias in statement.names]
        elif not (isinstance(statement, ast.Import) and [alias.name for alias in statement.names] == ["pytest"]):
            kept.append(statement)
    calls = _calls(kept)
    if isinstance(calls, str):
        return calls
    nodes = [node for statement in kept for node in ast.walk(statement)]
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute) and _is_pytest(node.value)}
    if used - {"raises"}:
        return f"whose tests use pytest.{min(used - {'raises'})}"
    if any(_asks_for_class(node, names) for node in nodes):
        return "whose tests ask for a class of the solution's own, which stays in its process"
    text = "\n".join(map(ast.unparse, kept)) + "\n" + "\n".join(calls) + "\n"
    found = assert_tests(text, _RAISES, names)
    if found["packages"]:
        return f"whose tests handle objects of {', '.join(found['packages'])}"
    return found if names else "whose tests import nothing of the solution"


def _is_pytest(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "pytest"


def _asks_for_class(node: ast.AST, names: list[str]) -> bool:
    """``isinstance(x, Stack)`` or ``pytest.raises(StackError)`` with a class that the tests import."""
    if not isinstance(node, ast.Call) or ast.unparse(node.func) not in {"isinstance", "issubclass", "pytest.raises"}:
        return False
    return any(isinstance(part, ast.Name) and part.id in names for arg in node.args for part in _without_calls(arg))


def _without_calls(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in () if isinstance(node, ast.Call) else ast.iter_child_nodes(node):
        yield from _without_calls(child)


def _calls(statements: list[ast.stmt]) -> list[str] | str:
    """One line for each test, or why there is none."""
    lines: list[str] = []
    for statement in statements:
        if isinstance(statement, ast.ClassDef) and statement.name.startswith("Test"):
            methods = [part for part in statement.body if isinstance(part, ast.FunctionDef)]
            if statement.bases or any(method.name.startswith(("setup", "teardown")) for method in methods):
                return "whose tests are classes with a set-up"
            found = [(method, f"{statement.name}().{method.name}()", 1) for method in methods]
        elif isinstance(statement, ast.FunctionDef):
            found = [(statement, f"{statement.name}()", 0)]
        else:
            continue
        for function, line, own in found:
            if function.name.startswith("test"):
                if function.decorator_list or len(function.args.args) > own:
                    return "whose tests have parameters or fixtures"
                lines.append(line)
            elif function.decorator_list and own == 0:
                return "whose tests have parameters or fixtures"
    return lines or NO_TESTS
