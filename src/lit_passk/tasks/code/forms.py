"""The forms of tests that ``judge.py`` knows, made of what data sets publish."""

from __future__ import annotations

import ast
import builtins
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from lit_passk.tasks.code.syntax import modules_in, names_in
from lit_passk.tasks.records import is_missing, shown
from lit_passk.types import Prompt

Row = tuple[Prompt, str, dict[str, Any] | str, list[str]]
"""Question, default instruction, tests or the reason why there are none to judge by, solutions in Python."""

STDIO_INSTRUCTION = (
    "Write a Python program that reads from standard input and writes to standard output. "
    "Put the whole program in one ```python block."
)
FUNCTION_INSTRUCTION = "Write it in Python. Put the whole code in one ```python block."
NO_TESTS = "without tests"


def stdio_tests(cases: Sequence[Mapping[str, Any]], tolerance: list[float] | None) -> dict[str, Any]:
    """Programs that read standard input; the tolerance is absolute and relative, None compares tokens."""
    texts = [{"input": as_text(case["input"]), "output": as_text(case["output"])} for case in cases]
    return {"style": "stdio", "cases": texts, "tolerance": tolerance}


def function_tests(name: str, owner: str | None, cases: list[tuple[list[Any], list[Any]]]) -> dict[str, Any]:
    """Programs often come with annotations from a starter that imports nothing, so imports are given."""
    return {"style": "functional", "names": [name], "owner": owner or "Solution", "cases": cases, "imports": "apps"}


def assert_tests(source: str, before: str, names: list[str]) -> dict[str, Any]:
    """Decide what each name in the tests refers to, once and without running anything."""
    tree, preamble = ast.parse(source), ast.parse(before)
    used = names_in(tree, ast.Load)
    unknown = used - names_in(tree, ast.Store) - set(names)
    trusted = unknown & names_in(preamble, ast.Store)
    free = unknown - trusted - set(dir(builtins))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    modules = (free & sys.stdlib_module_names) - called
    names = [*names, *sorted(free - modules)]
    if not names:  # the function has the name of a builtin: MBPP asks for a `sum`
        names = sorted(called & set(dir(builtins)))
    return {
        "style": "assert",
        "before": before if trusted else "",
        "modules": sorted(modules),
        "packages": sorted(modules_in([source, before if trusted else ""]) - sys.stdlib_module_names),
        "names": names,
        "tests": source,
        "owner": "Solution",
    }


def starter_shown(fields: Mapping[str, Any], name: str) -> str:
    """What the question ends with: the data set's beginning of the program, or else the function's name."""
    if starter := str(fields.get("starter_code") or "").strip():
        return f"\n\n```python\n{starter}\n```"
    return f"\n\nThe function must be called `{name}`."


def parsed(value: Any) -> Any:
    """A column that holds JSON or its text; None for nothing."""
    return json.loads(value) if isinstance(value, str) and value.strip() else value or None


def as_text(value: Any) -> str:
    """Input or output as text: lines come as a list, a single number or truth value as itself."""
    if isinstance(value, list | tuple):
        return "\n".join(map(as_text, value))
    if isinstance(value, str | bool | int | float):
        return str(value)
    raise TypeError(f"input and output must be text, a number or lists of them, but got {shown(value)}")


def pairs_in(value: Any, first: str, second: str) -> list[tuple[Any, Any]]:
    """Pairs of a column that holds a list of structs or, from other readers, a struct of lists."""
    if is_missing(value):
        return []
    if isinstance(value, Mapping):
        return list(zip(value[first], value[second], strict=True))
    return [(item[first], item[second]) for item in value]
