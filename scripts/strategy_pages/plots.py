"""Advantages and total weight against the number of correct answers (figures 2, 9 and 18 of arXiv 2508.10751)."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import Tensor

from lit_passk import advantages
from lit_passk.advantages import GRPO, AdvantageStrategy
from lit_passk.advantages.examine import advantages_of

from .members import make
from .svg import MANY, REFERENCE, RIGHT, SEVERAL, WRONG, Line, Panel, draw

SIZE = 32  # completions per group, as in the paper
X_LABEL = f"correct answers of {SIZE}"
OVERVIEW: dict[str, dict[str, Any]] = {
    "GRPO": {},
    "DrGRPO": {},
    "PassKAnalytic": {"k": 4},
    "Combination": {"k": 4},
    "ExceedingPassK": {"k": 4},
    "FGRPO": {},
    "RSGRPO": {},
    "MaxRL": {},
    "BayesianBoundary": {"k": 16},
    "LogMeanExp": {},
}


def plot(cls: type[AdvantageStrategy]) -> str:
    """Advantage of a correct and of a wrong answer, and their total, against the number of correct answers."""
    correct = _groups(draws=16)
    result = advantages_of(_make(cls), correct)
    left = Panel("Advantage of one answer", X_LABEL)
    for label, chosen, color in (("correct", correct > 0, RIGHT), ("wrong", correct == 0, WRONG)):
        left.lines.append(_spread(label, result, chosen, color))
    return draw([left, _totals(cls, correct)])


def overview() -> str:
    """Where strategies put their weight: totals with the peak at 1."""
    correct = _groups(draws=1)
    panel = Panel("Where the weight lies: \N{GREEK SMALL LETTER ETA} over its peak", X_LABEL)
    for (name, arguments), color in zip(OVERVIEW.items(), MANY, strict=True):
        values = _total(_make(getattr(advantages, name), **arguments), correct)
        if name == "BayesianBoundary":
            values[0] = math.nan  # its push against an unsolved prompt is another thing
        shown = "".join(f", {key} = {value}" for key, value in arguments.items())
        peak = max(value for value in values if math.isfinite(value))
        panel.lines.append(Line(name + shown, [value / peak for value in values], color, dashed=name == "GRPO"))
    return draw([panel], width=760, height=380)


def _make(cls: type[AdvantageStrategy], **arguments: Any) -> AdvantageStrategy:
    strategy = make(cls, **arguments)
    assert strategy is not None
    return strategy


def _groups(draws: int) -> Tensor:
    """Random arrangements of 0 to 32 correct among 32, shape ``(33 * draws, 32)``."""
    generator = torch.Generator().manual_seed(0)
    order = torch.rand((SIZE + 1) * draws, SIZE, generator=generator).argsort(dim=1)
    return (order < torch.arange(SIZE + 1).repeat_interleave(draws)[:, None]).float()


def _spread(label: str, result: Tensor, chosen: Tensor, color: str) -> Line:
    """Mean over the chosen completions for each number of correct ones; the band holds nine tenths of them."""
    mean, low, high = [], [], []
    for values, mask in zip(result.chunk(SIZE + 1), chosen.chunk(SIZE + 1), strict=True):
        of_c = values[mask]
        mean.append(float(of_c.mean()) if len(of_c) else math.nan)
        low.append(float(of_c.quantile(0.05)) if len(of_c) else math.nan)
        high.append(float(of_c.quantile(0.95)) if len(of_c) else math.nan)
    wide = max((above - below for above, below in zip(high, low, strict=True) if math.isfinite(above)), default=0.0)
    return Line(label, mean, color, band=(low, high) if wide > 1e-4 else None)


def _total(strategy: AdvantageStrategy, correct: Tensor) -> list[float]:
    """Sum of a group's absolute advantages (eq. 16) for each number of correct ones, the mean over arrangements."""
    sums = advantages_of(strategy, correct).abs().sum(dim=1)  # (33 * draws,)
    return [float(of_c.mean()) for of_c in sums.chunk(SIZE + 1)]


def _totals(cls: type[AdvantageStrategy], correct: Tensor) -> Panel:
    """The total for several k where there is a k, beside GRPO's, scaled where it would dwarf the others or vanish."""
    panel = Panel("Total over the group, \N{GREEK SMALL LETTER ETA} = \N{GREEK CAPITAL LETTER SIGMA}|A|", X_LABEL)
    if "k" in inspect.signature(cls).parameters:
        for k, color in zip((2, 4, 8, 16), SEVERAL, strict=True):
            panel.lines.append(Line(f"k = {k}", _total(_make(cls, k=k), correct), color))
    else:
        panel.lines.append(Line(cls.__name__, _total(_make(cls), correct), SEVERAL[2]))
    if cls is not GRPO:
        reference = _total(GRPO(), correct)
        peak = max(max(line.values) for line in panel.lines)
        factor = 1.0 if 0.3 < peak / max(reference) < 5 else peak / max(reference)
        label = "GRPO" if factor == 1.0 else f"GRPO \N{MULTIPLICATION SIGN} {factor:.2g}"
        panel.lines.append(Line(label, [factor * value for value in reference], REFERENCE, dashed=True))
    return panel
