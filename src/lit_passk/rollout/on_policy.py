"""The plain way: a step's prompts are sampled with the weights that it trains."""

from __future__ import annotations

from lit_passk.rollout.sampler import Sampler
from lit_passk.rollout.source import RolloutSource
from lit_passk.rollout.step import Step
from lit_passk.types import RolloutBatch


class OnPolicy(RolloutSource):
    """Samples the step's prompts with the current weights, and trains on every group as it comes."""

    def rollouts(self, step: Step, sampler: Sampler) -> RolloutBatch:
        """Sample the step's prompts now."""
        return sampler.rollouts(step, step.batch)
