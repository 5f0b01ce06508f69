"""What a step trains on, collected from ranks that have different shares of it."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from helpers.ranks import Ranks
from helpers.scripted import scripted_rollouts

from lit_passk.functional.packing import pack
from lit_passk.modules.training_batch import collect
from lit_passk.rollout.collate import collate_rollouts

REWARDS = [[1, 0, 0, 0], [1, 1, 0, None], [1, 1, 1, 1], [None] * 4, [1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1]]
# Which prompts each rank has, in that order; by default as the data module deals them out.
SHARES = {
    "as dealt": ([[0, 2, 4, 6], [1, 3, 5]], False),
    "other places": ([[6, 1, 2], [5, 4, 0, 3]], True),
    "an empty rank": ([[], [0, 1, 2, 3, 4, 5, 6]], True),
    "all signal on one": ([[0, 1, 4, 6], [2, 3, 5]], True),
}
AGGREGATIONS = ["token", "sequence", "constant"]
NUM_MINIBATCHES = 3
EVERY = range(len(REWARDS))


def inputs(rows=EVERY, places=False):
    """The rollouts of some prompts, advantages that name their completion, and the groups with a signal."""
    whole = scripted_rollouts(REWARDS)
    part = collate_rollouts([whole.groups[row] for row in rows], whole.sampling)
    rollouts = replace(part, places=torch.tensor(list(rows), dtype=torch.int64) if places else None)
    names = [float(len(ids) * 1000 + ids.sum()) for ids in rollouts.completion_ids]
    silent = torch.tensor([rows[g] in (2, 5) for g in rollouts.group.tolist()], dtype=torch.bool)
    return rollouts, torch.tensor(names), ~silent


def run_rank(args):
    rank = int(os.environ["LOCAL_RANK"])
    store = dist.FileStore(f"{args[0]}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    found = {
        (case, aggregation): collect(*inputs(shares[rank], places), NUM_MINIBATCHES, aggregation)
        for case, (shares, places) in SHARES.items()
        for aggregation in AGGREGATIONS
    }
    nothing = inputs([], True) if rank else inputs([5], True)
    torch.save((found, collect(*nothing)), f"{args[0]}/rank{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    Ranks([str(folder)], 2, folder, target=run_rank).succeed()
    return [torch.load(folder / f"rank{rank}.pt", weights_only=False) for rank in range(2)]


def as_lists(batch):
    return {
        name: [x.tolist() for x in value] if isinstance(value, tuple | torch.Tensor) else value
        for name, value in vars(batch).items()
    }


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_one_process_keeps_what_has_a_gradient(aggregation):
    rollouts, advantages, keep = inputs()
    batch = collect(rollouts, advantages, keep, NUM_MINIBATCHES, aggregation)
    kept = keep.nonzero()[:, 0].tolist()
    assert [ids.tolist() for ids in batch.completion_ids] == [rollouts.completion_ids[i].tolist() for i in kept]
    assert [x.tolist() for x in batch.rollout_logprobs] == [rollouts.rollout_logprobs[i].tolist() for i in kept]
    assert torch.equal(batch.advantages, advantages[keep])
    prompts = [batch.prompt_ids[g].tolist() for g in batch.group.tolist()]
    assert prompts == [rollouts.prompt_ids[rollouts.group[i]].tolist() for i in kept]
    part = [g * NUM_MINIBATCHES // len(REWARDS) for g in rollouts.group.tolist()]
    assert batch.part.tolist() == [part[i] for i in kept]
    for i, weight in zip(kept, batch.weights.tolist(), strict=True):
        together = [len(rollouts.completion_ids[j]) for j in range(len(part)) if part[j] == part[i]]
        denominator = {
            "token": sum(together),
            "sequence": len(together) * len(rollouts.completion_ids[i]),
            "constant": len(together) * rollouts.sampling.max_tokens,
        }[aggregation]
        assert weight == pytest.approx(1 / denominator)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("case", SHARES)
def test_two_ranks_have_what_one_has(two_ranks, case, aggregation):
    expected = as_lists(collect(*inputs(), NUM_MINIBATCHES, aggregation))
    for found, _ in two_ranks:
        assert as_lists(found[case, aggregation]) == expected


def test_nothing_to_train_on(two_ranks):
    for rank, (_, nothing) in enumerate(two_ranks):
        assert nothing.completion_ids == nothing.prompt_ids == ()
        (batch,) = pack(
            nothing.prompt_ids, nothing.completion_ids, nothing.group, nothing.part == 0, 10, world_size=2, rank=rank
        )
        assert batch.completions == ()


@pytest.mark.parametrize("case", SHARES)
def test_ranks_train_on_equal_shares_wherever_the_signal_was(two_ranks, case):
    shares = []
    for rank, (found, _) in enumerate(two_ranks):
        batch = found[case, "token"]
        step = batch.prompt_ids, batch.completion_ids, batch.group, None
        shares.append(pack(*step, 1000, world_size=2, rank=rank))
    sizes = [sum(len(micro.input_ids) for micro in share) for share in shares]
    assert max(sizes) < 1.1 * sum(sizes) / 2
    trained = sorted(i for share in shares for micro in share for i in micro.completions)
    assert trained == list(range(len(batch.completion_ids)))
