"""The embedded engine against one forward pass a completion, for models that keep other things than keys and values."""

import copy

import pytest
import torch
from helpers.tiny_families import FAMILIES, tiny_model

from lit_passk.engines.decoding import keeps_only_keys_and_values
from lit_passk.engines.transformers_engine import TransformersEngine
from lit_passk.types import Sampling

PROMPTS = [[5, 6, 7], [9, 8, 7, 6, 5, *range(10, 22)], [4]]  # one longer than a sliding window and a chunk
SEEDS = [0, 100, 200]
STATES = {
    "mamba",
    "mamba2",
    "recurrent_gemma",
    "qwen3_next",
    "qwen3_5_text",
    "bamba",
    "falcon_h1",
    "lfm2",
    "rwkv",
}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_logprobs_equal_a_forward_pass_of_a_completion_alone(family):
    model = tiny_model(family)
    engine = TransformersEngine()
    engine.start("", model, [2])
    engine.load_weights([], version=1)
    for p, group in engine.generate(PROMPTS, Sampling(n=3, max_tokens=24), SEEDS):
        for completion in group:
            ids = torch.tensor([PROMPTS[p] + list(completion.token_ids)])
            with torch.no_grad():
                logits = copy.deepcopy(model)(ids, use_cache=False).logits[0, len(PROMPTS[p]) - 1 : -1].double()
            expected = logits.log_softmax(-1).gather(1, ids[0, len(PROMPTS[p]) :, None])[:, 0]
            torch.testing.assert_close(torch.tensor(completion.logprobs).double(), expected, atol=5e-5, rtol=0)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_only_models_with_a_state_are_computed_afresh(family):
    if family == "recurrent_gemma" and not type(tiny_model(family))._is_stateful:
        pytest.skip("this version of transformers does not say so; it shows when a layer leaves its cache empty")
    assert keeps_only_keys_and_values(tiny_model(family)) == (family not in STATES)


@pytest.mark.parametrize("family", ["recurrent_gemma", "qwen3_next", "gemma3_text"])
def test_a_completion_depends_on_its_own_seed_alone(family):
    model = tiny_model(family)
    engine = TransformersEngine()
    engine.start("", model, [2])
    engine.load_weights([], version=1)
    groups = dict(engine.generate(PROMPTS, Sampling(n=3, max_tokens=24), SEEDS))
    for p, prompt in enumerate(PROMPTS):
        [(_, alone)] = engine.generate([prompt], Sampling(n=1, max_tokens=24), [SEEDS[p] + 2])
        assert alone[0].token_ids == groups[p][2].token_ids
