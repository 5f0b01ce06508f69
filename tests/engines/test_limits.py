"""How long a text may be where a model scales its rotary positions, and where vLLM would scale them otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from helpers.tiny_families import tiny_model
from transformers import AutoConfig

from lit_passk.engines.limits import check_fits, position_limit
from lit_passk.engines.transformers_engine import TransformersEngine
from lit_passk.engines.vllm_models import check_positions
from lit_passk.errors import CannotRun, Refusal
from lit_passk.types import Sampling

THETA = {"rope_theta": 10000.0}
FACTORS = {"short_factor": [1.0 + 0.1 * i for i in range(16)], "long_factor": [2.0 + 0.5 * i for i in range(16)]}
LONG = {"rope_type": "longrope", "original_max_position_embeddings": 32, **FACTORS, **THETA}
ALIKE = LONG | {"short_factor": LONG["long_factor"]}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, **THETA}
DYNAMIC = {"rope_type": "dynamic", "factor": 4.0, **THETA}


def config(rope: dict[str, Any], family: str = "llama") -> Any:
    more = {"original_max_position_embeddings": 32} if rope["rope_type"] == "longrope" else {}
    sizes = {"hidden_size": 64, "num_attention_heads": 2, "max_position_embeddings": 64}
    return AutoConfig.for_model(family, **sizes, rope_parameters=rope, **more)


@pytest.mark.parametrize(("rope", "limit"), [(YARN, 256), (DYNAMIC, 64), ({"rope_type": "default", **THETA}, 64)])
def test_only_yarn_reaches_past_the_positions(rope, limit):
    assert position_limit(config(rope)) == limit
    check_fits(limit - 8, Sampling(max_tokens=8), config(rope))
    with pytest.raises(Refusal, match=f"do not fit in {limit} tokens"):
        check_fits(limit - 7, Sampling(max_tokens=8), config(rope))


@pytest.mark.skipif(transformers.__version__.startswith("5.4."), reason="transformers 5.4 cannot build the model")
def test_settings_of_each_type_of_layer_are_seen():
    layers = {"full_attention": YARN, "sliding_attention": {"rope_type": "default", **THETA}}
    assert position_limit(config({"rope_type": "default", **THETA})) == 64
    nested = AutoConfig.for_model("gemma3_text", max_position_embeddings=64, rope_parameters=layers)
    assert position_limit(nested) == 256


def test_a_text_does_not_change_its_positions_while_it_is_sampled():
    """Up to the original length, or where both lengths have the same factors."""
    check_fits(24, Sampling(max_tokens=8), config(LONG, "phi3"))
    check_fits(50, Sampling(max_tokens=8), config(ALIKE, "phi3"))
    with pytest.raises(Refusal, match=r"may pass the 32 tokens .*phi3, LongRoPE.*`short_factor` in config.json"):
        check_fits(25, Sampling(max_tokens=8), config(LONG, "phi3"))


@pytest.mark.parametrize("rope", [LONG, ALIKE])
def test_the_embedded_engine_samples_from_one_model(rope):
    """What ``LONG`` would do past its original length: other log-probabilities than a pass over the whole text."""
    model = tiny_model("phi3", rope_parameters=rope, original_max_position_embeddings=32)
    engine = TransformersEngine()
    engine.start("", model, [2])
    engine.load_weights([], version=1)
    prompt, sampling = [1, *range(5, 30)], Sampling(n=1, max_tokens=20)
    if rope is LONG:
        with pytest.raises(Refusal, match="LongRoPE"):
            engine.generate([prompt], sampling, [0])
        return
    [(_, [completion])] = engine.generate([prompt], sampling, [0])
    ids = torch.tensor([prompt + list(completion.token_ids)])
    with torch.no_grad():
        logits = model(ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
    expected = logits.log_softmax(-1).gather(1, ids[0, len(prompt) :, None])[:, 0]
    torch.testing.assert_close(torch.tensor(completion.logprobs), expected, atol=5e-5, rtol=0)


def test_vllm_takes_one_set_of_factors_for_all_lengths():
    check_positions(config(LONG, "phi3"), max_model_len=32)
    check_positions(config(ALIKE, "phi3"), max_model_len=64)
    with pytest.raises(CannotRun, match=r"`max_model_len` 64 .*Set `rollout.engine.max_model_len` to 32 at most"):
        check_positions(config(LONG, "phi3"), max_model_len=64)
