"""The completions of a validation, test or prediction: the same seeds every time, and a file that keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn

from lit_passk.callbacks.engine_check import check_engine
from lit_passk.callbacks.run_description import run_description
from lit_passk.checkpointing.fingerprint import fingerprint
from lit_passk.data.module import PromptDataModule
from lit_passk.functional.random import derive_seed
from lit_passk.inputs import expanded
from lit_passk.results.continuation import ResultsFile
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.rollout.parity import ParityCheck
from lit_passk.rollout.sampler import Sampler
from lit_passk.types import PromptBatch, RolloutBatch, Sampling

if TYPE_CHECKING:
    from lit_passk.modules import PassKRLModule


class Evaluation:
    """Samples and scores the batches of an evaluation.

    Args:
        sampler: The engine and the scorer.
        sampling: How to sample; ``n`` completions per problem.
        parity: How the engine is compared with transformers before the first batch of a run that does not train.
        results: JSON-lines file for the completions, or None; in the course of a training there is none.
        seed: Base of all sampling seeds.
    """

    def __init__(
        self, sampler: Sampler, sampling: Sampling, parity: ParityCheck, results: str | None, seed: int
    ) -> None:
        self.sampler = sampler
        self.sampling = sampling
        self.parity = parity
        self.results = results
        self.seed = seed
        self._file: ResultsFile | None = None
        self._compared = False

    def open(self, trainer: L.Trainer, module: PassKRLModule) -> None:
        """Open the results file, unless this is a validation in the course of training."""
        path = self.results or ("completions.jsonl" if trainer.state.fn == TrainerFn.PREDICTING else None)
        if trainer.state.fn == TrainerFn.FITTING or path is None:
            return
        checkpoint = f" @ {trainer.ckpt_path}" if trainer.ckpt_path else ""
        data = trainer.datamodule  # type: ignore[attr-defined]
        tokenizer = {"tokenizer": data.renderer.fingerprint} if isinstance(data, PromptDataModule) else {}
        settings = run_description(
            trainer,
            module,
            self.sampler.engine,
            self.sampling,
            self.seed,
            policy=f"{expanded(module.policy_path)}{checkpoint}",  # `policy/` is `policy`
            rl_step=module.rl_step,
            weights=fingerprint(module.policy_path, trainer.ckpt_path),
            **tokenizer,
        )
        self._file = ResultsFile(path, settings)

    def rollouts(self, trainer: L.Trainer, module: PassKRLModule, batch: PromptBatch) -> RolloutBatch:
        """Return the completions of a batch; what the results file has is not sampled. Every rank must call this."""
        if not self._compared and self.parity.every > 0 and trainer.state.fn != TrainerFn.FITTING:
            check_engine(self.sampler, module, self.parity, batch, self.sampling, self.seed)
        self._compared = True
        sampling, file, version = self.sampling, self._file, module.rl_step
        seeds = [derive_seed(self.seed, "val", batch.name, index) for index in batch.indices]
        if file is None:
            groups = self.sampler.sample(batch, sampling, seeds, version)
        else:
            groups = []
            for part, part_sampling, part_seeds in file.missing(batch, sampling, seeds):
                groups += self.sampler.sample(
                    part, part_sampling, part_seeds, version, on_scored=lambda group: file.write(batch.name, group)
                )
            groups = file.complete(batch, groups, sampling)
        return collate_rollouts(groups, sampling, version=version, positions=batch.positions)

    def close(self) -> None:
        """Close the results file; safe to call twice."""
        self._compared = False
        if self._file is not None:
            self._file.close()
            self._file = None
