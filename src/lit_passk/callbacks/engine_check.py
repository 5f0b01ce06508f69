"""Before an evaluation samples: whether its engine computes the model that transformers computes."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from lit_passk.distributed import rank
from lit_passk.engines.base import RolloutEngine
from lit_passk.errors import CannotRun
from lit_passk.functional.random import derive_seed
from lit_passk.policy.checkpoint_names import skeleton
from lit_passk.policy.model import load_policy
from lit_passk.policy.source import load_config, resolve_policy
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.rollout.parity import ParityCheck
from lit_passk.rollout.sampler import Sampler
from lit_passk.rollout.sampling import groups_as_asked
from lit_passk.types import PromptBatch, RolloutBatch, Sampling, Score, ScoredGroup

if TYPE_CHECKING:
    from lit_passk.modules import PassKRLModule

PROMPTS, SAMPLES, MAX_TOKENS = 2, 4, 32
"""How much is compared: the shortest prompts of the first batch, and a few short completions of each."""


def check_engine(
    sampler: Sampler,
    module: PassKRLModule,
    parity: ParityCheck,
    batch: PromptBatch,
    sampling: Sampling,
    seed: int,
) -> None:
    """Compare the engine with the policy, or with the folder that it loaded by itself; every rank must call this.

    Args:
        sampler: Started; its engine is compared.
        module: Its policy, which is loaded only where the engine needs it.
        parity: How far the two may be apart.
        batch: Where to take prompts from.
        sampling: Of the evaluation.
        seed: Base of all sampling seeds.

    Raises:
        CannotRun: On every rank, if the two disagree.
    """
    engine = sampler.engine
    sampler.update(module.rl_step)
    probe = sample_probe(engine, batch, sampling, seed)
    if module.policy_needed:
        logprobs = module.completion_logprobs(probe)
        _report(parity, probe, logprobs, coarser_dtype(module, engine), engine.quantized)
    else:
        check_against_folder(parity, probe, engine, resolve_policy(module.policy_path))


def coarser_dtype(module: PassKRLModule, engine: RolloutEngine) -> torch.dtype:
    """The coarser of the precisions in which the engine and the policy compute."""
    return module.compute_dtype if module.compute_dtype != torch.float32 else engine.dtype


def sample_probe(engine: RolloutEngine, batch: PromptBatch, sampling: Sampling, seed: int) -> RolloutBatch:
    """Have the engine sample a few completions that nobody scores, from the whole distribution; all ranks call this.

    Args:
        engine: Started, with its weights.
        batch: Where to take prompts from.
        sampling: Of the evaluation; its temperature is kept.
        seed: Base of all sampling seeds.
    """
    shortest = sorted(range(len(batch.problems)), key=lambda row: len(batch.prompt_ids[row]))
    few = batch.select(shortest[:PROMPTS])
    temperature, max_tokens = sampling.temperature or 1.0, min(MAX_TOKENS, sampling.max_tokens)
    sampling = replace(sampling, n=SAMPLES, max_tokens=max_tokens, temperature=temperature, top_p=1.0, top_k=0)
    seeds = [derive_seed(seed, "parity", batch.name, index) for index in few.indices]
    groups = dict(groups_as_asked(engine, few.prompt_ids, sampling, seeds))
    scored = [
        ScoredGroup(
            problem=few.problems[row],
            index=few.indices[row],
            prompt_ids=few.prompt_ids[row],
            completions=groups[row],
            texts=[""] * SAMPLES,
            scores=[Score(reward=0.0, correct=False)] * SAMPLES,
            seed=seeds[row],
        )
        for row in sorted(groups)
    ]
    return collate_rollouts(scored, sampling, version=engine.version)


def check_against_folder(parity: ParityCheck, probe: RolloutBatch, engine: RolloutEngine, path: str) -> None:
    """Compare an engine that loaded a policy by itself with transformers, which loads it once more for that.

    On the CPU of the first rank, whose completions stand for all; every rank must call this. A policy that is quantised
    or does not fit into memory is not compared, and the log says so.

    Raises:
        CannotRun: On every rank, if the two disagree.
    """
    dtype = torch.bfloat16 if engine.dtype == torch.bfloat16 else torch.float32
    refusal = _reason_not_to(path, dtype) if rank() == 0 else ""
    logprobs: list[Tensor] = []
    if rank() == 0 and not refusal:
        logprobs = _logprobs(path, dtype, probe)
    if refusal:
        rank_zero_warn(f"The engine is not compared with transformers: {refusal}. `rollout.parity.every` 0 never does.")
    compared = probe if logprobs else collate_rollouts([], probe.sampling, version=probe.version)
    _report(parity, compared, logprobs, engine.dtype, engine.quantized)


def _report(
    parity: ParityCheck, probe: RolloutBatch, logprobs: Sequence[Tensor], dtype: torch.dtype, quantized: bool
) -> None:
    """Compare, and say in the log how far the two are apart; every rank must call this.

    Raises:
        CannotRun: On every rank, if they disagree.
    """
    try:
        # A copy, because a training with the same check counts its own.
        found = copy(parity).check(probe, logprobs, dtype, quantized)
    except CannotRun as error:
        raise CannotRun(
            f"{error} Nothing was evaluated. Sample with TransformersEngine, which runs what transformers runs."
        ) from None
    if probe.completion_ids:
        rank_zero_info(f"Engine and transformers agree on log-probabilities to {found['parity/worst']:.1e} nats.")


def _reason_not_to(path: str, dtype: torch.dtype) -> str:
    if getattr(load_config(path), "quantization_config", None):
        return f"the policy {path!r} is quantised"
    needed, free = (
        sum(p.numel() for p in skeleton(path).parameters()) * dtype.itemsize,
        psutil.virtual_memory().available,
    )
    if needed > 0.8 * free:
        return f"the policy {path!r} needs {needed / 2**30:.0f} GiB of memory, and {free / 2**30:.0f} are free"
    return ""


@torch.no_grad()
def _logprobs(path: str, dtype: torch.dtype, probe: RolloutBatch) -> list[Tensor]:
    """Log-probabilities of the probe's completions, one forward pass of the stock model each, (T,) float32."""
    model = load_policy(path, dtype=dtype).model.eval()
    found = []
    rows = zip(probe.completion_ids, probe.prompt_index.tolist(), probe.trained, strict=True)
    for completion, prompt, trained in rows:
        ids = torch.cat([probe.prompt_ids[prompt], completion])[None]  # (1, T)
        logits = model(ids, use_cache=False).logits[0, -len(completion) - 1 : -1].float() / probe.sampling.temperature
        found.append(logits.log_softmax(-1).gather(1, completion[:, None])[trained, 0])
    return found
