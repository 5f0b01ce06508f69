"""Prompts: ``module.py`` has the data modules, ``loader.py`` the order of prompts, ``contamination.py`` a guard.

Names are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_passk.data.module import DemonstrationDataModule, PromptDataModule

__all__ = ["DemonstrationDataModule", "PromptDataModule"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("lit_passk.data.module"), name)
