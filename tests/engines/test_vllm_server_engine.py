"""VLLMServerEngine against two real `vllm serve` processes on this machine, which are stopped, killed and restarted."""

from __future__ import annotations

import signal
import time

import pytest
import torch
from helpers.servers import ServerProcess
from helpers.tiny_policies import EOS, logprobs_of, tiny_policy

from lit_passk.engines.vllm_server_engine import VLLMServerEngine
from lit_passk.rollout.background import Background
from lit_passk.types import Sampling

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]
PROMPTS = [[1, 5 + index] for index in range(12)]
SAMPLING = Sampling(n=2, max_tokens=40, temperature=0.8)
SEEDS = [100 * index for index in range(12)]


@pytest.fixture(scope="module")
def servers(tied_folder: str, tmp_path_factory: pytest.TempPathFactory):
    pytest.importorskip("vllm", reason="vLLM is not installed")
    folder = tmp_path_factory.mktemp("servers")
    processes = [ServerProcess(tied_folder, folder / f"{index}.log") for index in range(2)]
    yield processes
    for process in processes:
        if process.process.poll() is None:
            process.signal(signal.SIGCONT)
            process.kill()


@pytest.fixture
def engine(servers, tied_folder: str):
    engine = VLLMServerEngine([server.address for server in servers], request_timeout=60.0)
    engine.start(tied_folder, tiny_policy(tied=True), [EOS])
    engine.load_weights(tiny_policy(tied=True).state_dict().items(), version=0)
    yield engine
    engine.close()


def sample(engine) -> list[list[list[int]]]:
    groups = dict(engine.generate(PROMPTS, SAMPLING, SEEDS))
    return [[list(c.token_ids) for c in groups[index]] for index in range(len(PROMPTS))]


def worst_difference(engine, policy) -> float:
    groups = dict(engine.generate(PROMPTS, SAMPLING, SEEDS))
    return max(
        (torch.tensor(c.logprobs) - logprobs_of(policy, PROMPTS[index], c.token_ids, 0.8)).abs().max().item()
        for index, group in groups.items()
        for c in group
    )


def test_samples_with_the_weights_it_was_given(engine) -> None:
    assert worst_difference(engine, tiny_policy(tied=True)) < 2e-5
    policy = tiny_policy(tied=True, seed=3)
    assert worst_difference(engine, policy) > 0.1
    engine.load_weights(policy.state_dict().items(), version=1)  # tied: the head must come along
    assert worst_difference(engine, policy) < 2e-5
    groups = dict(engine.generate(PROMPTS, SAMPLING, SEEDS))
    assert {c.version for group in groups.values() for c in group} == {1}
    for group in groups.values():
        assert len(group) == 2
        for completion in group:
            assert EOS not in completion.token_ids[:-1]
            assert (completion.finish_reason == "stop") == (completion.token_ids[-1] == EOS)


def test_greedy_and_seeds_and_refusals(engine) -> None:
    assert sample(engine) == sample(engine)
    [(_, group)] = engine.generate([[1, 5]], Sampling(n=3, max_tokens=5, temperature=0.0), [0])
    assert group[0] == group[1] == group[2]
    with pytest.raises(ValueError, match="do not fit in 256 tokens"):
        engine.generate([[1] * 250], Sampling(n=1, max_tokens=40), [0])


def test_abandoned_rollouts_are_aborted(engine) -> None:
    rollouts = engine.generate(PROMPTS * 4, Sampling(n=8, max_tokens=200), range(48))
    next(rollouts)
    rollouts.close()
    engine.load_weights(tiny_policy(tied=True, seed=4).state_dict().items(), version=9)
    assert worst_difference(engine, tiny_policy(tied=True, seed=4)) < 2e-5


def test_rollouts_in_the_background_are_broken_off(engine) -> None:
    expected = sample(engine)
    rollouts = Background(lambda: dict(engine.generate(PROMPTS * 4, Sampling(n=8, max_tokens=200), range(48))))
    while not any(member.in_flight for member in engine._pool.members):
        time.sleep(0.01)
    rollouts.cancel(engine.interrupt)
    with pytest.raises(RuntimeError, match="given up"):
        rollouts.result()
    assert sample(engine) == expected


def test_a_server_that_hangs_costs_its_requests_only(engine, servers) -> None:
    expected = sample(engine)
    engine.request_timeout = 5.0
    servers[1].signal(signal.SIGSTOP)
    try:
        assert sample(engine) == expected
    finally:
        servers[1].signal(signal.SIGCONT)


def test_a_server_killed_mid_rollout_costs_its_requests_only(engine, servers) -> None:
    arguments = (PROMPTS * 4, Sampling(n=2, max_tokens=150), range(48))
    expected = dict(engine.generate(*arguments))
    rollouts = engine.generate(*arguments)
    first = next(rollouts)
    servers[1].kill()
    again = dict([first, *rollouts])
    assert again.keys() == expected.keys()
    for index, group in expected.items():  # log-probabilities depend in their last digits on what else is in a batch
        assert [c.token_ids for c in again[index]] == [c.token_ids for c in group]
        for one, other in zip(again[index], group, strict=True):
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
    assert engine._pool.members[1].failures
    engine.load_weights(tiny_policy(tied=True, seed=7).state_dict().items(), version=7)
    assert worst_difference(engine, tiny_policy(tied=True, seed=7)) < 2e-5


@pytest.mark.slow
def test_a_restarted_server_is_brought_up_to_date(servers, tied_folder: str) -> None:
    policy = tiny_policy(tied=True, seed=7)
    if servers[1].process.poll() is not None:
        servers[1].start()
    engine = VLLMServerEngine([server.address for server in servers], request_timeout=60.0)
    engine.start(tied_folder, policy, [EOS])
    servers[1].kill()
    engine.load_weights(policy.state_dict().items(), version=70)
    servers[1].start()
    member = engine._pool.members[1]
    deadline = time.monotonic() + 400
    while member.failures and time.monotonic() < deadline:
        assert worst_difference(engine, policy) < 2e-5
        time.sleep(1)
    assert not member.failures  # back at work
    servers[0].signal(signal.SIGSTOP)  # so that it has to do the work
    engine.request_timeout = 5.0
    try:
        assert worst_difference(engine, policy) < 2e-5
    finally:
        servers[0].signal(signal.SIGCONT)
        engine.close()


def test_no_server_at_all_is_an_error_with_the_command(tied_folder: str) -> None:
    engine = VLLMServerEngine(["http://127.0.0.1:9"], patience=0.1)
    with pytest.raises(RuntimeError, match="vllm serve"):
        engine.start(tied_folder, None, [EOS])
    engine.close()
    with pytest.raises(RuntimeError, match="start"):
        engine.generate([[1]], SAMPLING, [0])
