"""Exact oracles in rational numbers: averages over all groups of k, and gradients of a small discrete policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations, product
from math import prod

Group = tuple[int, ...]


def with_and_without(group_size: int, k: int, pay: Callable[[Group], Fraction]) -> tuple[list, list, list]:
    """What all groups of k are paid; for each completion the mean over the groups with it, and over those without."""
    paid = {members: pay(members) for members in combinations(range(group_size), k)}

    def mean(holds: bool, i: int) -> Fraction | None:
        values = [value for members, value in paid.items() if (i in members) == holds]
        return sum(values, Fraction()) / len(values) if values else None

    return list(paid.values()), *([mean(holds, i) for i in range(group_size)] for holds in (True, False))


def variance(values: Sequence[Fraction]) -> Fraction:
    mean = sum(values, Fraction()) / len(values)
    return sum(((value - mean) ** 2 for value in values), Fraction()) / len(values)


def outcomes(num_outcomes: int, group_size: int) -> list[Group]:
    """Everything that a policy with so many possible completions can sample."""
    return list(product(range(num_outcomes), repeat=group_size))


def tangent(gradient: Sequence[Fraction]) -> list[Fraction]:
    """Without the direction in which probabilities would no longer sum to 1."""
    return [part - gradient[0] for part in gradient[1:]]


def objective_gradient(chances: Sequence[Fraction], k: int, pay: Callable[[Group], Fraction]) -> list[Fraction]:
    """Derivative by each outcome's probability of the expected pay of k samples."""
    sampled = outcomes(len(chances), k)
    weight = {y: pay(y) * prod((chances[outcome] for outcome in y), start=Fraction(1)) for y in sampled}
    return tangent([sum(w * y.count(a) for y, w in weight.items()) / p for a, p in enumerate(chances)])


def expected_gradient(chances: Sequence[Fraction], sampled: Sequence[Group], advantages: Sequence) -> list[Fraction]:
    """Mean of the sum over completions of advantage times derivative of log-probability, over all that is sampled."""
    gradient = [Fraction()] * len(chances)
    for y, of_y in zip(sampled, advantages, strict=True):
        chance = prod((chances[outcome] for outcome in y), start=Fraction(1))
        for outcome, advantage in zip(y, of_y, strict=True):
            gradient[outcome] += chance * advantage / chances[outcome]
    return tangent(gradient)


def rational(value: float, largest_denominator: int = 1000) -> Fraction:
    """The rational number that a float stands for, where it is known to have a small denominator."""
    found = Fraction(value).limit_denominator(largest_denominator)
    assert abs(float(found) - value) <= 1e-6 * max(1.0, abs(value)), f"{value} is no such rational number"
    return found
