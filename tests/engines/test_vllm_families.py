"""vLLM takes every weight of models whose layers transformers keeps in another form than vLLM and the files do."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_families import change_weights, tiny_model
from helpers.tiny_policies import EOS, logprobs_of
from transformers import AutoModelForCausalLM

from lit_passk.errors import CannotRun
from lit_passk.rollout.parity import QUANTIZED_TOLERANCE
from lit_passk.types import Sampling

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]
PROMPTS = [[1, 5, 6, 7], [1, 9]]


def worst_difference(engine, policy) -> float:
    groups = dict(engine.generate(PROMPTS, Sampling(n=3, max_tokens=20), [10, 20]))
    return max(
        (torch.tensor(c.logprobs) - logprobs_of(policy, PROMPTS[p], list(c.token_ids), 1.0)).abs().max().item()
        for p, group in groups.items()
        for c in group
    )


@pytest.mark.parametrize("family", ["qwen3_moe", "mixtral", "olmoe"])
def test_experts_follow_the_policy(family: str, tmp_path) -> None:
    pytest.importorskip("vllm", reason="vLLM is not installed")
    from lit_passk.engines.vllm_engine import VLLMEngine

    tiny_model(family).save_pretrained(tmp_path)
    policy = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    engine = VLLMEngine(kv_cache_gib=2**-6, max_model_len=128)
    try:
        engine.start(str(tmp_path), policy, [EOS])
        assert worst_difference(engine, policy) < 2e-5
        change_weights(policy)
        assert worst_difference(engine, policy) > 0.05  # the old weights
        for version in (1, 2):
            engine.load_weights(policy.state_dict().items(), version)
            assert worst_difference(engine, policy) < 2e-5
            change_weights(policy, seed=version + 1)
        without = {name: tensor for name, tensor in policy.state_dict().items() if "1.mlp.experts.down" not in name}
        with pytest.raises(RuntimeError, match=r"too few new values: model\.layers\.1\..*w2_weight \(0 of"):
            engine.load_weights(without.items(), version=3)
    finally:
        engine.close()


def test_experts_in_eight_bits_follow_the_policy(tmp_path) -> None:
    pytest.importorskip("vllm", reason="vLLM is not installed")
    from lit_passk.engines.vllm_engine import VLLMEngine

    policy = tiny_model("mixtral")
    policy.save_pretrained(tmp_path)
    args = {"quantization": "int8_per_channel_weight_only"}
    engine = VLLMEngine(dtype="bfloat16", kv_cache_gib=2**-6, max_model_len=128, engine_args=args)
    if not torch.cpu._is_amx_tile_supported():  # vLLM's only kernel for experts in 8 bits on x86
        with pytest.raises(CannotRun, match="No Int8 MoE backend supports"):
            engine.start(str(tmp_path), policy, [EOS])
        return
    try:
        engine.start(str(tmp_path), policy, [EOS])
        assert engine.quantized
        assert 1e-4 < worst_difference(engine, policy) < QUANTIZED_TOLERANCE
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        assert worst_difference(engine, policy) > 2 * QUANTIZED_TOLERANCE  # the old weights
        engine.load_weights(policy.state_dict().items(), version=1)
        assert worst_difference(engine, policy) < QUANTIZED_TOLERANCE
    finally:
        engine.close()


def test_experts_that_vllm_would_choose_without_their_bias_are_refused_before_a_token_is_sampled(tmp_path) -> None:
    pytest.importorskip("vllm", reason="vLLM is not installed")
    from lit_passk.engines.vllm_engine import VLLMEngine

    policy = tiny_model("ernie4_5_moe")
    [bias] = [parameter for name, parameter in policy.named_parameters() if "correction_bias" in name]
    with torch.no_grad():
        bias.zero_()
    policy.save_pretrained(tmp_path)
    engine = VLLMEngine(kv_cache_gib=2**-6, max_model_len=128)
    try:
        engine.start(str(tmp_path), policy, [EOS])
        assert worst_difference(engine, policy) < 2e-5
        with torch.no_grad():
            bias.copy_(torch.tensor([[0.1, -0.2, 0.05, 0.3]]))
        with pytest.raises(CannotRun, match=r"Ernie4_5_MoeForCausalLM .* without their bias"):
            engine.load_weights(policy.state_dict().items(), version=1)
    finally:
        engine.close()
    policy.save_pretrained(tmp_path)
    with pytest.raises(CannotRun, match=r"Ernie4_5_MoeForCausalLM .* without their bias"):
        VLLMEngine(kv_cache_gib=2**-6, max_model_len=128).start(str(tmp_path), policy, [EOS])
    assert not torch.distributed.is_initialized()
