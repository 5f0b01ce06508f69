"""A step that two ranks have different shares of, and what each collects; run by tests/modules."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.distributed as dist
from helpers.scripted import scripted_rollouts

from lit_passk.losses import KLCovLoss
from lit_passk.modules.selection import select_tokens
from lit_passk.modules.training_batch import collect
from lit_passk.policy.packing import pack
from lit_passk.rollout.collate import collate_rollouts

REWARDS = [[1, 0, 0, 0], [1, 1, 0, None], [1, 1, 1, 1], [None] * 4, [1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1]]
# Which prompts each rank has, in that order; by default as the data module deals them out.
SHARES = {
    "as dealt": [[0, 2, 4, 6], [1, 3, 5]],
    "other places": [[6, 1, 2], [5, 4, 0, 3]],
    "an empty rank": [[], [0, 1, 2, 3, 4, 5, 6]],
    "all advantages on one": [[0, 1, 4, 6], [2, 3, 5]],
}
AGGREGATIONS = ["token", "sequence", "constant"]
NUM_MINIBATCHES = 3
EVERY = range(len(REWARDS))


def inputs(rows=EVERY):
    """The rollouts of some prompts, advantages that name their completion, and the groups with an advantage."""
    whole = scripted_rollouts(REWARDS)
    part = collate_rollouts([whole.groups[row] for row in rows], whole.sampling)
    rollouts = replace(part, positions=torch.tensor(list(rows), dtype=torch.int64))
    names = [float(len(ids) * 1000 + ids.sum()) for ids in rollouts.completion_ids]
    silent = torch.tensor([rows[g] in (2, 5) for g in rollouts.prompt_index.tolist()], dtype=torch.bool)
    return rollouts, torch.tensor(names), ~silent


def select(training, token_budget, **ranks):
    """What a loss singles out of a step: token ids by completion and micro-batch, for log-probs that were made up."""
    step = training.prompt_ids, training.completion_ids, training.prompt_index, None
    micro_batches = pack(*step, token_budget, **ranks)
    now = [micro.gather(training.rollout_logprobs) for micro in micro_batches]
    chosen = select_tokens(KLCovLoss(share=0.2), training, micro_batches, now, now, update=3)
    return {
        i: part.tolist()
        for micro, mask in zip(micro_batches, chosen, strict=True)
        for i, part in zip(micro.completions, micro.split(mask), strict=True)
    }


def collect_on_a_rank(args: Sequence[str]) -> None:
    """Collect every case on one of two ranks, and write what came out to the folder named."""
    rank = int(os.environ["LOCAL_RANK"])
    dist.set_debug_level(dist.DebugLevel.DETAIL)  # ranks whose collectives differ in dtype or order are refused
    store = dist.FileStore(f"{args[0]}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    found = {
        (case, aggregation): collect(*inputs(shares[rank]), NUM_MINIBATCHES, aggregation)
        for case, shares in SHARES.items()
        for aggregation in AGGREGATIONS
    }
    nothing = collect(*(inputs([]) if rank else inputs([5])))
    share = {"world_size": 2, "rank": rank}
    chosen = [select(step, 30, **share) for step in (found["as dealt", "token"], nothing)]
    torch.save((found, nothing, chosen), f"{args[0]}/rank{rank}.pt")
    dist.destroy_process_group()
