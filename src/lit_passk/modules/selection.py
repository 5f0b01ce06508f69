"""All tokens of an update side by side, for policy losses that single out some of them."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.distributed import all_sum
from lit_passk.errors import Refusal
from lit_passk.losses import LossInputs, PolicyLoss
from lit_passk.modules.training_batch import TrainingBatch
from lit_passk.policy.packed_batch import PackedBatch, ragged_arange, starts


def select_tokens(
    loss: PolicyLoss,
    training: TrainingBatch,
    micro_batches: list[PackedBatch],
    logprobs: list[Tensor],
    old_logprobs: list[Tensor],
    update: int,
) -> list[Tensor]:
    """Ask a loss which tokens of an update it singles out; every rank must call this.

    Args:
        loss: The policy loss.
        training: The step's N completions of all ranks.
        micro_batches: This rank's share of the update.
        logprobs: The policy's log-probabilities of their trained tokens, ``(T,)`` each.
        old_logprobs: The same before the step's first update.
        update: Number of the update in the run.

    Returns:
        One tensor per micro-batch, shape ``(T,)``, bool, on the CPU.
    """
    mine = torch.zeros(len(training.completion_ids), dtype=torch.int64)  # (N,) trained tokens of this rank's share
    for micro in micro_batches:
        rows = torch.tensor(micro.completions, dtype=torch.int64)  # (n,)
        mine[rows] = torch.tensor(micro.trained_lengths, dtype=torch.int64)
    lengths = all_sum(mine, "lengths of an update's completions")  # (N,)
    first = starts(lengths)  # (N,)
    places = [  # (T,) each: where a token lies among those of all ranks, completion by completion
        first[micro.completion_index.cpu()] + ragged_arange(torch.tensor(micro.trained_lengths, dtype=torch.int64))
        for micro in micro_batches
    ]
    values = torch.zeros(2, int(lengths.sum()))  # (2, tokens of the update)
    for place, now, old in zip(places, logprobs, old_logprobs, strict=True):
        values[:, place] = torch.stack([now.cpu(), old.cpu()])
    values = all_sum(values, "an update's log-probabilities")  # the tokens of one completion are on one rank
    owner = torch.repeat_interleave(lengths)  # (tokens of the update,)
    chosen = loss.select(
        LossInputs(
            logprobs=values[0],
            old_logprobs=values[1],
            advantages=training.advantages[owner],
            weights=training.weights[owner],
            completion_index=owner,
            prompt_index=training.prompt_index[owner],
        ),
        update,
    )
    if chosen is None or chosen.shape != owner.shape or chosen.dtype != torch.bool:
        got = "nothing" if chosen is None else f"{chosen.dtype} of shape {tuple(chosen.shape)}"
        raise Refusal(f"{type(loss).__name__}.select must return a bool for each of {len(owner)} tokens, not {got}.")
    return [chosen[place] for place in places]
