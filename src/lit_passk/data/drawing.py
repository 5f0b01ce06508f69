"""Draws the prompts of each step: deals them out to the parts of the task, and asks the sampler for each part's."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch

from lit_passk.data.parts import Part, allot, parts_of
from lit_passk.data.pass_rates import Counts, PassRates
from lit_passk.data.samplers.base import Candidates, PromptSampler
from lit_passk.data.samplers.uniform import Uniform
from lit_passk.errors import Refusal
from lit_passk.functional.random import derive_seed
from lit_passk.logged import Logged
from lit_passk.tasks.base import Task

LOGGED = (
    Logged(
        "sampler/pass_rate sampler/pass_rate_std",
        means="Estimated pass rate over all training prompts, and the mean uncertainty of the estimates (samplers "
        "that count).",
        healthy="The rate rises, the uncertainty falls.",
        otherwise="The uncertainty stays at 0.29: hardly any prompt was seen yet. That is so for data sets of many "
        "steps.",
    ),
    Logged(
        "sampler/effective_prompts",
        means="Number of equally likely prompts that would repeat as often as the sampler's.",
        healthy="Many times `data.prompts_per_step`.",
        otherwise="Near it: the same few prompts come again and again. Raise the sampler's `uniform`.",
    ),
)


class Drawing:
    """Which rows of a list of prompts each step has, whatever the number of ranks.

    Args:
        task: Where the prompts are from.
        indices: Index in the task of each prompt, ascending.
        per_step: Prompts of a step.
        seed: Orders epochs and seeds the sampler; None keeps the order, whatever the task.
        sampler: Draws.
    """

    def __init__(
        self, task: Task, indices: Sequence[int], per_step: int, seed: int | None, sampler: PromptSampler
    ) -> None:
        self.indices = indices
        self.per_step = per_step
        self.seed = seed
        self.sampler = sampler
        self.parts = [Part("", range(len(indices)))] if seed is None else parts_of(task, indices, per_step)
        self.rates = PassRates(len(task), sampler.half_life) if sampler.uses_pass_rates else None
        """What is known of the prompts, where the sampler wants to know it."""
        # Without a mixture epochs follow one another in whole steps, the last of which may be short.
        self.whole_epochs = [part.name for part in self.parts] == [""] and isinstance(sampler, Uniform)

    def draw(self, epoch: int, position: int) -> list[int]:
        """The rows of one step; nothing is changed by it.

        Args:
            epoch: Of the loader: as many steps as all prompts make.
            position: Steps of this epoch before it.
        """
        if self.whole_epochs:
            begin = position * self.per_step
            return self.parts[0].order(self.seed, epoch)[begin : begin + self.per_step]
        step = epoch * -(-len(self.indices) // self.per_step) + position
        return self._deal(
            step, allot(self.parts, min(self.per_step, len(self.indices))), [part.rows for part in self.parts]
        )

    def advance(self, rows: Sequence[int]) -> None:
        """Count a step that has these rows, in the order of drawing."""
        for part in self.parts:
            part.advance([row for row in rows if row in part.rows])

    def extra(self, step: int, used: Collection[int]) -> Iterator[int]:
        """Further rows for a step, each once, and none whose index is in ``used``; nothing is changed by it."""
        if self.whole_epochs:
            yield from self._extra_uniformly(step, used)
            return
        seen = set(used)
        for call in range(1, len(self.indices) + 1):
            left = [[row for row in part.rows if self.indices[row] not in seen] for part in self.parts]
            chance = random.Random(f"others-{self.seed}-{step}-{call}")
            slots = _slots([len(rows) for rows in left], [float(p.weight) for p in self.parts], self.per_step, chance)
            if not slots:
                return
            drawn = self._deal(step, slots, left, call, chance)
            seen.update(self.indices[row] for row in drawn)
            yield from drawn

    def _extra_uniformly(self, step: int, used: Collection[int]) -> Iterator[int]:
        draw = random.Random(f"others-{self.seed}-{step}")
        seen = set(used)
        left = len(self.indices) - len(seen)
        while left > 0:
            row = draw.randrange(len(self.indices))
            if (index := self.indices[row]) not in seen:
                seen.add(index)
                left -= 1
                yield row

    def _deal(
        self,
        step: int,
        slots: Sequence[int],
        rows: Sequence[Sequence[int]],
        call: int = 0,
        chance: random.Random | None = None,
    ) -> list[int]:
        """Fill slots, each of which is of a part, from the rows that are left of each part."""
        drawn = {}
        for i in sorted(set(slots)):
            candidates = self._candidates(self.parts[i], rows[i], step, call, chance)
            drawn[i] = iter(self._checked(candidates, slots.count(i)))
        return [next(drawn[i]) for i in slots]

    def _candidates(
        self, part: Part, rows: Sequence[int], step: int, call: int = 0, chance: random.Random | None = None
    ) -> Candidates:
        def in_order(count: int) -> list[int]:  # further prompts are out of order
            return part.upcoming(self.seed, count) if chance is None else chance.sample(rows, count)

        seed = derive_seed(self.seed or 0, "sampler", step, part.name, call)
        return Candidates(rows=rows, counts=self.counts(rows, step), step=step, seed=seed, in_order=in_order)

    def _checked(self, candidates: Candidates, count: int) -> list[int]:
        rows = list(self.sampler.draw(candidates, count))
        if len(rows) != count or len(set(rows)) != count or not set(rows) <= set(candidates.rows):
            raise Refusal(
                f"{type(self.sampler).__name__}.draw must return {count} different numbers among the "
                f"{len(candidates.rows)} of `candidates.rows`, but returned {str(rows)[:80]}."
            )
        return rows

    def counts(self, rows: Sequence[int], step: int) -> Counts:
        """What is known of some prompts at an RL step."""
        if self.rates is None:
            nothing = torch.zeros(len(rows), dtype=torch.float64)
            return Counts(nothing, nothing)
        return self.rates.counts([self.indices[row] for row in rows], step)

    def metrics(self, step: int) -> dict[str, float]:
        """What is known of all prompts, for the log: see ``PromptLoader.observe``."""
        squares = 0.0  # of the chance that the next draw is this prompt
        for part in self.parts:
            chances = self.sampler.chances(self._candidates(part, part.rows, step))
            squares += float(part.weight) ** 2 * float(chances.square().sum())
        counts = self.counts([row for part in self.parts for row in part.rows], step)
        return {
            "pass_rate": float(counts.mean.mean()),
            "pass_rate_std": float(counts.std.mean()),
            "effective_prompts": 1 / squares,
            **self.sampler.metrics(counts),
        }

    def state(self) -> dict[str, Any]:
        """What a checkpoint has to hold."""
        parts = {} if self.whole_epochs else {"parts": {part.name: part.state() for part in self.parts}}
        return parts | ({} if self.rates is None else {"rates": self.rates.state_dict()})

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Raises:
            ValueError: If it is of other tasks.
        """
        if self.rates is not None and "rates" in state:  # else they are counted from here on
            self.rates.load_state_dict(state["rates"])
        names, saved = [part.name for part in self.parts], state.get("parts", {"": None})
        if list(saved) != names:
            raise Refusal(
                f"The checkpoint trained on {_named(saved)}, but `data.train` is {_named(names)}: go on with the tasks "
                "that the run began with."
            )
        for part in self.parts:
            if saved[part.name] is not None:
                part.restore(saved[part.name])


def _slots(sizes: Sequence[int], weights: Sequence[float], count: int, chance: random.Random) -> list[int]:
    """Choose a part for each of ``count`` slots at random by the weights, no part more often than its size."""
    sizes = list(sizes)
    slots: list[int] = []
    while len(slots) < count and any(sizes):
        free = [i for i, size in enumerate(sizes) if size]
        [i] = chance.choices(free, [weights[i] for i in free])
        sizes[i] -= 1
        slots.append(i)
    return slots


def _named(names: Collection[str]) -> str:
    return f"a Mixture of {', '.join(names)}" if any(names) else "one task alone"
