"""The imports that the checkers of APPS and LiveCodeBench put before every program, as far as a program uses them."""

from __future__ import annotations

import ast
import builtins
import heapq
import typing
from collections.abc import Iterable
from functools import cache
from importlib import import_module

from lit_passk.tasks.code.syntax import names_in, parse

_MODULES = ("collections", "fractions", "heapq", "itertools", "math", "random", "sys", "time")
_NAMES: dict[str, Iterable[str]] = {
    "collections": ("ChainMap", "Counter", "OrderedDict", "defaultdict", "deque"),
    "functools": ("lru_cache",),
    "heapq": heapq.__all__,
    "itertools": ("accumulate", "combinations", "permutations", "product"),
    "math": ("ceil", "cos", "exp", "fabs", "floor", "gcd", "log", "log2", "sin", "sqrt", "tan"),
    # It gives List and Tuple; the other annotations say as little about whether a program is right.
    "typing": typing.__all__,
}
_SOURCES = {name: f"from {module} import {name}" for module, names in _NAMES.items() for name in names} | {
    module: f"import {module}" for module in _MODULES
}


# LiveCodeBench gives everything of these modules, later ones over earlier ones, and the modules themselves. (typing
# comes last there: its aliases of the classes of `collections` make the same objects, but are slow to load.)
_STARRED = (
    "typing", "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics",
    "itertools", "functools", "operator", "io", "sys", "json",
)  # fmt: skip
_DEEP = "import sys\nsys.setrecursionlimit(50000)"


def imports_for(sources: Iterable[str], packages: Iterable[str], checker: str = "apps") -> str:
    r"""The imports for what these sources read, whether or not they import it themselves.

    Args:
        sources: The program.
        packages: What may be imported besides the standard library; numpy is given as ``np`` by APPS.
        checker: Whose imports: ``apps`` or ``livecodebench``, which also raises the recursion limit.

    Example:
        >>> imports_for(["def f(a: List[int]): return math.gcd(*a)"], packages=[])
        'from typing import List\nimport math'

    """
    given = _SOURCES
    if checker == "livecodebench":
        given = _live_code_bench()
    elif "numpy" in packages:
        given = {**_SOURCES, "np": "import numpy as np"}
    read = {name for source in sources for name in names_in(parse(source) or [], ast.Load)}
    lines = [given[name] for name in sorted(read & given.keys())]
    return "\n".join(lines if checker == "apps" else [*lines, _DEEP])


@cache
def _live_code_bench() -> dict[str, str]:
    given: dict[str, str] = {}
    for module in _STARRED:
        names = getattr(import_module(module), "__all__", None) or vars(import_module(module))
        given |= {name: f"from {module} import {name}" for name in names if not name.startswith("_")}
    given = {name: source for name, source in given.items() if name not in vars(builtins)}
    return given | {module: f"import {module}" for module in _STARRED if module != "typing"}
