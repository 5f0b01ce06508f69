"""What one RL step trains on: the completions of all ranks that have a gradient, on every rank.

Which prompts carry signal is luck, so ranks that trained on their own would wait for the one that has most. Token ids
are small beside activations: every rank gets all, and takes its share of the micro-batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lit_passk.distributed import all_cat, all_sum, rank, world_size
from lit_passk.functional.policy_loss import token_weights
from lit_passk.types import RolloutBatch


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingBatch:
    """N completions of P prompts over all ranks, the same on each; prompts in the order of their places in the step."""

    prompt_ids: tuple[Tensor, ...]
    """P tensors of prompt tokens, int64."""
    completion_ids: tuple[Tensor, ...]
    """N tensors of sampled tokens, int64, none empty."""
    rollout_logprobs: tuple[Tensor, ...]
    """N tensors, the engine's log-probability of each sampled token, float32."""
    group: Tensor
    """Which prompt a completion answers, shape ``(N,)``, int64, ascending."""
    advantages: Tensor
    """Shape ``(N,)``, float32."""
    weights: Tensor
    """Weight of each token of a completion in the loss, shape ``(N,)``, float32: see ``token_weights``."""
    part: Tensor
    """Which mini-batch a completion belongs to, shape ``(N,)``, int64; does not depend on the number of ranks."""
    temperature: float
    """At which they were sampled."""
    exact: bool
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
        num_minibatches: Equal parts that the prompts of all ranks are cut into, by their places in the step.
        aggregation: See ``PassKRLModule``.
    """
    num_prompts = len(rollouts.prompt_ids)
    places = rollouts.places
    if places is None:  # prompt i of a step lies on rank i modulo the number of ranks
        places = torch.arange(num_prompts) * world_size() + rank()
    total = int(all_sum(torch.tensor(num_prompts), "the number of prompts"))
    part = (places * num_minibatches // max(1, total)).clamp(max=num_minibatches - 1)[rollouts.group]
    weights = _weights(rollouts, part, num_minibatches, aggregation)
    rows = keep.nonzero()[:, 0]
    prompts = rollouts.group[rows].unique()
    # The order of the step, whichever rank had what.
    place, by_place = all_cat(places[prompts], "places of prompts").sort()
    owner, by_owner = all_cat(places[rollouts.group[rows]], "places of completions").sort(stable=True)
    return TrainingBatch(
        prompt_ids=_ragged([rollouts.prompt_ids[i] for i in prompts.tolist()], by_place, torch.int64),
        completion_ids=_ragged([rollouts.completion_ids[i] for i in rows.tolist()], by_owner, torch.int64),
        rollout_logprobs=_ragged([rollouts.rollout_logprobs[i] for i in rows.tolist()], by_owner, torch.float32),
        group=torch.searchsorted(place, owner),
        advantages=all_cat(advantages[rows], "advantages")[by_owner],
        weights=all_cat(weights[rows], "weights")[by_owner],
        part=all_cat(part[rows], "mini-batches")[by_owner],
        temperature=rollouts.sampling.temperature,
        exact=rollouts.exact,
    )


def _ragged(mine: list[Tensor], order: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The tensors of all ranks, put in order."""
    lengths = all_cat(torch.tensor([len(x) for x in mine], dtype=torch.int64), "lengths")
    flat = torch.cat([torch.zeros(0, dtype=dtype), *mine])
    # Token ids fit into half as many bytes: a step may have many millions.
    flat = all_cat(flat if flat.is_floating_point() else flat.int(), "tokens").to(dtype)
    parts = flat.split(lengths.tolist())
    return tuple(parts[i] for i in order.tolist())


def _weights(
    rollouts: RolloutBatch,
    part: Tensor,
    num_minibatches: int,
    aggregation: Literal["token", "sequence", "constant"],
) -> Tensor:
    """Weights ``(N,)`` by counts over a completion's mini-batch on all ranks, completions without gradient included."""
    lengths = torch.tensor([len(c) for c in rollouts.completion_ids], dtype=torch.int64)
    counts = torch.zeros((num_minibatches, 2), dtype=torch.int64)
    counts.index_add_(0, part, torch.stack([lengths, torch.ones_like(lengths)], dim=1))
    totals = all_sum(counts, "token counts").clamp(min=1)
    weights = torch.zeros(len(lengths), dtype=torch.float32)
    for number, (tokens, completions) in enumerate(totals.tolist()):
        rows = part == number
        weights[rows] = token_weights(lengths[rows], aggregation, tokens, completions, rollouts.sampling.max_tokens)
    return weights
