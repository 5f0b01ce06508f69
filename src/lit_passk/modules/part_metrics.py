"""What the rewards of one RL step were made of, over all ranks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lit_passk.data.breakdown import Breakdown
from lit_passk.distributed import all_objects
from lit_passk.logged import Logged
from lit_passk.rollout.collate import scored
from lit_passk.types import ScoredGroup

LOGGED = (
    Logged(
        "train/reward/<part>/mean train/reward/<part>/std",
        means="Mean and population standard deviation of one part of `data.rewards`, before its weight, over the "
        "completions that it applies to.",
        healthy="Each part has a deviation above 0, and the verdict's mean rises with the sum.",
        otherwise="A deviation of 0: the part tells no completion from another, and costs nothing to drop. Another "
        "part rises while the verdict falls: lower its weight.",
    ),
    Logged(
        "train/<task>/reward/<part>/mean train/<task>/reward/<part>/std train/source/<source>/reward/<part>/mean "
        "train/source/<source>/reward/<part>/std",
        means="The same for each task of a mixture and each source.",
    ),
)


@dataclass
class Spread:
    """Count, mean and squared deviations of numbers, in float64."""

    count: int = 0
    mean: float = 0.0
    deviation: float = 0.0
    """Sum of squared differences from the mean."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of numbers that are all here."""
        mean = math.fsum(values) / len(values)
        return cls(len(values), mean, math.fsum((value - mean) ** 2 for value in values))

    def __add__(self, other: Spread) -> Spread:
        """Of both together (Chan, Golub and LeVeque 1983, eq. 1.5): no cancellation, however far from 0 they are."""
        count = self.count + other.count
        if count == 0:
            return self
        apart = other.mean - self.mean
        mean = self.mean + apart * other.count / count
        deviation = self.deviation + other.deviation + apart**2 * self.count * other.count / count
        return Spread(count, mean, deviation)


def part_metrics(groups: Iterable[ScoredGroup], breakdown: Breakdown | None = None) -> dict[str, float]:
    """Describe the parts of the rewards; every rank must call this.

    Args:
        groups: All that this rank sampled for the step.
        breakdown: Groups of problems to describe apart as well.

    Returns:
        ``reward/<part>/mean`` and ``reward/<part>/std`` (population) of each part before its weight, over the
        completions that it applies to, if there are any; the same under ``<name>/`` for each name of the breakdown.
    """
    values: dict[str, list[float]] = {}
    for group in groups:
        prefixes = [""]
        if breakdown is not None:
            prefixes += [f"{breakdown.names[number]}/" for number in breakdown.of_problem[group.index]]
        for _, score in scored(group):
            for part, value in score.parts.items():
                for prefix in prefixes:
                    values.setdefault(f"{prefix}reward/{part}", []).append(value)
    total: dict[str, Spread] = {}
    for of_rank in all_objects({name: Spread.of(row) for name, row in values.items()}, "parts of rewards"):
        for name, spread in of_rank.items():
            total[name] = total.get(name, Spread()) + spread
    metrics = {}
    for name, spread in total.items():
        metrics[f"{name}/mean"] = spread.mean
        metrics[f"{name}/std"] = math.sqrt(spread.deviation / spread.count)
    return metrics
