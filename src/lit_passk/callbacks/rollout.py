"""Samples and scores the completions of every batch, and hands them to the module."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import lightning as L
import torch
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info

from lit_passk.callbacks.rollout_checks import check_signal, check_training, check_validation
from lit_passk.engines.base import RolloutEngine
from lit_passk.engines.transformers_engine import TransformersEngine
from lit_passk.errors import Refusal
from lit_passk.functional.random import derive_seed
from lit_passk.results.continuation import ResultsFile
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.rollout.one_step_ahead import OneStepAhead
from lit_passk.rollout.parity import ParityCheck
from lit_passk.rollout.sampler import Sampler
from lit_passk.rollout.signal import SignalAwareSampling
from lit_passk.types import PromptBatch, RolloutBatch, Sampling, ScoredGroup

if TYPE_CHECKING:
    from lit_passk.data.loader import PromptLoader
    from lit_passk.modules import PassKRLModule


class RolloutCallback(L.Callback):
    """Before each batch: brings the engine's weights up to date, samples, scores, sets ``pl_module.rollouts``.

    Args:
        engine: What samples; None is ``TransformersEngine()``.
        group_size: Completions a prompt in training.
        sampling: How to sample in training; restricting the distribution (``top_p``, ``top_k``) is refused there.
        val_sampling: How to sample in validation; its ``n`` is the completions a problem.
        signal: Sample further prompts while a step has too few groups that teach something; None trains on every batch
            as it comes.
        one_step_ahead: Sample the next batch while the current one trains. Its completions are then one version old,
            which importance weights correct (``model.correction``) and ``rollout/staleness`` shows; the first step of
            a run, resumed or not, is sampled by its own weights, so a resumed run is not bit-equal; nor does a policy
            with dropout draw the same from run to run. Off, every step is exactly on-policy.
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
        signal: SignalAwareSampling | None = None,
        one_step_ahead: bool = False,
        parity: ParityCheck | None = None,
        num_workers: int = 2,
        score_timeout: float = 10.0,
        results: str | None = None,
        seed: int = 0,
    ) -> None:
        if group_size < 1:
            raise Refusal(f"`rollout.group_size` must be at least 1, but got {group_size}.")
        if sampling.n not in (None, group_size):
            raise Refusal(
                f"`rollout.sampling.n`={sampling.n} contradicts `rollout.group_size`={group_size}: leave it unset."
            )
        self.engine = engine if engine is not None else TransformersEngine()
        self.group_size = group_size
        self.sampling = replace(sampling, n=group_size)
        self.val_sampling = replace(val_sampling, n=val_sampling.n or group_size)
        self.signal = signal
        self.one_step_ahead = one_step_ahead
        self.parity = parity if parity is not None else ParityCheck()
        self.results = results
        self.seed = seed
        self._sampler = Sampler(self.engine, num_workers, score_timeout)
        self._ahead = OneStepAhead(self._sampler) if one_step_ahead else None
        self._results_file: ResultsFile | None = None

    # --- life --------------------------------------------------------------------------------------------------------

    def setup(self, trainer: L.Trainer, pl_module: PassKRLModule, stage: str) -> None:  # type: ignore[override]
        """Refuse what cannot work before time is spent."""
        pl_module.policy_needed = stage == "fit" or self.engine.needs_policy or trainer.ckpt_path is not None
        if stage == "fit":
            check_training(self, pl_module)
        if stage in ("validate", "test") or (stage == "fit" and trainer.datamodule.val):  # type: ignore[attr-defined]
            check_validation(self, pl_module, training=stage == "fit")

    def on_validation_start(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Open the results file, unless this is a validation in the course of training."""
        # Not in `setup`, which is called before `trainer.ckpt_path` is known: a file is of one checkpoint only.
        path = self.results or ("completions.jsonl" if trainer.state.fn == TrainerFn.PREDICTING else None)
        if trainer.state.fn == TrainerFn.FITTING or path is None:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        self._results_file = ResultsFile(
            path,
            pl_module.policy_path + (f" @ {trainer.ckpt_path}" if trainer.ckpt_path else ""),
            self.val_sampling,
            self.seed,
            chat_template=data.chat_template,
            system_prompt=data.system_prompt,
            engine=type(self.engine).__name__,
        )

    on_test_start = on_validation_start  # type: ignore[assignment]
    on_predict_start = on_validation_start  # type: ignore[assignment]

    def on_train_start(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Look at the strategy again, now that the length of the run is known."""
        check_signal(self, pl_module)
        if self._ahead is not None and pl_module.rl_step > 0:
            rank_zero_info(
                "`rollout.one_step_ahead`: the first step after resuming is sampled by its own weights, so this run "
                "does not end with the very weights of an uninterrupted one."
            )

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Close the engine, the scoring workers and the results file."""
        self.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Close the engine, the scoring workers and the results file, on Ctrl-C too."""
        self.close()

    def close(self) -> None:
        """Close the engine, the scoring workers and the results file; safe to call twice."""
        if self._ahead is not None:
            self._ahead.close()
        self._sampler.close()
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
        """Sample the step's completions with the current weights; one step ahead, begin with the next step's."""
        begin = time.perf_counter()
        step = pl_module.rl_step
        rollouts = self._rollouts_from_before(batch, step) or self._fresh_rollouts(trainer, pl_module, batch)
        fresh = rollouts.version == step
        dtype = self._sampler.coarser_dtype(pl_module)
        if parity_due := self.parity.is_due(step):
            few = rollouts.groups[:1] if fresh else self._sample_one(trainer, pl_module, batch)
        if self._ahead is None:
            self._sampler.sleep()
        if parity_due:
            sample = collate_rollouts(few, self.sampling, version=step)
            pl_module.log_dict(self.parity.check(sample, pl_module.completion_logprobs(sample), dtype))
        if self._ahead is not None:
            pl_module.log("rollout/staleness", float(step - rollouts.version))
            self._begin_next(trainer, pl_module, self._ahead)
        rollouts = replace(rollouts, exact=fresh and dtype == torch.float32)
        pl_module.rollouts = rollouts
        pl_module.log("time/rollout", time.perf_counter() - begin)

    def _train_seeds(self, batch: PromptBatch, step: int) -> list[int]:
        return [derive_seed(self.seed, "train", step, batch.name, index) for index in batch.indices]

    def _rollouts_from_before(self, batch: PromptBatch, step: int) -> RolloutBatch | None:
        """What was sampled while the step before trained."""
        groups = self._ahead.take(batch, version=step - 1) if self._ahead is not None else None
        return None if groups is None else collate_rollouts(groups, self.sampling, version=step - 1)

    def _begin_next(self, trainer: L.Trainer, pl_module: PassKRLModule, ahead: OneStepAhead) -> None:
        """Sample the next step's batch in the background, with the weights that this step starts from."""
        step = pl_module.rl_step
        if step + 1 != pl_module.max_rl_steps:
            self._sampler.bring_up_to_date(trainer, pl_module)
            loader: PromptLoader = trainer.train_dataloader  # type: ignore[assignment]
            batch = loader.peek()
            ahead.start(batch, self.sampling, self._train_seeds(batch, step + 1), version=step)

    def _sample_one(self, trainer: L.Trainer, pl_module: PassKRLModule, batch: PromptBatch) -> list[ScoredGroup]:
        """Sample this rank's first prompt, if it has one, with the current weights, for the parity check alone."""
        one = batch.take(range(min(1, len(batch.problems))))
        return self._sample(trainer, pl_module, one, self.sampling, self._train_seeds(one, pl_module.rl_step))

    def _fresh_rollouts(self, trainer: L.Trainer, pl_module: PassKRLModule, batch: PromptBatch) -> RolloutBatch:
        """Sample a batch with the current weights, and further prompts where it lacks signal."""
        step = pl_module.rl_step

        def sample(prompts: PromptBatch) -> list[ScoredGroup]:
            return self._sample(trainer, pl_module, prompts, self.sampling, self._train_seeds(prompts, step))

        if self.signal is None:
            return collate_rollouts(sample(batch), self.sampling, version=step)
        wrong_needed = pl_module.advantage.wrong_needed(step, pl_module.max_rl_steps)
        loader: PromptLoader = trainer.train_dataloader  # type: ignore[assignment]
        drawn = self.signal.fill_up(sample, batch, loader, step, wrong_needed)
        pl_module.log_dict(drawn.metrics)
        rollouts = collate_rollouts(drawn.groups, self.sampling, version=step)
        return replace(rollouts, places=drawn.places, dropped=tuple(drawn.dropped))

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
            groups = self._sample(trainer, pl_module, batch, self.val_sampling, seeds)
        else:
            groups = []
            for part, sampling, part_seeds in self._results_file.missing(batch, self.val_sampling, seeds):
                groups += self._sample(trainer, pl_module, part, sampling, part_seeds)
            groups = self._results_file.complete(batch, groups, self.val_sampling)
        pl_module.rollouts = collate_rollouts(groups, self.val_sampling, version=pl_module.rl_step)

    on_test_batch_start = on_validation_batch_start  # type: ignore[assignment]
    on_predict_batch_start = on_validation_batch_start  # type: ignore[assignment]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Free the engine's memory for training."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._sampler.sleep()

    def _sample(
        self,
        trainer: L.Trainer,
        pl_module: PassKRLModule,
        batch: PromptBatch,
        sampling: Sampling,
        seeds: Sequence[int],
    ) -> list[ScoredGroup]:
        """Sample and judge this rank's prompts with the current weights; every rank must call this."""
        if self._ahead is not None:
            self._ahead.wait()
        self._sampler.bring_up_to_date(trainer, pl_module)
        file = self._results_file
        return self._sampler.sample(
            batch,
            sampling,
            seeds,
            version=pl_module.rl_step,
            show=trainer.is_global_zero and trainer.progress_bar_callback is not None,
            judged=(lambda group: file.write(batch.name, group)) if file is not None else (lambda group: None),
        )
