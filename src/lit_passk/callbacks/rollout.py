"""Samples and scores the completions of every batch, and hands them to the module."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import lightning as L
import torch
from lightning.pytorch.trainer.states import TrainerFn
from tqdm.auto import tqdm

from lit_passk.callbacks.results_file import ResultsFile
from lit_passk.functional.random import derive_seed
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.rollout.engine import RolloutEngine
from lit_passk.rollout.parity import ParityCheck
from lit_passk.rollout.sampling import sample_and_score
from lit_passk.rollout.scoring import Scorer
from lit_passk.rollout.transformers_engine import TransformersEngine
from lit_passk.sharding import full_tensors
from lit_passk.types import PromptBatch, RolloutBatch, Sampling, ScoredGroup

if TYPE_CHECKING:
    from lit_passk.data import PromptDataModule
    from lit_passk.modules import PassKRLModule


class RolloutCallback(L.Callback):
    """Before each batch: brings the engine's weights up to date, samples, scores, sets ``pl_module.rollouts``.

    Args:
        engine: What samples; None is ``TransformersEngine()``.
        group_size: Completions a prompt in training.
        sampling: How to sample in training; restricting the distribution (``top_p``, ``top_k``) is refused there.
        val_sampling: How to sample in validation; its ``n`` is the completions a problem.
        parity: Comparison of the engine's log-probabilities with the policy's; None is ``ParityCheck()``.
        num_workers: Processes that score completions, for tasks that need them.
        score_timeout: Seconds one completion may take to be scored; then it counts as unscorable.
        results: JSON-lines file for the completions of ``validate``, ``test`` and ``predict``; one that exists is
            continued, nothing in it is sampled again. ``predict`` writes ``completions.jsonl`` unless told otherwise.
        seed: Base of all sampling seeds; the command line takes it from ``seed_everything``.
    """

    def __init__(
        self,
        engine: RolloutEngine | None = None,
        group_size: int = 8,
        sampling: Sampling = Sampling(),
        val_sampling: Sampling = Sampling(),
        parity: ParityCheck | None = None,
        num_workers: int = 2,
        score_timeout: float = 10.0,
        results: str | None = None,
        seed: int = 0,
    ) -> None:
        if group_size < 1:
            raise ValueError(f"`rollout.group_size` must be at least 1, but got {group_size}.")
        if sampling.n not in (None, group_size):
            raise ValueError(
                f"`rollout.sampling.n`={sampling.n} contradicts `rollout.group_size`={group_size}: leave it unset."
            )
        self.engine = engine if engine is not None else TransformersEngine()
        self.group_size = group_size
        self.sampling = replace(sampling, n=group_size)
        self.val_sampling = replace(val_sampling, n=val_sampling.n or group_size)
        self.parity = parity if parity is not None else ParityCheck()
        self.num_workers = num_workers
        self.score_timeout = score_timeout
        self.results = results
        self.seed = seed
        self._scorer: Scorer | None = None
        self._results_file: ResultsFile | None = None

    # --- life --------------------------------------------------------------------------------------------------------

    def setup(self, trainer: L.Trainer, pl_module: PassKRLModule, stage: str) -> None:  # type: ignore[override]
        """Refuse what cannot work before time is spent."""
        pl_module.policy_needed = stage == "fit" or self.engine.needs_policy or trainer.ckpt_path is not None
        if stage == "fit":
            self._check_training(pl_module)
        validates = stage in ("validate", "test") or (stage == "fit" and trainer.datamodule.val)  # type: ignore
        if validates and max(pl_module.ks) > (self.val_sampling.n or 0):
            raise ValueError(
                f"`model.ks` asks for pass@{max(pl_module.ks)}, but validation samples only {self.val_sampling.n} "
                "completions a problem. Raise `rollout.val_sampling.n` or shorten `model.ks`."
            )
        path = self.results or ("completions.jsonl" if stage == "predict" else None)
        if stage != "fit" and path is not None:
            policy = pl_module.policy_path + (f" @ {trainer.ckpt_path}" if trainer.ckpt_path else "")
            data = trainer.datamodule  # type: ignore[attr-defined]
            self._results_file = ResultsFile(
                path,
                policy,
                self.val_sampling,
                self.seed,
                chat_template=data.chat_template,
                system_prompt=data.system_prompt,
                engine=type(self.engine).__name__,
            )

    def _check_training(self, pl_module: PassKRLModule) -> None:
        if self.sampling.top_p < 1 or self.sampling.top_k > 0:
            raise ValueError(
                f"`rollout.sampling` has top_p={self.sampling.top_p} and top_k={self.sampling.top_k}: the policy's "
                "probabilities are over all tokens, so the ratio between the two would be wrong. Use top_p=1 and "
                "top_k=0 in training; `rollout.val_sampling` is free."
            )
        if self.sampling.temperature == 0:
            raise ValueError("`rollout.sampling.temperature` is 0: greedy completions of a group are all the same.")
        pl_module.advantage.check_group_size(self.group_size)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Close the engine, the scoring workers and the results file."""
        self.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Close the engine, the scoring workers and the results file, on Ctrl-C too."""
        self.close()

    def close(self) -> None:
        """Close the engine, the scoring workers and the results file; safe to call twice."""
        self.engine.close()
        self.engine.version = -1
        if self._scorer is not None:
            self._scorer.close()
            self._scorer = None
        if self._results_file is not None:
            self._results_file.close()
            self._results_file = None

    # --- hand-over ---------------------------------------------------------------------------------------------------

    def on_train_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: PassKRLModule,  # type: ignore[override]
        batch: PromptBatch,
        batch_idx: int,
    ) -> None:
        """Sample the step's completions with the current weights."""
        begin = time.perf_counter()
        step = pl_module.rl_step
        seeds = [derive_seed(self.seed, "train", step, batch.name, index) for index in batch.indices]
        rollouts = self.roll_out(trainer, pl_module, batch, self.sampling, seeds)
        self.engine.sleep()
        dtype = self._coarser_dtype(pl_module)
        rollouts = replace(rollouts, exact=dtype == torch.float32)
        if self.parity.is_due(step):
            sample = collate_rollouts(rollouts.groups[:1], rollouts.sampling, rollouts.version)
            logged = self.parity.check(sample, pl_module.completion_logprobs(sample), dtype)
            pl_module.log_dict(logged)
        pl_module.rollouts = rollouts
        pl_module.log("time/rollout", time.perf_counter() - begin)

    def on_validation_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: PassKRLModule,  # type: ignore[override]
        batch: PromptBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Sample the problems of a validation batch; the seeds are the same at every validation."""
        seeds = [derive_seed(self.seed, "val", batch.name, index) for index in batch.indices]
        if self._results_file is None:
            pl_module.rollouts = self.roll_out(trainer, pl_module, batch, self.val_sampling, seeds)
            return
        groups: list[ScoredGroup] = []
        for part, sampling, part_seeds in self._results_file.missing(batch, self.val_sampling, seeds):
            groups += self.roll_out(trainer, pl_module, part, sampling, part_seeds).groups
        groups = self._results_file.complete(batch, groups, self.val_sampling)
        pl_module.rollouts = collate_rollouts(groups, self.val_sampling, version=pl_module.rl_step)

    on_test_batch_start = on_validation_batch_start  # type: ignore[assignment]
    on_predict_batch_start = on_validation_batch_start  # type: ignore[assignment]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Free the engine's memory for training."""
        if trainer.state.fn == TrainerFn.FITTING and self._scorer is not None:
            self.engine.sleep()

    def roll_out(
        self,
        trainer: L.Trainer,
        pl_module: PassKRLModule,
        batch: PromptBatch,
        sampling: Sampling,
        seeds: list[int],
    ) -> RolloutBatch:
        """Sample and score one batch; scoring goes on in worker processes while the engine samples.

        Args:
            trainer: The trainer, whose data module owns the tasks and the tokenizer.
            pl_module: The module, which owns the policy.
            batch: This rank's prompts.
            sampling: How to sample; ``n`` completions a prompt.
            seeds: One base seed a prompt.
        """
        data: PromptDataModule = trainer.datamodule  # type: ignore[attr-defined]
        if self._scorer is None:
            self._start(pl_module, data)
        assert self._scorer is not None
        assert sampling.n is not None
        self.engine.wake()
        self._sync(pl_module)
        groups: dict[int, ScoredGroup] = {}
        with self._progress(trainer, batch.name, len(batch.problems) * sampling.n) as bar:
            for p, group in sample_and_score(self.engine, self._scorer, batch, sampling, seeds, data.decode):
                groups[p] = group
                if self._results_file is not None:
                    self._results_file.write(batch.name, group)
                bar.update(sampling.n)
        stale = {c.version for g in groups.values() for c in g.completions} - {pl_module.rl_step}
        assert not stale, f"completions of versions {stale} in step {pl_module.rl_step}: the engine's weights are stale"
        return collate_rollouts([groups[p] for p in range(len(groups))], sampling, version=pl_module.rl_step)

    def _start(self, pl_module: PassKRLModule, data: PromptDataModule) -> None:
        policy = pl_module.policy.model if pl_module.policy_needed else None
        self.engine.start(pl_module.policy_path, policy, eos_token_ids(data, pl_module.policy_path))
        self._scorer = Scorer(data.tasks, num_workers=self.num_workers, timeout=self.score_timeout)

    def _sync(self, pl_module: PassKRLModule) -> None:
        """Give the engine the policy's weights, unless it has them."""
        if self.engine.version != pl_module.rl_step:
            self.engine.load_weights(full_tensors(pl_module.policy.model), pl_module.rl_step)

    def _coarser_dtype(self, pl_module: PassKRLModule) -> torch.dtype:
        """The coarser of the precisions in which the engine and the policy compute."""
        mixed = "bf16" in str(pl_module.trainer.precision)
        policy = torch.bfloat16 if mixed else pl_module.policy.model.dtype
        return policy if policy != torch.float32 else self.engine.dtype

    def _progress(self, trainer: L.Trainer, name: str, total: int) -> tqdm:
        shown = trainer.is_global_zero and trainer.progress_bar_callback is not None
        what = f"{name}: sampling and scoring"
        return tqdm(total=total, desc=what, unit="completions", leave=False, delay=2, disable=not shown)


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
        raise ValueError(f"Neither the tokenizer nor the generation config of {policy_path!r} names an end token.")
    return sorted(ids)
