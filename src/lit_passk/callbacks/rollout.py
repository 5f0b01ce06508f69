"""Fills every batch with rollouts: samples and scores its completions before the module gets it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from lit_passk.callbacks.engine_check import coarser_dtype
from lit_passk.callbacks.evaluation import Evaluation
from lit_passk.callbacks.resume import is_trial
from lit_passk.callbacks.rollout_checks import check_run, check_setup
from lit_passk.callbacks.run_description import run_description
from lit_passk.data.loader import PromptLoader
from lit_passk.engines.base import RolloutEngine
from lit_passk.engines.transformers_engine import TransformersEngine
from lit_passk.errors import CannotRun, Refusal
from lit_passk.modules.advantage import has_advantage
from lit_passk.modules.callback_checks import averages_weights
from lit_passk.policy.source import resolve_policy
from lit_passk.results.save_rollouts import SaveRollouts
from lit_passk.rollout.on_policy import OnPolicy
from lit_passk.rollout.parity import ParityCheck
from lit_passk.rollout.sampler import Sampler, eos_token_ids
from lit_passk.rollout.source import RolloutSource
from lit_passk.rollout.step import Step
from lit_passk.types import PromptBatch, Sampling

if TYPE_CHECKING:
    from lit_passk.modules import PassKRLModule


class RolloutCallback(L.Callback):
    """Before each batch: brings the engine's weights up to date, samples, scores, sets ``batch.rollouts``.

    A batch that has its rollouts already (``ReplayDataModule``) is left as it is.

    Args:
        engine: What samples; None is ``TransformersEngine()``.
        group_size: Completions per prompt in training.
        sampling: How to sample in training; restricting the distribution (``top_p``, ``top_k``) is refused there.
        val_sampling: How to sample in validation; its ``n`` is the completions per problem.
        source: Where a training step's rollouts come from; None is ``OnPolicy()``. ``DynamicSampling`` samples further
            prompts while a step has too few groups with an advantage, ``OneStepOffPolicy`` samples the next batch while
            the current one trains.
        parity: Comparison of the engine's log-probabilities with the policy's, in training and once before an
            evaluation; None is ``ParityCheck()``.
        num_workers: Processes that score completions, for tasks that need them.
        score_timeout: Seconds one completion may take to be scored; then it counts as unscored.
        results: JSON-lines file for the completions of ``validate``, ``test`` and ``predict``; one that exists is
            continued, nothing in it is sampled again. ``predict`` writes ``completions.jsonl`` unless told otherwise.
        save: Keeps the rollouts of every training step on disk; None keeps none.
        seed: Base of all sampling seeds; the command line takes it from ``seed_everything``.
    """

    def __init__(
        self,
        engine: RolloutEngine | None = None,
        group_size: int = 8,
        sampling: Sampling = Sampling(),
        val_sampling: Sampling = Sampling(),
        source: RolloutSource | None = None,
        parity: ParityCheck | None = None,
        num_workers: int = 2,
        score_timeout: float = 10.0,
        results: str | None = None,
        save: SaveRollouts | None = None,
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
        self.source = source if source is not None else OnPolicy()
        self.parity = parity if parity is not None else ParityCheck()
        self.save = save
        self.seed = seed
        self._sampler = Sampler(self.engine, num_workers, score_timeout)
        self._has_weights_of_its_own = False
        self.evaluation = Evaluation(self._sampler, self.val_sampling, self.parity, results, seed)

    # --- the hand-over -----------------------------------------------------------------------------------------------

    def on_train_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: PassKRLModule,  # type: ignore[override]
        batch: PromptBatch,
        batch_idx: int,
    ) -> None:
        """Fill the batch with the rollouts of its source, and compare the engine with the policy when that is due."""
        if batch.filled:
            return
        begin = time.perf_counter()
        self._start(trainer, pl_module)
        step = self._step(trainer, pl_module, batch)
        rollouts = self.source.rollouts(step, self._sampler)
        metrics = dict(rollouts.metrics)
        if isinstance(step.loader, PromptLoader):  # before `finish`, where a source may ask for the next prompts
            metrics |= step.loader.observe(step.number, rollouts)
        probe = self.source.probe(step, rollouts, self._sampler) if self.parity.is_due(step.number) else None
        self.source.finish(step, self._sampler)
        if probe is not None:
            dtype = coarser_dtype(pl_module, self.engine)
            metrics |= self.parity.check(probe, pl_module.completion_logprobs(probe), dtype, self.engine.quantized)
        pl_module.log_dict(metrics | {"time/rollout": time.perf_counter() - begin})
        batch.rollouts = rollouts

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: PassKRLModule,  # type: ignore[override]
        outputs: Mapping[str, Tensor],  # type: ignore[override]
        batch: PromptBatch,
        batch_idx: int,
    ) -> None:
        """Keep the rollouts on disk, those of a replayed batch too."""
        if self.save is None or is_trial(trainer):
            return
        if "advantages" not in (outputs or {}):
            raise CannotRun(
                f"`rollout.save` keeps the advantages, but `{type(pl_module).__name__}.training_step` does not return "
                "them: let it return what `super().training_step(...)` returned."
            )
        self.save.save(pl_module.rl_step, batch.name, batch.rollouts, outputs["advantages"])

    def on_validation_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: PassKRLModule,  # type: ignore[override]
        batch: PromptBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Fill the batch; the seeds are the same at every validation, and what the results file has is not sampled."""
        if batch.filled:
            return
        self._start(trainer, pl_module)
        self.source.pause()
        batch.rollouts = self.evaluation.rollouts(trainer, pl_module, batch)

    on_test_batch_start = on_validation_batch_start  # type: ignore[assignment]
    on_predict_batch_start = on_validation_batch_start  # type: ignore[assignment]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Free the engine's memory for training."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._sampler.sleep()
            if averages_weights(trainer):  # the validation's weights were not those that are trained
                self._sampler.forget_weights()

    def _start(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:
        """Start the engine and the scoring processes on first use."""
        if self._sampler.started:
            return
        data, path = _data(trainer), resolve_policy(pl_module.policy_path)
        self._sampler.start(
            path,
            pl_module.policy.model if pl_module.policy_needed else None,
            data.tasks,
            data.decode,
            eos_token_ids(data.tokenizer, path),
            show_progress=trainer.is_global_zero and trainer.progress_bar_callback is not None,
        )
        if self._has_weights_of_its_own:  # the engine has those of the folder, perhaps under the same number
            self._sampler.forget_weights()

    def _step(self, trainer: L.Trainer, pl_module: PassKRLModule, batch: PromptBatch) -> Step:
        number, max_steps = pl_module.rl_step, pl_module.max_rl_steps
        loader: PromptLoader = trainer.train_dataloader  # type: ignore[assignment]
        return Step(
            number=number,
            batch=batch,
            loader=loader,
            sampling=self.sampling,
            seed=self.seed,
            has_advantage=partial(has_advantage, pl_module.advantage, step=number, max_steps=max_steps),
            is_last=number + 1 == max_steps,
        )

    # --- before and after --------------------------------------------------------------------------------------------

    def setup(self, trainer: L.Trainer, pl_module: PassKRLModule, stage: str) -> None:  # type: ignore[override]
        """Refuse what cannot work before time is spent."""
        check_setup(self, pl_module, _data(trainer), stage)
        # A policy that is there already may hold anything: what an earlier `fit` trained, what a checkpoint had.
        self._has_weights_of_its_own = hasattr(pl_module, "policy")
        wanted = stage == "fit" or self.engine.needs_policy or trainer.ckpt_path is not None
        pl_module.policy_needed = wanted or self._has_weights_of_its_own

    def on_train_start(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Check source and sampler again, now that the length of the run is known; open the folder of rollouts."""
        check_run(self, pl_module, _data(trainer))
        if self.save is not None and not is_trial(trainer):
            self.save.start(
                trainer.default_root_dir,
                run_description(
                    trainer,
                    pl_module,
                    self.engine,
                    self.sampling,
                    self.seed,
                    group_size=self.group_size,
                    source=type(self.source).__name__,
                    advantage=type(pl_module.advantage).__name__,
                ),
                pl_module.rl_step,
            )

    def state_dict(self) -> dict[str, Any]:
        """The name by which a resumed run knows the rollouts on disk for its own."""
        return {} if self.save is None else {"run": self.save.run}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on under the name of the run that saved it."""
        if self.save is not None:
            self.save.run = state_dict.get("run", "")

    def on_validation_start(self, trainer: L.Trainer, pl_module: PassKRLModule) -> None:  # type: ignore[override]
        """Open the results file, unless this is a validation in the course of training."""
        # Not in `setup`, which is called before `trainer.ckpt_path` is known: a file is of one checkpoint only.
        self.evaluation.open(trainer, pl_module)

    on_test_start = on_validation_start  # type: ignore[assignment]
    on_predict_start = on_validation_start  # type: ignore[assignment]

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Close the engine, the scoring workers and the results file."""
        self.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Close the engine, the scoring workers and the results file, on Ctrl-C too."""
        self.close()

    def close(self) -> None:
        """Close the engine, the scoring workers and the results file; safe to call twice."""
        self.source.close()
        self._sampler.close()
        self.evaluation.close()


def _data(trainer: L.Trainer) -> Any:
    return trainer.datamodule  # type: ignore[attr-defined]
