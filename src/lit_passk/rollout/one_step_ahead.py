"""The rollouts of the next step, sampled while the current one trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lit_passk.distributed import all_max
from lit_passk.rollout.background import Background
from lit_passk.rollout.sampler import Sampler
from lit_passk.types import PromptBatch, Sampling, ScoredGroup


@dataclass(frozen=True)
class _Running:
    """One rollout in the background."""

    batch: PromptBatch
    version: int
    work: Background[list[ScoredGroup]]


class OneStepAhead:
    """Holds at most one rollout that is under way or done, and the version of the weights that sample it.

    Everything that ranks do together (bringing weights up to date, waiting for each other) stays in the main thread,
    while nothing is sampled in the background; the thread samples and scores this rank's prompts, no more.

    Args:
        sampler: What samples.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self._running: _Running | None = None
        self._idle = True

    def start(self, batch: PromptBatch, sampling: Sampling, seeds: Sequence[int], version: int) -> None:
        """Begin with the next step's batch; the engine has the weights of ``version``."""
        assert self._running is None
        work = Background(lambda: self.sampler.sample(batch, sampling, seeds, version))
        self._running, self._idle = _Running(batch, version, work), False

    def wait(self) -> None:
        """Wait until no rank samples in the background, and keep what was sampled; every rank must call this."""
        if self._running is None or self._idle:
            return
        self._running.work.result()
        all_max(torch.tensor(0), "the rollouts of the next step")
        self._idle = True

    def take(self, batch: PromptBatch, version: int) -> list[ScoredGroup] | None:
        """Hand over what was sampled for a batch by the weights of ``version``; None when nothing was."""
        self.wait()
        if self._running is None:
            return None
        running, self._running = self._running, None
        assert list(running.batch.indices) == list(batch.indices), "another batch came than the loader announced"
        assert running.version == version, f"sampled by version {running.version} instead of {version}"
        return running.work.result()

    def close(self) -> None:
        """End a rollout that is under way; safe to call twice."""
        if self._running is not None:
            running, self._running = self._running, None
            running.work.cancel(self.sampler.interrupt)
