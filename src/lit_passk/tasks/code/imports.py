"""The imports that the checker of APPS puts before every program, as far as a program uses them."""

from __future__ import annotations

import ast
import heapq
import typing
from collections.abc import Iterable

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


def imports_for(sources: Iterable[str], packages: Iterable[str]) -> str:
    r"""The imports for what these sources read, whether or not they import it themselves.

    Args:
        sources: The program.
        packages: What may be imported besides the standard library; numpy is given as ``np``.

    Example:
        >>> imports_for(["def f(a: List[int]): return math.gcd(*a)"], packages=[])
        'from typing import List\nimport math'

    """
    given = {**_SOURCES, "np": "import numpy as np"} if "numpy" in packages else _SOURCES
    read = {name for source in sources for name in names_in(parse(source) or [], ast.Load)}
    return "\n".join(given[name] for name in sorted(read & given.keys()))
