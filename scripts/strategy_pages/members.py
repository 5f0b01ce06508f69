"""Which strategies there are, in which order, and with which arguments they are shown."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import torch
from torch import Tensor

from lit_passk import advantages
from lit_passk.advantages import AdvantageStrategy
from lit_passk.advantages.examine import advantages_of, every_group

SIZE = 8  # of the groups that are tried in full

# The one place for what a class cannot say itself: arguments of those that have no defaults (as Python and as YAML),
# further members of a family for the table, and the order of the families; what is in none comes last, by name.
ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "Surrogate": ({"derivative": torch.reciprocal}, "{derivative: torch.reciprocal}"),
}
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "GRPO": [{"std": "bessel"}],
    "PassKAnalytic": [{"std": "none"}],
    "MaxAtK": [{"std": "none"}],
    "MaxRL": [{"truncation": 4}],
    "OrderStatistic": [{"statistic": "min"}, {"statistic": "mean"}, {"statistic": "median"}],
    "PKPO": [{"variant": "s"}, {"variant": "sloo"}],
    "LeaveOneOutMaxK": [{"k": 4}],
    "WReinforce": [{"positive_weight": 1, "negative_weight": 0}, {"positive_weight": 0}],
    "RSGRPO": [{"beta": 8}],
    "FGRPO": [{"gamma": 1}],
    "BayesianBoundary": [{"k": 4}],
}
ORDER = """
PassKAnalytic PassKBootstrap PassKFullSampling Combination ExceedingPassK AdaptiveEntropy GroupAdvantage
GRPO DrGRPO RLOO ReinforcePlusPlus MaxAtK OrderStatistic PKPO LeaveOneOutMaxK LogMeanExp VoteAtK
MaxRL RSGRPO FGRPO BayesianBoundary Surrogate WReinforce Unlikeliness UCPO DifferentialSmoothing
"""


def strategies() -> list[type[AdvantageStrategy]]:
    """Every public strategy, in families."""
    found = [getattr(advantages, name) for name in advantages.__all__]
    found = [c for c in found if inspect.isclass(c) and issubclass(c, AdvantageStrategy) and not inspect.isabstract(c)]
    place = {name: number for number, name in enumerate(ORDER.split())}
    return sorted(found, key=lambda c: (place.get(c.__name__, len(place)), c.__name__))


def make(cls: type[AdvantageStrategy], **arguments: Any) -> AdvantageStrategy | None:
    """A strategy with its defaults; None for one made of other strategies, with nothing of its own to show."""
    given = ARGUMENTS.get(cls.__name__, ({}, ""))[0] | arguments
    needed = [p for p in inspect.signature(cls).parameters.values() if p.default is p.empty and p.name not in given]
    return None if needed else cls(**given)


@cache
def members() -> dict[str, tuple[AdvantageStrategy, Tensor]]:
    """Every strategy and its variants by how one writes it, with what it makes of every group, ``(2^SIZE, SIZE)``."""
    found = {}
    for cls in strategies():
        for arguments in [{}, *VARIANTS.get(cls.__name__, [])]:
            if (made := make(cls, **arguments)) is not None:
                shown = ", ".join(f"{name}={value}" for name, value in arguments.items())
                name = f"{cls.__name__}({shown})" if shown else cls.__name__
                found[name] = made, advantages_of(made, every_group(SIZE))
    return found
