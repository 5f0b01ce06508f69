"""VLLMEngine against plain forward passes of the same model; vLLM runs for real."""

from __future__ import annotations

import os
import random
import signal
import weakref

import numpy as np
import pytest
import torch
from helpers.tiny_policies import EOS, VOCAB_SIZE, logprobs_of, tiny_policy

from lit_passk.types import Completion, Sampling

pytestmark = pytest.mark.vllm
PROMPTS = [[1, 5, 6, 7], [1, 9], [1, 33, 34, 35, 36, 37, 38]]


def sample(engine, prompts, sampling: Sampling, seeds) -> list[list[Completion]]:
    groups = dict(engine.generate(prompts, sampling, seeds))
    return [groups[index] for index in range(len(prompts))]


@pytest.fixture
def engine(vllm_engine, tied_folder: str):
    """The shared engine with the weights of `tied_folder`."""
    vllm_engine.load_weights(tiny_policy(tied=True).state_dict().items(), version=0)
    return vllm_engine


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
def test_logprobs_are_those_of_the_sampled_distribution(engine, temperature: float) -> None:
    policy = tiny_policy(tied=True)
    groups = sample(engine, PROMPTS, Sampling(n=3, max_tokens=40, temperature=temperature), [10, 20, 30])
    for prompt, group in zip(PROMPTS, groups, strict=True):
        assert len(group) == 3
        for completion in group:
            expected = logprobs_of(policy, prompt, completion.token_ids, temperature)
            torch.testing.assert_close(torch.tensor(completion.logprobs), expected, rtol=0, atol=2e-5)


def test_first_token_follows_the_policys_probabilities(engine) -> None:
    policy, n = tiny_policy(tied=True), 3000
    [group] = sample(engine, [PROMPTS[0]], Sampling(n=n, max_tokens=1, temperature=0.8), [0])
    counts = torch.bincount(torch.tensor([c.token_ids[0] for c in group]), minlength=VOCAB_SIZE).double()
    logits = policy(torch.tensor([PROMPTS[0]])).logits[0, -1].detach().double() / 0.8
    expected = torch.softmax(logits, -1) * n
    frequent = expected >= 5
    chi2 = ((counts - expected)[frequent] ** 2 / expected[frequent]).sum().item()
    freedom = int(frequent.sum())
    # Wilson-Hilferty: chi-square to a standard normal; 4 standard deviations
    z = ((chi2 / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)) ** 0.5
    assert abs(z) < 4


def test_greedy_is_the_plain_greedy_loop(engine) -> None:
    policy = tiny_policy(tied=True)
    groups = sample(engine, PROMPTS, Sampling(n=2, max_tokens=20, temperature=0.0), [0, 0, 0])
    for prompt, group in zip(PROMPTS, groups, strict=True):
        tokens: list[int] = []
        while len(tokens) < 20 and (not tokens or tokens[-1] != EOS):
            logits = policy(torch.tensor([prompt + tokens])).logits[0, -1]
            tokens.append(int(logits.argmax()))
        assert [c.token_ids for c in group] == [tokens, tokens]


def test_only_our_eos_ends_a_completion_and_it_is_kept(engine) -> None:
    [group] = sample(engine, [PROMPTS[1]], Sampling(n=200, max_tokens=60), [5])
    reasons = {c.finish_reason for c in group}
    assert reasons == {"stop", "length"}
    for completion in group:
        assert EOS not in completion.token_ids[:-1]
        assert (completion.finish_reason == "stop") == (completion.token_ids[-1] == EOS)
        assert len(completion.token_ids) == len(completion.logprobs) <= 60
        assert completion.finish_reason == "stop" or len(completion.token_ids) == 60
    # 7, 8 and 9 end a completion in the model's generation config, and top_k 3 would leave few others
    assert {7, 8, 9} <= {token for c in group for token in c.token_ids[:-1]}


def test_sample_i_uses_seed_plus_i_whatever_else_is_in_the_batch(engine) -> None:
    sampling = Sampling(n=4, max_tokens=25)
    together = sample(engine, PROMPTS, sampling, [100, 200, 300])
    alone = [sample(engine, [p], sampling, [s])[0] for p, s in zip(PROMPTS, [100, 200, 300], strict=True)]
    single = sample(engine, [PROMPTS[1]], Sampling(n=1, max_tokens=25), [202])[0]
    tokens = [[c.token_ids for c in group] for group in together]
    assert tokens == [[c.token_ids for c in group] for group in alone]
    assert tokens[1][2] == single[0].token_ids
    assert len({tuple(t) for group in tokens for t in group}) == 12  # all different


def test_process_is_left_as_it_was(engine) -> None:
    def state():
        numpy_state = np.random.get_state()[1].tolist()
        return torch.get_rng_state().tolist(), random.getstate(), numpy_state, torch.get_num_threads(), dict(os.environ)

    torch.manual_seed(3)
    before = state()
    for _ in engine.generate(PROMPTS, Sampling(n=2, max_tokens=5), [1, 2, 3]):
        assert state() == before  # also for whoever works between two groups
    assert state() == before
    assert torch.set_num_threads.__module__ is None or "vllm" not in torch.set_num_threads.__module__
    assert "LD_PRELOAD" not in os.environ


