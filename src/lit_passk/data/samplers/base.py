"""Which prompts a step has: one interface, one file for each way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_passk.advantages import AdvantageStrategy
from lit_passk.data.pass_rates import Counts
from lit_passk.errors import Refusal
from lit_passk.functional.random import uniform


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The prompts of one task that a step may draw, and what is known of them."""

    rows: Sequence[int]
    """Numbers of the n prompts."""
    counts: Counts
    """Correct and scored completions of each so far; nothing for a sampler without ``uses_pass_rates``."""
    step: int
    """RL step, from 0."""
    seed: int
    """Base of this draw's random numbers: of the run's seed, the step and the task."""
    in_order: Callable[[int], list[int]]
    """The next so many of ``rows`` in the order of the task's epochs."""

    def random(self, counter: int = 0) -> Tensor:
        """A uniform number in ``(0, 1)`` for each prompt, shape ``(n,)``, float64."""
        return uniform(self.seed + torch.tensor(self.rows, dtype=torch.int64), counter)


class PromptSampler(ABC):
    """Draws the prompts of each training step.

    Subclass it, in a file of yours, and name it in ``data.sampler: {class_path: my_project.samplers.MySampler}``.
    ``weights`` is all it takes. It is called on every rank and must be a pure function of its arguments (and of what
    ``prepare`` was told): all ranks then draw the same, and a resumed run draws what an unbroken one would.

    With a ``Mixture`` each step's prompts are dealt out to the tasks by their weights first; the sampler draws within
    each task.

    Example:
        >>> class SeldomSolved(PromptSampler):
        ...     def weights(self, candidates):
        ...         return 1 - candidates.counts.mean

    """

    uses_pass_rates: bool = True
    """Whether it looks at ``Candidates.counts``; else nothing is counted, gathered or saved."""

    half_life: float | None = None
    """RL steps after which a completion counts half, because the policy has changed; None counts all alike."""

    @abstractmethod
    def weights(self, candidates: Candidates) -> Tensor:
        """Weigh each of the n prompts: the chance of the first draw is in proportion.

        Returns:
            Shape ``(n,)``, not negative; prompts of weight 0 come only where there are no others.
        """

    def draw(self, candidates: Candidates, count: int) -> list[int]:
        """Draw prompts one after another, without putting any back.

        Args:
            candidates: The n prompts.
            count: How many, at most n.

        Returns:
            ``count`` of ``candidates.rows``, none twice, in the order of drawing.
        """
        weights = self._checked_weights(candidates)
        # An exponential clock for each prompt, as fast as its weight: those that ring first are the draws.
        ringing = -candidates.random().log() / weights  # (n,), infinite where the weight is 0
        never = weights == 0
        order = _by(never, torch.where(never, candidates.random(), ringing), count)
        return [candidates.rows[i] for i in order]

    def chances(self, candidates: Candidates) -> Tensor:
        """The chance of each prompt to be drawn next, shape ``(n,)``, float64, adding up to 1."""
        weights = self._checked_weights(candidates)
        total = weights.sum()
        return weights / total if total > 0 else torch.full_like(weights, 1 / len(weights))

    def metrics(self, counts: Counts) -> dict[str, float]:
        """More to log under ``sampler/``, about all prompts of the run."""
        return {}

    def prepare(self, strategy: AdvantageStrategy, group_size: int, max_steps: int) -> None:  # noqa: B027
        """Take note of the run, and raise a ValueError, before time is spent, for one that this sampler cannot serve.

        Called when a run is set up, and again when its length is known.

        Args:
            strategy: What turns rewards into advantages.
            group_size: Completions per prompt.
            max_steps: RL steps of the run, -1 while unknown.
        """

    def _checked_weights(self, candidates: Candidates) -> Tensor:
        weights = self.weights(candidates).to(torch.float64)
        shape = (len(candidates.rows),)
        if weights.shape != shape or not (weights.isfinite() & (weights >= 0)).all():
            raise Refusal(
                f"{type(self).__name__}.weights must return {shape[0]} finite numbers of 0 or more, one a prompt, but "
                f"returned {weights if weights.ndim and len(weights) < 9 else tuple(weights.shape)}."
            )
        return weights


def _by(last: Tensor, key: Tensor, count: int) -> list[int]:
    """The first ``count`` positions by ``key``, those of ``last`` after all others."""
    first = (~last).nonzero()[:, 0]
    chosen = first[key[first].topk(min(count, len(first)), largest=False).indices].tolist()
    rest = last.nonzero()[:, 0]
    return chosen + rest[key[rest].topk(count - len(chosen), largest=False).indices].tolist()
