"""The rollouts of the next step, sampled while the current one trains."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from lightning.pytorch.utilities import rank_zero_info

from lit_passk.distributed import all_max
from lit_passk.errors import CannotRun, Refusal
from lit_passk.logged import Logged
from lit_passk.rollout.background import Background
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.rollout.sampler import Sampler
from lit_passk.rollout.source import RolloutSource, RunSettings
from lit_passk.rollout.step import Step
from lit_passk.types import PromptBatch, RolloutBatch, ScoredGroup

LOGGED = (
    Logged(
        "rollout/staleness",
        means="RL steps by which the weights that sampled the step were older than those it trains "
        "(`OneStepOffPolicy`).",
        healthy="1; 0 in the first step and after a validation.",
    ),
)


@dataclass(frozen=True)
class _Running:
    """One rollout in the background."""

    batch: PromptBatch
    version: int
    work: Background[list[ScoredGroup]]


class OneStepOffPolicy(RolloutSource):
    """Samples the next batch while the current one trains; its completions are then one version old.

    Importance weights correct for their age (``model.correction``); ``rollout/staleness`` logs it. The first step of a
    run, resumed or not, is sampled with its own weights, so a resumed run is not bit-equal to an uninterrupted one.

    Needs an engine that can sample beside the training. Everything that ranks do together (bringing weights up to date,
    waiting for each other) stays in the main thread, while nothing is sampled in the background; the thread samples and
    scores this rank's prompts, no more.
    """

    def __init__(self) -> None:
        self._running: _Running | None = None
        self._idle = True
        self._sampler: Sampler | None = None

    def rollouts(self, step: Step, sampler: Sampler) -> RolloutBatch:
        """Return what was sampled while the step before trained; nothing was before the first step."""
        self._sampler = sampler
        self.pause()
        if self._running is None:
            rollouts = sampler.rollouts(step, step.batch)
            return replace(rollouts, metrics={"rollout/staleness": 0.0})
        running, self._running = self._running, None
        if list(running.batch.indices) != list(step.batch.indices):
            raise CannotRun(
                f"OneStepOffPolicy sampled the problems {list(running.batch.indices)}, which the loader announced, but "
                f"step {step.number} is about {list(step.batch.indices)}."
            )
        return collate_rollouts(
            running.work.result(),
            step.sampling,
            version=running.version,
            positions=step.batch.positions,
            full_precision=sampler.full_precision,
            metrics={"rollout/staleness": float(step.number - running.version)},
        )

    def probe(self, step: Step, rollouts: RolloutBatch, sampler: Sampler) -> RolloutBatch:
        """Sample this rank's first prompt, if it has one, once more where the rollouts are of older weights."""
        if rollouts.version == step.number:
            return super().probe(step, rollouts, sampler)
        return sampler.rollouts(step, step.batch.select(range(min(1, len(step.batch.problems)))))

    def finish(self, step: Step, sampler: Sampler) -> None:
        """Begin with the next step's batch, with the weights that this step starts from."""
        if step.is_last:
            sampler.sleep()
            return
        assert self._running is None
        sampler.update(step.number)
        batch, sampling = step.loader.peek(), step.sampling
        seeds = step.seeds(batch, step.number + 1)
        work = Background(lambda: sampler.sample_here(batch, sampling, seeds, step.number))
        self._running, self._idle = _Running(batch, step.number, work), False

    def pause(self) -> None:
        """Wait until no rank samples in the background, and keep what was sampled; every rank must call this."""
        if self._running is None or self._idle:
            return
        self._running.work.result()
        all_max(torch.tensor(0), "the rollouts of the next step")
        self._idle = True

    def check(self, settings: RunSettings) -> None:
        """Refuse engines that cannot sample beside training, and training without a correction."""
        if not settings.samples_beside_training:
            raise Refusal(
                "`OneStepOffPolicy` needs an engine that can sample while the policy trains, but "
                f"{settings.engine} as it is set cannot: TransformersEngine samples with the policy itself, "
                "VLLMEngine sleeps meanwhile on a GPU and has to be stepped by all ranks together when they share it. "
                "Use VLLMServerEngine (anywhere) or VLLMEngine (on CPU, one per process)."
            )
        if not settings.corrected:
            raise Refusal(
                "`OneStepOffPolicy` trains on completions of the weights before the last step, which "
                "`model.correction: off` would take for the policy's own. Use `auto` or a correction such as TIS."
            )
        if settings.first_step > 0 and settings.max_steps > 0:
            rank_zero_info(
                "`OneStepOffPolicy`: the first step after resuming is sampled by its own weights, so this run does not "
                "end with the very weights of an uninterrupted one."
            )

    def close(self) -> None:
        """End a rollout that is under way; safe to call twice."""
        if self._running is not None and self._sampler is not None:
            running, self._running = self._running, None
            running.work.cancel(self._sampler.interrupt)
