"""Pass@k Training of language models (arXiv 2508.10751) as a PyTorch Lightning module collection.

The public names below are loaded when they are first used, so that ``import lit_passk`` is quick in scoring workers and
never imports vLLM.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_passk.advantages import AdvantageStrategy, PassKAnalytic
    from lit_passk.callbacks import RolloutCallback
    from lit_passk.data import PromptDataModule, ReplayDataModule
    from lit_passk.engines.base import RolloutEngine
    from lit_passk.losses import PolicyLoss
    from lit_passk.metrics import PassAtK
    from lit_passk.modules import PassKRLModule, SFTModule, WarmupLR
    from lit_passk.rollout.source import RolloutSource
    from lit_passk.tasks.base import Task
    from lit_passk.types import GroupContext, Problem, Sampling, Score

_HOMES = {
    "AdvantageStrategy": "advantages",
    "GroupContext": "types",
    "PassAtK": "metrics",
    "PassKAnalytic": "advantages",
    "PassKRLModule": "modules",
    "PolicyLoss": "losses",
    "Problem": "types",
    "PromptDataModule": "data",
    "ReplayDataModule": "data",
    "RolloutCallback": "callbacks",
    "RolloutEngine": "engines.base",
    "RolloutSource": "rollout.source",
    "SFTModule": "modules",
    "Sampling": "types",
    "Score": "types",
    "Task": "tasks.base",
    "WarmupLR": "modules",
}

__version__ = "0.1.0"
__all__ = [
    "AdvantageStrategy",
    "GroupContext",
    "PassAtK",
    "PassKAnalytic",
    "PassKRLModule",
    "PolicyLoss",
    "Problem",
    "PromptDataModule",
    "ReplayDataModule",
    "RolloutCallback",
    "RolloutEngine",
    "RolloutSource",
    "SFTModule",
    "Sampling",
    "Score",
    "Task",
    "WarmupLR",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
