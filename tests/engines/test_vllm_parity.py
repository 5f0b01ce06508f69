"""The parity check with a real vLLM: it passes when all is well and sees every fault that is planted."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_policies import logprobs_of, tiny_policy

from lit_passk.rollout.collate import collate_rollouts
from lit_passk.rollout.parity import ParityCheck
from lit_passk.types import Problem, RolloutBatch, Sampling, Score, ScoredGroup

pytestmark = pytest.mark.vllm
# longer than one block of the KV cache, so that its prefix is cached
PROMPTS = [[1, *range(10, 80), *range(10, 80)], [1, 40, 41], [1, 50]]
TEMPERATURE = 0.9
SAMPLING = Sampling(n=2, max_tokens=20, temperature=TEMPERATURE)


@pytest.fixture
def synced(vllm_engine):
    """The engine with the weights of a policy and a warm prefix cache, and the policy after several updates of it."""
    policy = tiny_policy(tied=True)
    vllm_engine.load_weights(policy.state_dict().items(), version=1000)
    sample(vllm_engine)
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-4)
    for _ in range(4):
        ids = torch.tensor([PROMPTS[0]])
        policy(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return vllm_engine, policy, before


def sample(engine) -> RolloutBatch:
    sampled = dict(engine.generate(PROMPTS, SAMPLING, [1, 2, 3]))
    groups = [
        ScoredGroup(
            problem=Problem(id=str(index), prompt="?", answer=""),
            index=index,
            prompt_ids=prompt,
            completions=sampled[index],
            texts=["" for _ in sampled[index]],
            scores=[Score(reward=0.0, correct=False) for _ in sampled[index]],
            seed=index + 1,
        )
        for index, prompt in enumerate(PROMPTS)
    ]
    return collate_rollouts(groups, SAMPLING, version=engine.version)


def check(engine, policy, temperature: float = TEMPERATURE) -> dict[str, float]:
    rollouts = sample(engine)
    logprobs = [
        logprobs_of(policy, PROMPTS[int(prompt)], ids.tolist(), temperature)
        for prompt, ids in zip(rollouts.prompt_index, rollouts.completion_ids, strict=True)
    ]
    return ParityCheck().check(rollouts, logprobs)


def test_healthy_after_several_steps(synced) -> None:
    engine, policy, _ = synced
    engine.load_weights(policy.state_dict().items(), version=1004)
    values = check(engine, policy)
    assert 0 < values["parity/mean"] <= values["parity/worst"] <= values["parity/max"] < 1e-4


def test_weights_that_were_not_sent(synced) -> None:
    engine, policy, _ = synced
    with pytest.raises(RuntimeError, match="disagree"):
        check(engine, policy)


def test_tied_head_fed_by_named_parameters_is_not_taken_for_a_whole_update(synced) -> None:
    engine, policy, _ = synced
    with pytest.raises(RuntimeError, match=r"too few new values: lm_head.weight \(0 of"):
        engine.load_weights(policy.named_parameters(), version=1004)
    assert engine.version != 1004


def test_prefix_cache_that_was_not_dropped(synced, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, policy, _ = synced
    monkeypatch.setattr(engine._llm, "reset_prefix_cache", lambda: True)
    engine.load_weights(policy.state_dict().items(), version=1004)
    with pytest.raises(RuntimeError, match="prefix cache"):
        check(engine, policy)
    monkeypatch.undo()
    assert engine._llm.reset_prefix_cache()
    check(engine, policy)


def test_wrong_temperature(synced) -> None:
    engine, policy, _ = synced
    engine.load_weights(policy.state_dict().items(), version=1004)
    with pytest.raises(RuntimeError, match="temperature"):
        check(engine, policy, temperature=1.0)


def test_one_stale_layer(synced) -> None:
    engine, policy, before = synced
    mixed = {name: before[name] if "layers.1." in name else tensor for name, tensor in policy.state_dict().items()}
    engine.load_weights(mixed.items(), version=1004)
    with pytest.raises(RuntimeError, match="layer that was not sent"):
        check(engine, policy)


def test_one_layer_that_is_missing_is_not_taken_for_a_whole_update(synced) -> None:
    engine, policy, _ = synced
    partial = {name: tensor for name, tensor in policy.state_dict().items() if "layers.1." not in name}
    with pytest.raises(RuntimeError, match=r"too few new values: model.layers.1.self_attn.qkv_proj.bias .* and 1 more"):
        engine.load_weights(partial.items(), version=1004)
    assert engine.version != 1004
