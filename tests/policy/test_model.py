"""The policy against plain padded computation by the stock model with eager attention."""

import copy
import json
import logging

import pytest
import torch
from helpers.policies import (
    FAMILIES,
    SIZES,
    VOCAB,
    WIDE_HEADS,
    assert_same,
    build,
    make_masks,
    make_step,
    packed,
    padded,
    upstream,
)
from torch.nn.attention import flex_attention
from transformers import AutoModelForCausalLM

from lit_passk.errors import Refusal
from lit_passk.policy.logprobs import Chunk
from lit_passk.policy.model import CHUNKS, PACKABLE, _warn_of_padding, decoder_blocks, load_policy
from lit_passk.policy.packing import pack


def test_every_packable_type_is_compared():
    assert {config["model_type"] for config in FAMILIES.values()} == PACKABLE


@pytest.mark.parametrize("kernels", ["fast", "plain"])
@pytest.mark.parametrize("family", FAMILIES)
def test_equals_the_padded_computation(family, kernels):
    policy, model = build(FAMILIES[family], kernels=kernels)
    assert policy.packs
    step = make_step()
    assert_same(policy, model, packed(policy, step), padded(model, step))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("token_budget", [10_000, 25])
@pytest.mark.parametrize(
    ("family", "dtype", "tolerance"),
    [
        ("llama", torch.float64, 2e-6),  # transformers computes rotary embeddings in float32
        ("llama tied", torch.float64, 2e-6),
        ("gpt2", torch.float64, 1e-9),
        ("gemma2", torch.float32, 2e-5),  # in float64 the stock model's padded rows are nan
    ],
)
def test_untrained_tokens_are_context_alone(family, dtype, tolerance, token_budget, seed):
    policy, model = build(FAMILIES[family], dtype)
    step = make_step()
    masks = make_masks(step, seed)
    found = packed(policy, step, trained=masks, token_budget=token_budget)
    expected = padded(model, step, trained=masks)
    assert 4 not in found
    assert_same(policy, model, found, expected, tolerance)


@pytest.mark.seconds
@pytest.mark.parametrize("family", ["qwen2 with windows", "gemma2"])
def test_equals_it_by_flex_attention(family, monkeypatch):
    # What runs compiled on CUDA, here as its uncompiled definition. Torch has a backward pass for it on the CPU too,
    # and refuses it only for want of a kernel.
    monkeypatch.setattr("lit_passk.policy.attention.USE_FLEX", True)
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)
    policy, model = build(WIDE_HEADS[family])
    step = make_step()
    assert_same(policy, model, packed(policy, step), padded(model, step))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("compiled", [False, True], ids=["as it is", "compiled"])
