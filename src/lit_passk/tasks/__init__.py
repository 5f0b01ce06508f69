"""Problems and their verifiers, one file each.

Start with ``base.py``. Names are loaded on first use, because scoring workers import this package and need one of them.

- ``MazeTask`` (``maze.py``): the paper's Maze, generated.
- ``MazeRowsTask`` (``maze_rows.py``): mazes of a data set, such as the paper's released one.
- ``ArithmeticTask`` (``arithmetic.py``): products of two small numbers, for a small pretrained model.
- ``MathTask`` (``math/``): questions with mathematical answers; ``files.py`` reads files and hub
  data sets, ``records.py``, ``columns.py``, ``chats.py``, ``pairs.py`` and ``rows.py`` what their rows hold.
- ``CodeTask`` (``code/``): programs, run against tests in a sandbox.
- ``MultipleChoice`` (``choice/``): questions with options, answered by a letter.
- ``CountdownTask``, ``ARCAGITask``, ``EnigmataTask``, ``KORBenchTask`` (``puzzles/``): puzzles.
- ``ReasoningGymTask`` (``reasoning_gym.py``): the puzzles of the reasoning-gym package.
- ``Mixture`` (``mixture.py``): several of them to train on together.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_passk.tasks.arithmetic import ArithmeticTask
    from lit_passk.tasks.base import Task
    from lit_passk.tasks.choice import MultipleChoice
    from lit_passk.tasks.code import CodeTask
    from lit_passk.tasks.math import MathTask
    from lit_passk.tasks.maze import MazeTask
    from lit_passk.tasks.maze_rows import MazeRowsTask
    from lit_passk.tasks.mixture import Mixture, MixtureTask
    from lit_passk.tasks.puzzles import ARCAGITask, CountdownTask, EnigmataTask, KORBenchTask
    from lit_passk.tasks.reasoning_gym import ReasoningGymTask

_MODULES = {
    "ARCAGITask": "puzzles",
    "ArithmeticTask": "arithmetic",
    "CodeTask": "code",
    "CountdownTask": "puzzles",
    "EnigmataTask": "puzzles",
    "KORBenchTask": "puzzles",
    "MathTask": "math",
    "MazeRowsTask": "maze_rows",
    "MazeTask": "maze",
    "Mixture": "mixture",
    "MixtureTask": "mixture",
    "MultipleChoice": "choice",
    "ReasoningGymTask": "reasoning_gym",
    "Task": "base",
}

__all__ = [
    "ARCAGITask",
    "ArithmeticTask",
    "CodeTask",
    "CountdownTask",
    "EnigmataTask",
    "KORBenchTask",
    "MathTask",
    "MazeRowsTask",
    "MazeTask",
    "Mixture",
    "MixtureTask",
    "MultipleChoice",
    "ReasoningGymTask",
    "Task",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
