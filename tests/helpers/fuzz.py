"""What the tests on random input share. ``LIT_PASSK_FUZZ=50`` tries fifty times as much, other input every time."""

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lit_passk.errors import CannotRun, Refusal
from lit_passk.tasks.base import Task
from lit_passk.tasks.records import check_problem

TIMES = int(os.environ.get("LIT_PASSK_FUZZ", "1"))
EVERY_CHECK = list(HealthCheck)


def examples(number: int) -> settings:
    """So many, the same ones in every run."""
    return settings(
        max_examples=number * TIMES,
        deadline=None,
        derandomize=TIMES == 1,
        database=None,
        suppress_health_check=EVERY_CHECK,
    )


ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2.5, 10**30, 1e300, -1e300, math.nan, math.inf, -math.inf),
    *("", " ", "x", "0", "-1", "1e999", "nan", "none", "\0", "\ud800", "\u202e", "[" * 50, "a" * 5000),
    *([], [[]], [None], {}, {"": None}, {"class_path": "GRPO"}, {"class_path": "os.system"}, {"init_args": 1}),
)


def places(content: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the values of nested lists and objects are."""
    for key in content if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ():
        yield (*at, key)
        yield from places(content[key], (*at, key))


@st.composite
def edited(draw: Any, content: Any, most: int = 2, odd: tuple[Any, ...] = ODD) -> Any:
    """A copy with a value replaced, removed, doubled, wrapped or under another name, once or more often."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, most))):
        found = list(places(content))
        if not found:
            return copy.deepcopy(draw(st.sampled_from(odd)))  # which the next edit may change
        *above, key = draw(st.sampled_from(found))
        parent = content
        for step in above:
            parent = parent[step]
        how = draw(st.sampled_from(("replace", "replace", "remove", "wrap", "double", "rename")))
        if how == "remove":
            del parent[key]
        elif how == "wrap":
            parent[key] = [parent[key]]
        elif how == "double" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[key]))
        elif how == "rename" and isinstance(parent, dict):
            parent[draw(st.sampled_from((f"{key}s", f"{key}"[:-1], f"{key}.x", f"{key}".upper())))] = parent.pop(key)
        else:
            parent[key] = copy.deepcopy(draw(st.sampled_from(odd)))  # which the next edit may change
    return content


@st.composite
def damaged(draw: Any, data: bytes) -> bytes:
    """Bytes of which some are others, missing, twice there, or in another place."""
    for _ in range(draw(st.integers(1, 3))):
        at, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        new = draw(st.one_of(st.just(b""), st.binary(max_size=4), st.just(data[at:end] * 2), st.just(b"[" * 20_000)))
        how = draw(st.sampled_from(("replace", "insert", "cut")))
        data = data[:at] if how == "cut" else data[:at] + new + data[end if how == "replace" else at :]
    return data


def check_rows(kind: Callable[[str], Task], path: Path) -> None:
    """Whether a task takes a file and has problems to give, or refuses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows without an answer
        try:
            task = kind(str(path))
        except (Refusal, CannotRun):
            return
    for index in range(len(task)):
        check_problem(task[index], "the row")
