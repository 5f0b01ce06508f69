"""Problems and their verifiers, one file each.

Start with ``base.py``. Names are loaded on first use, because scoring workers import this package and need one of them.

- ``MazeTask`` (``maze.py``): the paper's Maze, generated.
- ``ArithmeticTask`` (``arithmetic.py``): products of two small numbers, for a small pretrained model.
- ``MathTask`` (``math.py``): a data set of questions with mathematical answers; ``math_text.py`` finds the answer of a
  completion, ``math_grading.py`` compares it with the reference, ``records.py`` reads files and hub data sets.
- ``CodeTask`` (``code.py``): programs, run against tests. ``code_rows.py`` reads the published benchmarks,
  ``code_text.py`` finds the program of a completion, ``code_judge.py`` gives the verdict, ``sandbox.py`` and
  ``bubblewrap.py`` build the walls, ``sandboxed/`` is what runs inside of them.
- ``ReasoningGymTask`` (``reasoning_gym.py``): the puzzles of the reasoning-gym package.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_passk.tasks.arithmetic import ArithmeticTask
    from lit_passk.tasks.base import Task
    from lit_passk.tasks.code import CodeTask
    from lit_passk.tasks.math import MathTask
    from lit_passk.tasks.maze import MazeTask
    from lit_passk.tasks.reasoning_gym import ReasoningGymTask

_MODULES = {
    "ArithmeticTask": "arithmetic",
    "CodeTask": "code",
    "MathTask": "math",
    "MazeTask": "maze",
    "ReasoningGymTask": "reasoning_gym",
    "Task": "base",
}

__all__ = ["ArithmeticTask", "CodeTask", "MathTask", "MazeTask", "ReasoningGymTask", "Task"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
