"""How a step is cut: by prompts into mini-batches, by tokens into micro-batches, alike on every rank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from lit_passk.distributed import all_max, all_sum, rank, world_size
from lit_passk.functional.packing import PackedBatch, pack
from lit_passk.functional.policy_loss import token_weights
from lit_passk.types import RolloutBatch


def minibatches(rollouts: RolloutBatch, num_minibatches: int) -> Iterator[Tensor]:
    """Cut the prompts of all ranks into equal parts by their place in the step; every rank must call this.

    Args:
        rollouts: This rank's completions.
        num_minibatches: Parts, one optimizer step each.

    Yields:
        Masks over this rank's completions, shape ``(N,)``, bool; they do not depend on the number of ranks.
    """
    num_prompts = len(rollouts.prompt_ids)
    total = int(all_sum(torch.tensor(num_prompts), "the number of prompts"))
    places = rollouts.places
    if places is None:  # prompt i of a step lies on rank i modulo the number of ranks
        places = torch.arange(num_prompts) * world_size() + rank()
    part = (places * num_minibatches // max(1, total)).clamp(max=num_minibatches - 1)
    for number in range(num_minibatches):
        yield part[rollouts.group] == number


def micro_batches(rollouts: RolloutBatch, keep: Tensor, token_budget: int) -> list[PackedBatch]:
    """Pack completions: at least one micro-batch, and as many on every rank; every rank must call this.

    Args:
        rollouts: This rank's completions.
        keep: Which of them, shape ``(N,)``, bool.
        token_budget: Most tokens of one micro-batch.
    """

    def cut(num_batches: int) -> list[PackedBatch]:
        return pack(rollouts.prompt_ids, rollouts.completion_ids, rollouts.group, keep, token_budget, num_batches)

    found = cut(1)
    most = int(all_max(torch.tensor(len(found)), "micro-batch counts"))
    return found if most == len(found) else cut(most)


def weights_of_tokens(
    rollouts: RolloutBatch, rows: Tensor, aggregation: Literal["token", "sequence", "constant"]
) -> Tensor:
    """Weigh each token of a completion by counts over all ranks, dropped completions too; every rank must call this.

    Args:
        rollouts: This rank's completions.
        rows: Which of them one optimizer step is about, shape ``(N,)``, bool.
        aggregation: See ``PassKRLModule``.

    Returns:
        Shape ``(N,)``.
    """
    lengths = torch.tensor([len(c) for c in rollouts.completion_ids], dtype=torch.int64)
    total_tokens, total = all_sum(torch.stack([lengths[rows].sum(), rows.sum()]), "token counts").tolist()
    return token_weights(
        lengths,
        aggregation,
        total_tokens=max(total_tokens, 1),
        total_completions=max(total, 1),
        max_tokens=rollouts.sampling.max_tokens,
    )
