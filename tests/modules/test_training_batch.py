"""What a step trains on, collected from ranks that have different shares of it."""

from __future__ import annotations

import pytest
import torch
from helpers.ranks import Ranks
from helpers.shares import AGGREGATIONS, NUM_MINIBATCHES, REWARDS, SHARES, collect_on_a_rank, inputs, select

from lit_passk.modules.training_batch import collect
from lit_passk.policy.packing import pack

pytestmark = pytest.mark.seconds


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    Ranks([str(folder)], 2, folder, target=collect_on_a_rank).succeed()
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
    prompts = [batch.prompt_ids[g].tolist() for g in batch.prompt_index.tolist()]
    assert prompts == [rollouts.prompt_ids[rollouts.prompt_index[i]].tolist() for i in kept]
    part = [g * NUM_MINIBATCHES // len(REWARDS) for g in rollouts.prompt_index.tolist()]
    assert batch.minibatch.tolist() == [part[i] for i in kept]
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
    for found, *_ in two_ranks:
        assert as_lists(found[case, aggregation]) == expected


def test_nothing_to_train_on(two_ranks):
    for rank, (_, nothing, _) in enumerate(two_ranks):
        assert nothing.completion_ids == nothing.prompt_ids == ()
        (batch,) = pack(
            nothing.prompt_ids,
            nothing.completion_ids,
            nothing.prompt_index,
            nothing.minibatch == 0,
            10,
            world_size=2,
            rank=rank,
        )
        assert batch.completions == ()


@pytest.mark.parametrize("case", SHARES)
def test_ranks_train_on_equal_shares_wherever_the_signal_was(two_ranks, case):
    shares = []
    for rank, (found, *_) in enumerate(two_ranks):
        batch = found[case, "token"]
        step = batch.prompt_ids, batch.completion_ids, batch.prompt_index, None
        shares.append(pack(*step, 1000, world_size=2, rank=rank))
    sizes = [sum(len(micro.input_ids) for micro in share) for share in shares]
    assert max(sizes) < 1.1 * sum(sizes) / 2
    trained = sorted(i for share in shares for micro in share for i in micro.completions)
    assert trained == list(range(len(batch.completion_ids)))


def test_a_loss_singles_out_the_same_tokens_of_one_rank_and_of_two_in_any_micro_batches(two_ranks):
    training = collect(*inputs(), NUM_MINIBATCHES, "token")
    logprobs, advantages = (
        torch.cat(training.rollout_logprobs),
        torch.repeat_interleave(training.advantages, torch.tensor([len(x) for x in training.rollout_logprobs])),
    )
    covariance = (logprobs - logprobs.double().mean()) * (advantages - advantages.double().mean())
    expected = torch.zeros(len(logprobs), dtype=torch.bool)
    expected[covariance.argsort(descending=True)[: len(logprobs) // 5]] = True
    parts = expected.split([len(x) for x in training.rollout_logprobs])
    for token_budget in (30, 10_000):
        assert select(training, token_budget) == {i: part.tolist() for i, part in enumerate(parts)}
    (first, nothing), (second, _) = (chosen for _, _, chosen in two_ranks)
    assert not first.keys() & second.keys()
    assert min(len(first), len(second)) > 0
    assert first | second == {i: part.tolist() for i, part in enumerate(parts)}
    assert nothing == {}
