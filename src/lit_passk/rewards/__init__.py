"""What a reward is made of: named parts with weights, over the verdict of a task.

Start with ``base.py``. Names are loaded on first use, because scoring workers import this package and need few of them.

- ``Verdict`` (``base.py``): the task's own reward.
- ``Format`` (``format.py``): a pattern, or tags.
- ``SoftOverlong``, ``LengthPenalty``, ``RelativeLength`` (``length.py``): the number of tokens.
- ``Repetition`` (``repetition.py``): the share of n-grams that were there before.
- ``FunctionReward`` (``function.py``): any function, with the signatures of ``signatures.py``.
- ``FunctionTask`` (``function_task.py``): rows of any kind, judged by a function.
- ``RewardedTask`` (``task.py``): a task that pays by such parts; ``data.rewards`` makes one of ``data.train``.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_passk.rewards.base import GroupRewardPart, RewardPart, Verdict
    from lit_passk.rewards.format import Format
    from lit_passk.rewards.function import FunctionReward
    from lit_passk.rewards.function_task import FunctionTask
    from lit_passk.rewards.length import LengthPenalty, RelativeLength, SoftOverlong
    from lit_passk.rewards.repetition import Repetition
    from lit_passk.rewards.task import RewardedTask

_MODULES = {
    "Format": "format",
    "FunctionReward": "function",
    "FunctionTask": "function_task",
    "GroupRewardPart": "base",
    "LengthPenalty": "length",
    "RelativeLength": "length",
    "Repetition": "repetition",
    "RewardPart": "base",
    "RewardedTask": "task",
    "SoftOverlong": "length",
    "Verdict": "base",
}

__all__ = [
    "Format",
    "FunctionReward",
    "FunctionTask",
    "GroupRewardPart",
    "LengthPenalty",
    "RelativeLength",
    "Repetition",
    "RewardPart",
    "RewardedTask",
    "SoftOverlong",
    "Verdict",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