@pytest.mark.parametrize("heads", [FAMILIES, WIDE_HEADS], ids=["small heads", "wide heads"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_gpu_gives_the_same(family, heads, compiled):
    policy, model = build(heads[family])
    policy.cuda()
    if compiled:
        policy.compile_blocks()
    step = make_step()
    assert_same(policy, model, packed(policy, step), padded(model, step), tolerance=1e-4)


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma2", "gpt2"])
def test_bfloat16_is_as_good_as_the_padded_one(family):
    _, exact = build(FAMILIES[family])
    policy, model = build(FAMILIES[family], dtype=torch.bfloat16)
    with torch.no_grad():  # the same weights in all three
        for a, b in zip(exact.parameters(), model.parameters(), strict=True):
            a.copy_(b)
        for a, b in zip(policy.model.parameters(), model.parameters(), strict=True):
            a.copy_(b)
    step = make_step()
    truth, found, plain = padded(exact, step), packed(policy, step), padded(model, step)

    def errors(answers):
        return torch.cat([torch.cat(answers[i]) - torch.cat(truth[i]) for i in truth])

    assert errors(found).norm() < 1.3 * errors(plain).norm()
    assert errors(found).abs().max() < 0.1
    error = {"found": 0.0, "plain": 0.0}
    for e, a, b in zip(exact.parameters(), policy.model.parameters(), model.parameters(), strict=True):
        assert a.dtype == torch.bfloat16
        error["found"] += ((a.grad - e.grad).norm() / e.grad.norm()).item()
        error["plain"] += ((b.grad - e.grad).norm() / e.grad.norm()).item()
    assert error["found"] < 1.3 * error["plain"]


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_autocast_keeps_float32_gradients(family):
    policy, model = build(FAMILIES[family])
    step = make_step()
    expected = padded(model, step)
    with torch.autocast("cpu", torch.bfloat16):
        found = packed(policy, step)
    assert_same(policy, model, found, expected, tolerance=0.06)
    assert all(p.grad.dtype == torch.float32 for p in policy.parameters())


def test_dropping_completions_without_weight_changes_no_gradient():
    step = make_step()
    keep = torch.tensor([True, False, True, True, False, False, False, True, True])
    dropped, _ = build(FAMILIES["llama"])
    full, model = build(FAMILIES["llama"])
    found = packed(dropped, step, keep=keep)
    expected = padded(model, step, rows=keep.nonzero()[:, 0].tolist())
    assert_same(dropped, model, found, expected)
    prompts, completions, group = step
    for batch in pack(prompts, completions, group, None, 40):
        weights = [[w[: len(c)] * keep[i] for w in upstream(i)] for i, c in enumerate(completions)]
        logprobs, entropy, _ = full(batch, 0.7)
        (
            logprobs * batch.gather([w[0] for w in weights]) + entropy * batch.gather([w[1] for w in weights])
        ).sum().backward()
    for a, b in zip(dropped.parameters(), full.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=2e-6 * b.grad.abs().max().item())


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
def test_checkpointed_blocks_give_the_same(family):
    policy, model = build(FAMILIES[family])
    policy.checkpoint_activations()
    step = make_step()
    assert_same(policy, model, packed(policy, step), padded(model, step))


@pytest.mark.slow  # the compiler takes a minute
def test_compiled_blocks_give_the_same():
    policy, model = build(FAMILIES["llama"])
    policy.compile_blocks()
    step = make_step()
    assert_same(policy, model, packed(policy, step), padded(model, step))


def test_head_in_chunks_gives_the_same(monkeypatch):
    policy, model = build(FAMILIES["gemma2"])
    monkeypatch.setitem(CHUNKS, "cpu", Chunk(4, 20))
    policy.max_saved_logits_mib = 0
    step = make_step()
    assert_same(policy, model, packed(policy, step), padded(model, step))


@pytest.mark.seconds
@pytest.mark.parametrize("by_flex", [False, True], ids=["by SDPA", "by FlexAttention"])
@pytest.mark.parametrize("family", ["llama", "qwen2 with windows", "gemma2", "gpt2"])
def test_empty_batch_takes_part_with_zero_gradients(family, by_flex, monkeypatch):
    monkeypatch.setattr("lit_passk.policy.attention.USE_FLEX", by_flex)
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)
    policy, _ = build(WIDE_HEADS[family])
    prompts, completions, group = make_step()
    (batch,) = pack(prompts, completions, group, torch.zeros(len(group), dtype=torch.bool), 40)
    logprobs, entropy, _ = policy(batch)
    (logprobs.sum() + entropy.sum()).backward()
    for name, parameter in policy.named_parameters():
        assert parameter.grad is not None, name
        assert not parameter.grad.any(), name


@pytest.mark.parametrize("family", ["llama", "qwen2 with windows", "gemma2", "gemma3", "gpt2"])
def test_other_callers_of_the_model_see_no_difference(family):
    policy, model = build(FAMILIES[family])
    policy.eval(), model.eval()
    ids = torch.randint(3, VOCAB, (3, 11), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, :4] = 0  # padded on the left, as in generation
    arguments = {"input_ids": ids, "attention_mask": mask, "max_new_tokens": 8, "do_sample": False, "pad_token_id": 0}
    assert policy.model.generate(**arguments).tolist() == model.generate(**arguments).tolist()
    expected, actual = (m(input_ids=ids, attention_mask=mask).logits for m in (model, policy.model))
    torch.testing.assert_close(actual[mask.bool()], expected[mask.bool()], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(policy.model(ids).logits, model(ids).logits, rtol=1e-4, atol=1e-4)


UNPACKABLE = {
    "mamba": {"model_type": "mamba", "vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "cohere, which scales its logits": {"model_type": "cohere", **SIZES, "head_dim": None, "logit_scale": 0.3},
}


@pytest.mark.parametrize("family", UNPACKABLE)
def test_model_that_cannot_be_packed_runs_in_padded_rows_with_one_warning(family, caplog):
    _warn_of_padding.cache_clear()  # another test may have had the same type
    with caplog.at_level(logging.WARNING):
        policy, model = build(UNPACKABLE[family])
        build(UNPACKABLE[family])  # a reference, say
        step = make_step()
        found = packed(policy, step)
    warnings = [r.getMessage() for r in caplog.records if r.name == "lit_passk.policy.model"]
    assert len(warnings) == 1
    assert f"{UNPACKABLE[family]['model_type']!r} are not known to be packable" in warnings[0]
    assert_same(policy, model, found, padded(model, step))
    masks = make_masks(step, 0)
    policy.zero_grad(), model.zero_grad()
    assert_same(policy, model, packed(policy, step, trained=masks), padded(model, step, trained=masks))


def test_adapters_train_alone_even_on_the_head():
    peft = pytest.importorskip("peft")
    policy, _ = build(FAMILIES["llama"])
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj", "lm_head"], init_lora_weights=False)
    model = copy.deepcopy(policy.model)
    model.set_attn_implementation("eager")
    torch.manual_seed(1)
    peft.inject_adapter_in_model(config, model)
    torch.manual_seed(1)
    peft.inject_adapter_in_model(config, policy.model)
    step = make_step()
    found, expected = packed(policy, step), padded(model, step)
    trained = {name for name, p in policy.model.named_parameters() if p.grad is not None}
    assert trained == {name for name, _ in model.named_parameters() if ".lora_" in name}
    for i in expected:
        torch.testing.assert_close(found[i], expected[i], rtol=1e-4, atol=1e-4, check_dtype=False)
    for name, parameter in policy.model.named_parameters():
        if name in trained:
            torch.testing.assert_close(parameter.grad, model.get_parameter(name).grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2"])
def test_blocks_hold_all_but_embeddings_last_norm_and_head(family):
    policy, model = build(FAMILIES[family])
    blocks = decoder_blocks(policy)
    assert len(blocks) == model.config.num_hidden_layers
    held = sum(p.numel() for block in blocks for p in block.parameters())
    outside = {n.rsplit(".", 2)[-2] for n, _ in policy.named_parameters() if ".layers." not in n and ".h." not in n}
    assert outside <= {"embed_tokens", "norm", "lm_head", "wte", "wpe", "ln_f"}
    assert held < sum(p.numel() for p in policy.parameters())


def test_model_without_blocks_is_refused():
    with pytest.raises(ValueError, match="Linear has no list of blocks"):
        decoder_blocks(torch.nn.Linear(2, 2))


def test_loaded_policy_trains_and_its_folder_stays_stock(tmp_path):
    _, model = build(FAMILIES["llama"])
    model.save_pretrained(tmp_path / "first")
    policy = load_policy(tmp_path / "first", dtype=torch.bfloat16)
    assert policy.training
    assert next(policy.parameters()).dtype == torch.bfloat16
    policy.model.save_pretrained(tmp_path / "second")
    assert "lit_passk" not in json.dumps(json.loads((tmp_path / "second" / "config.json").read_text()))
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "second")
    assert again.config._attn_implementation != policy.model.config._attn_implementation


@pytest.mark.parametrize("path", ["./nowhere", "/nowhere/at/all", "runs/maze_sft"])
def test_missing_model_is_named_with_the_way_out(path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=f"No model at '{path}'.*lit-passk sft .*--out {path}`"):
        load_policy(path)


def test_broken_folder_says_what_it_lacks(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **SIZES}))
    with pytest.raises(Refusal, match="safetensors"):
        load_policy(tmp_path)


def test_costs_are_shares_of_the_arithmetic():
    policy, _ = build(FAMILIES["llama"])
    # A token's matrices: 6 operations a weight in all three passes; a pair: 12 a channel (scores and values).
    weights = sum(p.numel() for n, p in policy.named_parameters() if ".layers." in n and p.ndim == 2)
    assert policy.token_costs.pair == pytest.approx(12 * 3 * 4 * 8 / (6 * weights))
    assert policy.token_costs.head == pytest.approx(policy.model.lm_head.weight.numel() / weights)
