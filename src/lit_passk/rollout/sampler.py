"""The engine and the scorer of a run: started on first use, kept up to date, closed at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from tqdm.auto import tqdm

from lit_passk.engines.base import RolloutEngine
from lit_passk.errors import CannotRun, Refusal
from lit_passk.memory import memory_for
from lit_passk.policy.sharding import full_tensors
from lit_passk.policy.source import end_token_ids
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.rollout.sampling import sample_and_score
from lit_passk.rollout.step import Step
from lit_passk.scoring.scorer import Scorer
from lit_passk.types import PromptBatch, RolloutBatch, Sampling, ScoredGroup

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from lit_passk.tasks.base import Task


class Sampler:
    """Makes scored groups out of prompts.

    Args:
        engine: What samples.
        num_workers: Processes that score completions.
        score_timeout: Seconds one completion may take to be scored.
    """

    def __init__(self, engine: RolloutEngine, num_workers: int, score_timeout: float) -> None:
        if num_workers < 1 or not 0 < score_timeout < math.inf:
            raise Refusal(
                "`rollout.num_workers` must be at least 1 and `rollout.score_timeout` above 0 seconds, "
                f"but got {num_workers} and {score_timeout}."
            )
        self.engine = engine
        self.num_workers = num_workers
        self.score_timeout = score_timeout
        self.show_progress = False
        self._scorer: Scorer | None = None
        self._policy: PreTrainedModel | None = None
        self._decode: Callable[[Sequence[int]], str] = str

    @property
    def started(self) -> bool:
        """Whether the engine and the scorer are there."""
        return self._scorer is not None

    @property
    def full_precision(self) -> bool:
        """Whether the engine computes in float32, nothing quantised."""
        return self.engine.dtype == torch.float32 and not self.engine.quantized

    def start(
        self,
        policy_path: str,
        policy: PreTrainedModel | None,
        tasks: Mapping[str, Task],
        decode: Callable[[Sequence[int]], str],
        eos_token_ids: Sequence[int],
        show_progress: bool = False,
    ) -> None:
        """Start the engine and the scoring processes.

        Args:
            policy_path: Folder or hub id the policy was loaded from.
            policy: The model whose weights the engine is to have; None when the engine loads them from the path and
                they never change.
            tasks: What scores completions, by the name that a batch carries.
            decode: Turns token ids into text without special tokens.
            eos_token_ids: Token ids that end a completion.
            show_progress: Whether to draw a progress bar.
        """
        self._policy, self._decode, self.show_progress = policy, decode, show_progress
        with memory_for("starting the engine", self.engine.memory_settings):
            self.engine.start(policy_path, policy, eos_token_ids)
        self._scorer = Scorer(tasks, num_workers=self.num_workers, timeout=self.score_timeout)

    def update(self, version: int) -> None:
        """Wake the engine and give it the policy's weights, unless it has this version; every rank must call this."""
        with memory_for("giving the engine the policy's weights", self.engine.memory_settings):
            self.engine.wake()
            if self.engine.version != version:
                assert self._policy is not None
                self.engine.load_weights(full_tensors(self._policy), version)

    def forget_weights(self) -> None:
        """Have the next ``update`` send weights whatever their version: others were sent under the same one."""
        self.engine.version = -1

    def rollouts(self, step: Step, batch: PromptBatch) -> RolloutBatch:
        """Sample and score prompts of a step with its weights; every rank must call this.

        Args:
            step: The RL step.
            batch: This rank's prompts.
        """
        groups = self.sample(batch, step.sampling, step.seeds(batch), version=step.number)
        return collate_rollouts(
            groups,
            step.sampling,
            version=step.number,
            positions=batch.positions,
            full_precision=self.full_precision,
        )

    def sample(
        self,
        batch: PromptBatch,
        sampling: Sampling,
        seeds: Sequence[int],
        version: int,
        on_scored: Callable[[ScoredGroup], None] = lambda group: None,
    ) -> list[ScoredGroup]:
        """Bring the weights up to date, sample and score; every rank must call this. See ``sample_here``."""
        self.update(version)
        return self.sample_here(batch, sampling, seeds, version, on_scored, self.show_progress)

    def sample_here(
        self,
        batch: PromptBatch,
        sampling: Sampling,
        seeds: Sequence[int],
        version: int,
        on_scored: Callable[[ScoredGroup], None] = lambda group: None,
        show_progress: bool = False,
    ) -> list[ScoredGroup]:
        """Sample and score one batch on this rank; worker processes score while the engine samples.

        Args:
            batch: This rank's prompts.
            sampling: How to sample; ``n`` completions per prompt.
            seeds: One base seed per prompt.
            version: Version of the weights that the engine has.
            on_scored: Called with every group as soon as it was scored.
            show_progress: Whether to draw a progress bar.

        Returns:
            One group per prompt, in their order.
        """
        assert self._scorer is not None
        assert sampling.n is not None
        groups: dict[int, ScoredGroup] = {}
        progress = _progress(batch.name, len(batch.problems) * sampling.n, show_progress)
        with memory_for("sampling", self.engine.memory_settings), progress as bar:
            for p, group in sample_and_score(self.engine, self._scorer, batch, sampling, seeds, self._decode):
                groups[p] = group
                on_scored(group)
                bar.update(sampling.n)
        stale = {c.version for g in groups.values() for c in g.completions} - {version}
        if stale:
            raise CannotRun(
                f"{type(self.engine).__name__} returned completions of the weights {sorted(stale)} instead of "
                f"{version}: they would be trained on as if the policy of now had sampled them."
            )
        return [groups[p] for p in range(len(groups))]

    def sleep(self) -> None:
        """Free the engine's memory for training."""
        if self.started:
            self.engine.sleep()

    def interrupt(self) -> None:
        """Make a ``sample_here`` that runs in another thread fail soon; nothing is sampled afterwards."""
        self.engine.interrupt()
        if self._scorer is not None:
            self._scorer.close()

    def close(self) -> None:
        """Close the engine and the scoring workers; safe to call twice."""
        self.engine.close()
        self.engine.version = -1
        if self._scorer is not None:
            self._scorer.close()
            self._scorer = None
            self._policy = None


def _progress(name: str, total: int, show: bool) -> tqdm:
    what = f"{name}: sampling and scoring"
    return tqdm(total=total, desc=what, unit="completions", leave=False, delay=2, disable=not show)


def eos_token_ids(tokenizer: PreTrainedTokenizerBase, policy_path: str) -> list[int]:
    """Token ids that end a completion: the tokenizer's, and those that transformers' ``generate`` would stop at."""
    ids = end_token_ids(policy_path)
    if tokenizer.eos_token_id is not None:
        ids.add(tokenizer.eos_token_id)
    if not ids:
        raise Refusal(f"Neither the tokenizer nor the configuration of {policy_path!r} names an end token.")
    return sorted(ids)
