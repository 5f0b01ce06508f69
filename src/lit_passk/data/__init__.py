"""Prompts: ``module.py`` has the data modules, ``loader.py`` the order of prompts, ``replay.py`` filled batches.

``contamination.py`` warns of validation problems that are trained on. Names are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_passk.data.module import DemonstrationDataModule, PromptDataModule
    from lit_passk.data.replay import ReplayDataModule

_HOMES = {"DemonstrationDataModule": "module", "PromptDataModule": "module", "ReplayDataModule": "replay"}

__all__ = ["DemonstrationDataModule", "PromptDataModule", "ReplayDataModule"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