@pytest.mark.parametrize("steps", [1, 3])
def test_weights_follow_the_optimizer(engine, steps: int) -> None:
    policy = tiny_policy(tied=True)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=3e-3)
    ids = torch.tensor([PROMPTS[2]])
    for _ in range(steps):
        policy(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    stale = sample(engine, PROMPTS, Sampling(n=2, max_tokens=30), [1, 2, 3])
    engine.load_weights(policy.state_dict().items(), version=steps)
    fresh = sample(engine, PROMPTS, Sampling(n=2, max_tokens=30), [1, 2, 3])

    def worst(groups) -> float:
        return max(
            (torch.tensor(c.logprobs) - logprobs_of(policy, prompt, c.token_ids, 1.0)).abs().max().item()
            for prompt, group in zip(PROMPTS, groups, strict=True)
            for c in group
        )

    assert worst(stale) > 0.01
    assert worst(fresh) < 2e-5
    assert {c.version for group in fresh for c in group} == {steps}
    assert {c.version for group in stale for c in group} == {0}


def test_unchanged_version_is_not_loaded_again(engine) -> None:
    def untouchable():
        raise AssertionError("the tensors were read")
        yield

    engine.load_weights(untouchable(), version=0)
    with pytest.raises(AssertionError, match="were read"):
        engine.load_weights(untouchable(), version=1)
    # a load that broke off is not taken for done
    engine.load_weights(tiny_policy(tied=True).state_dict().items(), version=1)
    assert engine.version == 1


def test_ctrl_c_while_weights_load_is_not_lost(engine) -> None:
    """vLLM frees the kernels of the old weights by their destructors, in which an exception comes to nothing."""

    class InterruptedInItsDestructor:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            sum(range(1000))  # Python looks for signals between instructions

    def tensors():
        InterruptedInItsDestructor()
        yield from tiny_policy(tied=True).state_dict().items()

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            engine.load_weights(tensors(), version=1)
    finally:
        signal.signal(signal.SIGINT, handler)
    # A load that was interrupted is not taken for done.
    engine.load_weights(tiny_policy(tied=True).state_dict().items(), version=1)
    assert engine.version == 1


def test_weights_are_streamed(engine) -> None:
    """No more tensors live at once than the largest fused layer has parts, whatever the model's size."""
    alive: set[int] = set()
    peak = 0

    def stream():
        nonlocal peak
        for index, (name, tensor) in enumerate(tiny_policy(tied=True, seed=1).state_dict().items()):
            copy = tensor.clone()
            alive.add(index)
            weakref.finalize(copy, alive.discard, index)
            peak = max(peak, len(alive))
            yield name, copy
            del copy

    engine.load_weights(stream(), version=77)
    assert peak <= 8  # q, k, v with their biases, the one in hand and the one before


def test_abandoned_rollouts_leave_nothing_behind(engine) -> None:
    rollouts = engine.generate(PROMPTS * 8, Sampling(n=1, max_tokens=120), range(24))
    next(rollouts)
    with pytest.raises(RuntimeError, match="while completions are being sampled"):
        engine.load_weights([], version=9)
    rollouts.close()
    engine.load_weights(tiny_policy(tied=True).state_dict().items(), version=9)
    assert len(sample(engine, PROMPTS, Sampling(n=2, max_tokens=5), [1, 2, 3])) == 3


def test_groups_come_as_they_finish(engine) -> None:
    arrival = [index for index, _ in engine.generate(PROMPTS * 8, Sampling(n=1, max_tokens=120), range(24))]
    assert sorted(arrival) == list(range(24))
    assert arrival != sorted(arrival)


def test_a_prompt_is_never_prefilled_in_two_steps(engine) -> None:
    """More prompt tokens than one step takes: split prefills crash with seeds on CPU."""
    prompts = [[1, *([3 + i] * 150)] for i in range(60)]
    assert len(sample(engine, prompts, Sampling(n=1, max_tokens=2), range(60))) == 60


def test_completions_that_were_preempted_go_on_as_if_nothing_had_happened(engine) -> None:
    """A KV cache too small for the batch: vLLM throws running completions out and computes them again later."""
    sampling = Sampling(n=1, max_tokens=200)
    prompts, seeds = [[1, 5 + i % 80] for i in range(240)], range(240)
    crowded = [group[0].token_ids for group in sample(engine, prompts, sampling, seeds)]
    # completions that reach t tokens times the blocks of 32 tokens that each needs by then
    needed = max(sum(len(tokens) >= t for tokens in crowded) * -(-(t + 2) // 32) for t in range(1, 200))
    assert needed > 256  # more than there are
    for index in sorted(range(240), key=lambda i: len(crowded[i]))[-4:]:
        [alone] = sample(engine, [prompts[index]], sampling, [seeds[index]])
        assert alone[0].token_ids == crowded[index]


@pytest.mark.parametrize(
    ("prompts", "sampling", "seeds", "message"),
    [
        ([[1]], Sampling(n=None), [0], "sampling.n"),
        ([[1], [2]], Sampling(n=1, max_tokens=4), [0], "one seed per prompt"),
        ([[1]], Sampling(n=1, max_tokens=4), [-1], "seeds >= 0"),
        ([[1]], Sampling(n=1, max_tokens=4, temperature=2.5), [0], "temperature"),
        ([[1]], Sampling(n=1, max_tokens=4, temperature=0.001), [0], "temperature"),
        ([[1] * 200], Sampling(n=1, max_tokens=100), [0], "do not fit in 256 tokens"),
    ],
)
def test_requests_that_cannot_work_are_refused_at_once(engine, prompts, sampling, seeds, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        engine.generate(prompts, sampling, seeds)


def test_engine_that_was_not_started_says_so() -> None:
    from lit_passk.engines.vllm_engine import VLLMEngine

    engine = VLLMEngine()
    engine.close()
    engine.close()
    with pytest.raises(RuntimeError, match="start"):
        engine.generate([[1]], Sampling(n=1), [0])


def test_sleep_and_wake_change_nothing_on_cpu(engine) -> None:
    before = sample(engine, PROMPTS, Sampling(n=2, max_tokens=10), [1, 2, 3])
    engine.sleep()
    engine.wake()
    assert sample(engine, PROMPTS, Sampling(n=2, max_tokens=10), [1, 2, 3]) == before
