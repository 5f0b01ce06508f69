"""Where the rollouts of a training step come from: one interface, one file for each way.

- ``OnPolicy`` (``on_policy.py``): the step's prompts, sampled with the current weights.
- ``DynamicSampling`` (``dynamic_sampling.py``): further prompts until enough groups have an advantage.
- ``OneStepOffPolicy`` (``one_step_off_policy.py``): sampled while the step before trained.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from lit_passk.logged import Logged
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.rollout.sampler import Sampler
from lit_passk.rollout.step import Step
from lit_passk.types import RolloutBatch

LOGGED = (
    Logged(
        "time/rollout",
        means="Seconds that the training waited for the step's rollouts: sampling, scoring, sending weights.",
        healthy="The larger part of a step, and steady.",
        otherwise="Grows: completions become longer (`train/tokens`). Large from the start: see the page on "
        "performance; a slow reward needs more `rollout.num_workers`.",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSettings:
    """What a source may look at before a run to refuse what it cannot do."""

    samples_beside_training: bool
    """Whether the engine can sample in a thread of its own while the policy trains."""
    engine: str
    """Name of the engine's class, for messages."""
    group_size: int
    """Completions per prompt."""
    corrected: bool
    """Whether importance weights correct for completions of older weights."""
    first_step: int
    """RL step that the run starts at."""
    max_steps: int
    """RL steps of the run, -1 while unknown."""


class RolloutSource(ABC):
    """Gives every training step its rollouts.

    Subclass it, in a file of yours, and name it in ``rollout.source: {class_path: my_project.sources.MySource}``. Every
    method is called on every rank at the same time, in this order: ``rollouts``, ``probe`` where the log-probabilities
    are to be checked, ``finish``.

    Example:
        >>> class HalfThePrompts(RolloutSource):
        ...     def rollouts(self, step, sampler):
        ...         rows = range(len(step.batch.problems) // 2)
        ...         return sampler.rollouts(step, step.batch.select(rows))

    """

    @abstractmethod
    def rollouts(self, step: Step, sampler: Sampler) -> RolloutBatch:
        """Return the step's rollouts on this rank, sampled now or before."""

    def probe(self, step: Step, rollouts: RolloutBatch, sampler: Sampler) -> RolloutBatch:
        """Return a few completions sampled with the current weights, to compare the engine with the policy."""
        return collate_rollouts(rollouts.groups[:1], step.sampling, version=rollouts.version)

    def finish(self, step: Step, sampler: Sampler) -> None:
        """Leave the engine as training wants it: asleep."""
        sampler.sleep()

    def pause(self) -> None:  # noqa: B027 - nothing is under way unless a source says so
        """Wait for whatever samples in the background: a validation is about to use the engine."""

    def check(self, settings: RunSettings) -> None:  # noqa: B027 - nothing to refuse
        """Raise a ValueError, before time is spent, for a run that this source cannot serve.

        Called when a run is set up, and again when its length is known.
        """

    def close(self) -> None:  # noqa: B027
        """End whatever is under way; safe to call twice."""
