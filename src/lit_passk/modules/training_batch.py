"""What one RL step trains on: the completions of all ranks that have a gradient, on every rank.

Zero-advantage prompts are unevenly spread over ranks, so training on own prompts would leave ranks idle. Token ids are
small beside activations: every rank gets all, and takes its share of the micro-batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lit_passk.distributed import all_cat, all_sum
from lit_passk.functional.policy_loss import token_weights
from lit_passk.types import RolloutBatch


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingBatch:
    """N completions of P prompts over all ranks, the same on each; prompts in the order of their positions."""

    prompt_ids: tuple[Tensor, ...]
    """P tensors of prompt tokens, int64."""
    completion_ids: tuple[Tensor, ...]
    """N tensors of sampled tokens, int64, none empty."""
    rollout_logprobs: tuple[Tensor, ...]
    """N tensors, the engine's log-probability of each sampled token, float32."""
    trained: tuple[Tensor, ...]
    """N tensors, whether each token is trained on, bool."""
    prompt_index: Tensor
    """Which prompt a completion answers, shape ``(N,)``, int64, ascending."""
    advantages: Tensor
    """Shape ``(N,)``, float32."""
    weights: Tensor
    """Weight of each token of a completion in the loss, shape ``(N,)``, float32: see ``token_weights``."""
    minibatch: Tensor
    """Which mini-batch a completion belongs to, shape ``(N,)``, int64; does not depend on the number of ranks."""
    temperature: float
    """At which they were sampled."""
    version: int
    """Version of the weights that sampled them."""
    full_precision: bool
    """See ``RolloutBatch``."""


def collect(
    rollouts: RolloutBatch,
    advantages: Tensor,
    keep: Tensor,
    num_minibatches: int = 1,
    aggregation: Literal["token", "sequence", "constant"] = "token",
) -> TrainingBatch:
    """Collect from all ranks what a step trains on; every rank must call this.

    Args:
        rollouts: This rank's completions.
        advantages: Theirs, shape ``(N,)``, float32.
        keep: Which of them have a gradient, shape ``(N,)``, bool. The others count in the weights' denominators.
        num_minibatches: Equal parts that the prompts of all ranks are cut into, by their positions in the step.
        aggregation: See ``PassKRLModule``.
    """
    total = int(all_sum(torch.tensor(len(rollouts.prompt_ids)), "the number of prompts"))
    of_prompt = (rollouts.positions * num_minibatches // max(1, total)).clamp(max=num_minibatches - 1)  # (P,)
    minibatch = of_prompt[rollouts.prompt_index]  # (N,)
    weights = _weights(rollouts, minibatch, num_minibatches, aggregation)  # (N,)
    rows = keep.nonzero()[:, 0]  # (n,) of this rank
    prompts = rollouts.prompt_index[rows].unique()  # (p,) of this rank
    # The order of the step, whichever rank had what: (p,) -> (P,) and (n,) -> (N,), all ranks together.
    position, by_position = all_cat(rollouts.positions[prompts], "positions of prompts").sort()
    owner, by_owner = all_cat(rollouts.positions[rollouts.prompt_index[rows]], "positions of completions").sort(
        stable=True
    )
    return TrainingBatch(
        prompt_ids=_ragged([rollouts.prompt_ids[i] for i in prompts.tolist()], by_position, torch.int64),
        completion_ids=_ragged([rollouts.completion_ids[i] for i in rows.tolist()], by_owner, torch.int64),
        rollout_logprobs=_ragged([rollouts.rollout_logprobs[i] for i in rows.tolist()], by_owner, torch.float32),
        trained=_ragged([rollouts.trained[i] for i in rows.tolist()], by_owner, torch.bool),
        prompt_index=torch.searchsorted(position, owner),  # (N,)
        advantages=all_cat(advantages[rows], "advantages")[by_owner],
        weights=all_cat(weights[rows], "weights")[by_owner],
        minibatch=all_cat(minibatch[rows], "mini-batches")[by_owner],
        temperature=rollouts.sampling.temperature,
        version=rollouts.version,
        full_precision=rollouts.full_precision,
    )


def _ragged(mine: list[Tensor], order: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The tensors of all ranks, put in order."""
    lengths = all_cat(torch.tensor([len(x) for x in mine], dtype=torch.int64), "lengths")  # (tensors of all ranks,)
    flat = torch.cat([torch.zeros(0, dtype=dtype), *mine])  # (tokens of this rank,)
    # Token ids fit into half as many bytes: a step may have many millions.
    small = {torch.int64: torch.int32, torch.bool: torch.uint8}.get(dtype, dtype)
    flat = all_cat(flat.to(small), "tokens").to(dtype)  # (tokens of all ranks,)
    parts = flat.split(lengths.tolist())
    return tuple(parts[i] for i in order.tolist())


def _weights(
    rollouts: RolloutBatch,
    minibatch: Tensor,
    num_minibatches: int,
    aggregation: Literal["token", "sequence", "constant"],
) -> Tensor:
    """Weights ``(N,)`` by counts over a completion's mini-batch on all ranks, completions without gradient included."""
    lengths = num_trained(rollouts)  # (N,)
    counts = torch.zeros((num_minibatches, 2), dtype=torch.int64)  # trained tokens and completions of each
    counts.index_add_(0, minibatch, torch.stack([lengths, (lengths > 0).long()], dim=1))
    totals = all_sum(counts, "token counts").clamp(min=1)  # (num_minibatches, 2)
    weights = torch.zeros(len(lengths), dtype=torch.float32)
    for number, (tokens, completions) in enumerate(totals.tolist()):
        rows = (minibatch == number) & (lengths > 0)  # (N,)
        weights[rows] = token_weights(lengths[rows], aggregation, tokens, completions, rollouts.sampling.max_tokens)
    return weights


def num_trained(rollouts: RolloutBatch) -> Tensor:
    """Trained tokens of each completion, shape ``(N,)``, int64."""
    lengths = torch.tensor([len(c) for c in rollouts.completion_ids], dtype=torch.int64)  # (N,)
    counts = torch.zeros_like(lengths)  # (N,)
    if len(lengths):
        counts.index_add_(0, torch.repeat_interleave(lengths), torch.cat(rollouts.trained).long())
    return counts
