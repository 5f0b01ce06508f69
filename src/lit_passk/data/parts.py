"""The parts of a training set: a task, or each task of a mixture, with its epochs and its share of a step."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from lit_passk.errors import Refusal
from lit_passk.tasks.base import Task
from lit_passk.tasks.mixture import Mixture


@dataclass
class Part:
    """Prompts with epochs of their own, and where they stand."""

    name: str
    """Of the mixture's task; empty for a task alone."""
    rows: range
    """Which rows of the loader's prompts."""
    weight: Fraction = Fraction(1)
    """Share of every step's prompts; those of all parts add up to 1."""
    epoch: int = 0
    position: int = 0
    """Prompts of the epoch that steps had already."""
    moved: list[int] = field(default_factory=list)
    """Rows that come last in this epoch: the step in which it began had them from the epoch before."""
    _order: tuple[str, list[int]] | None = None

    @property
    def drawn(self) -> int:
        """Prompts that steps had from this part, in all."""
        return self.epoch * len(self.rows) + self.position

    def order(self, seed: int | None, epoch: int) -> list[int]:
        """All rows in the order of an epoch; without a seed as they are."""
        key = f"order-{seed}-{epoch}" + (f"-{self.name}" if self.name else "")
        if self._order is None or self._order[0] != key:
            order = list(self.rows)
            if seed is not None:
                random.Random(key).shuffle(order)
            self._order = key, order
        return self._order[1]

    def upcoming(self, seed: int | None, count: int) -> list[int]:
        """The next rows, at most as many as there are; none comes twice, in the step between two epochs neither."""
        rows = _last(self.order(seed, self.epoch), self.moved)[self.position : self.position + count]
        if len(rows) < count:
            rows += _last(self.order(seed, self.epoch + 1), rows)[: count - len(rows)]
        return rows

    def advance(self, rows: Sequence[int]) -> None:
        """Count what a step had of this part, in order."""
        left = len(self.rows) - self.position
        if len(rows) < left:
            self.position += len(rows)
        else:
            self.epoch, self.position = self.epoch + 1, len(rows) - left
            self.moved = list(rows[:left]) if self.position else []

    def state(self) -> list[int | list[int]]:
        """What ``restore`` takes."""
        return [self.epoch, self.position, self.moved]

    def restore(self, state: list) -> None:
        """Go on from a state."""
        self.epoch, self.position, self.moved = state[0], state[1], list(state[2])


def parts_of(task: Task, indices: Sequence[int], per_step: int) -> list[Part]:
    """The parts of a task, those of a mixture without weight left out.

    Args:
        task: The task.
        indices: Index in the task of every prompt that is used, ascending.
        per_step: Prompts of a step.

    Raises:
        ValueError: If no prompt of a part is used, or fewer than its share of every step.
    """
    if not isinstance(task, Mixture):
        return [Part("", range(len(indices)))]
    total = sum(Fraction(part.weight) for part in task.tasks.values())
    parts, begin = [], 0
    for name, span in task.spans.items():
        rows = range(begin, begin + sum(index in span for index in indices))
        begin = rows.stop
        weight = Fraction(task.tasks[name].weight) / total
        if weight == 0:
            continue
        if len(rows) < weight * per_step:
            raise Refusal(
                f"Task {name!r} of the Mixture has {len(rows)} prompts that can be used, but its weight gives it "
                f"{float(weight * per_step):g} of the {per_step} prompts of every step. Lower its weight or "
                "`data.prompts_per_step`."
            )
        parts.append(Part(name, rows, weight))
    return parts


def allot(parts: Sequence[Part], count: int) -> list[int]:
    """Deal the slots of a step out to the parts by their weights.

    Tijdeman's rule (The chairman assignment problem, Discrete Math. 32, 1980): of the parts that are behind, the slot
    goes to the one that would be too late first. With n parts, each has had its share of all slots so far, to at most
    ``1 - 1 / (2n - 2)`` slots, at any moment. A part that has no further prompt for this step waits.

    Returns:
        Which part each slot goes to, ``count`` numbers.

    Example:
        >>> allot([Part("a", range(9), Fraction(3, 4)), Part("b", range(9), Fraction(1, 4))], 8)
        [0, 0, 1, 0, 0, 0, 1, 0]

    """
    had = [part.drawn for part in parts]
    before = sum(had)
    slots: list[int] = []
    least = Fraction(1, max(1, 2 * len(parts) - 2))
    for slot in range(before + 1, before + count + 1):

        def lateness(i: int, slot: int = slot) -> tuple[bool, Fraction]:
            behind = parts[i].weight * slot - had[i]
            return behind < least, (1 - least - behind) / parts[i].weight

        free = [i for i, part in enumerate(parts) if had[i] - part.drawn < len(part.rows)]
        slots.append(min(free, key=lateness))
        had[slots[-1]] += 1
    return slots


def _last(order: list[int], moved: Sequence[int]) -> list[int]:
    """The same order with some rows at its end."""
    if not moved:
        return order
    late = set(moved)
    return [row for row in order if row not in late] + [row for row in order if row in late]
