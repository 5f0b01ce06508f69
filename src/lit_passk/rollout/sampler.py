"""The engine and the scorer of a run: started on first use, kept up to date, closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import lightning as L
import torch
from tqdm.auto import tqdm

from lit_passk.engines.base import RolloutEngine
from lit_passk.errors import Refusal
from lit_passk.policy.sharding import full_tensors
from lit_passk.rollout.sampling import sample_and_score
from lit_passk.scoring.scorer import Scorer
from lit_passk.types import PromptBatch, Sampling, ScoredGroup

if TYPE_CHECKING:
    from lit_passk.data import PromptDataModule
    from lit_passk.modules import PassKRLModule


class Sampler:
    """Makes scored groups out of prompts.

    Args:
        engine: What samples.
        num_workers: Processes that score completions.
        score_timeout: Seconds one completion may take to be scored.
    """

    def __init__(self, engine: RolloutEngine, num_workers: int, score_timeout: float) -> None:
        if num_workers < 1 or score_timeout <= 0:
            raise Refusal(
                "`rollout.num_workers` must be at least 1 and `rollout.score_timeout` above 0 seconds, "
                f"but got {num_workers} and {score_timeout}."
            )
        self.engine = engine
        self.num_workers = num_workers
        self.score_timeout = score_timeout
        self._scorer: Scorer | None = None
        self._data: PromptDataModule | None = None

    @property
    def started(self) -> bool:
        """Whether the engine and the scorer are there."""
        return self._scorer is not None

    def bring_up_to_date(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:
        """Start on first use, wake, and take the policy's weights unless they are there; a collective."""
        if self._scorer is None:
            self._data = trainer.datamodule  # type: ignore[attr-defined]
            assert self._data is not None
            policy = pl_module.policy.model if pl_module.policy_needed else None
            path = pl_module.policy_path
            self.engine.start(path, policy, eos_token_ids(self._data, path))
            self._scorer = Scorer(self._data.tasks, num_workers=self.num_workers, timeout=self.score_timeout)
        self.engine.wake()
        if self.engine.version != pl_module.rl_step:
            self.engine.load_weights(full_tensors(pl_module.policy.model), pl_module.rl_step)

    def sample(
        self,
        batch: PromptBatch,
        sampling: Sampling,
        seeds: Sequence[int],
        version: int,
        show: bool = False,
        judged: Callable[[ScoredGroup], None] = lambda group: None,
    ) -> list[ScoredGroup]:
        """Sample and score one batch; scoring goes on in worker processes while the engine samples.

        Args:
            batch: This rank's prompts.
            sampling: How to sample; ``n`` completions a prompt.
            seeds: One base seed a prompt.
            version: Version the weights must have.
            show: Whether to draw a progress bar.
            judged: Called with every group as soon as it was judged.

        Returns:
            One group a prompt, in their order.
        """
        assert self._scorer is not None
        assert self._data is not None
        assert sampling.n is not None
        groups: dict[int, ScoredGroup] = {}
        with _progress(batch.name, len(batch.problems) * sampling.n, show) as bar:
            for p, group in sample_and_score(self.engine, self._scorer, batch, sampling, seeds, self._data.decode):
                groups[p] = group
                judged(group)
                bar.update(sampling.n)
        stale = {c.version for g in groups.values() for c in g.completions} - {version}
        assert not stale, f"completions of versions {stale} instead of {version}: the engine's weights are stale"
        return [groups[p] for p in range(len(groups))]

    def coarser_dtype(self, pl_module: PassKRLModule) -> torch.dtype:
        """The coarser of the precisions in which the engine and the policy compute."""
        mixed = "bf16" in str(pl_module.trainer.precision)
        policy = torch.bfloat16 if mixed else pl_module.policy.model.dtype
        return policy if policy != torch.float32 else self.engine.dtype

    def sleep(self) -> None:
        """Free the engine's memory for training."""
        if self.started:
            self.engine.sleep()

    def interrupt(self) -> None:
        """Make a ``sample`` that runs in another thread fail soon; nothing is sampled afterwards."""
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


def _progress(name: str, total: int, show: bool) -> tqdm:
    what = f"{name}: sampling and scoring"
    return tqdm(total=total, desc=what, unit="completions", leave=False, delay=2, disable=not show)


def eos_token_ids(data: PromptDataModule, policy_path: str) -> list[int]:
    """Token ids that end a completion: the tokenizer's, and those of the policy's generation config."""
    from transformers import GenerationConfig

    ids = set() if data.tokenizer.eos_token_id is None else {data.tokenizer.eos_token_id}
    try:
        configured = GenerationConfig.from_pretrained(policy_path).eos_token_id
    except OSError:
        configured = None  # a folder without generation_config.json
    ids |= {configured} if isinstance(configured, int) else set(configured or ())
    if not ids:
        raise Refusal(f"Neither the tokenizer nor the generation config of {policy_path!r} names an end token.")
    return sorted(ids)
