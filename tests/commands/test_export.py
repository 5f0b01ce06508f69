"""What `lit-passk export` makes of checkpoints and policies as people have them, without a run."""

import json

import pytest
import torch
from helpers.tiny_families import tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from lit_passk.commands.export import export
from lit_passk.errors import Refusal
from lit_passk.policy.lora import LoRA, add_adapter, is_adapter
from lit_passk.policy.sharding import full_tensors


@pytest.fixture
def policy(maze_policy, tmp_path):
    """A folder with a tokenizer."""
    tiny_model("llama").save_pretrained(tmp_path / "policy")
    AutoTokenizer.from_pretrained(maze_policy).save_pretrained(tmp_path / "policy")
    return tmp_path / "policy"


def checkpoint(path, policy, state, lora=None):
    record = {"policy": str(policy), "lora": lora, "dtype": "float32", "metrics": {}, "rl_step": 1, "config": ""}
    torch.save(record | {"state_dict": {f"policy.model.{k}": v for k, v in state.items()}}, path)
    return path


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.9, "top_p": 0.6, "do_sample": False, "eos_token_id": 2},
        {"max_length": 4096, "num_beams": 1, "early_stopping": True},
        {"do_sample": True, "temperature": 0.6, "eos_token_id": [2, 4]},
        None,
    ],
)
def test_a_generation_config_of_any_kind_costs_no_result(settings, policy, tmp_path):
    if settings is None:
        (policy / "generation_config.json").unlink()
    else:
        (policy / "generation_config.json").write_text(json.dumps(settings))
    state = AutoModelForCausalLM.from_pretrained(policy).state_dict()
    trained = {name: tensor + 1 for name, tensor in state.items()}
    export(checkpoint(tmp_path / "a.ckpt", policy, trained), tmp_path / "out")
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert all(torch.equal(exported.state_dict()[name], tensor) for name, tensor in trained.items())
    if settings is not None:
        assert json.loads((tmp_path / "out" / "generation_config.json").read_text()) == settings


def test_settings_of_generation_in_the_models_own_config(policy, tmp_path):
    config = json.loads((policy / "config.json").read_text())
    (policy / "config.json").write_text(json.dumps(config | {"temperature": 0.9, "do_sample": False}))
    (policy / "generation_config.json").unlink()
    state = AutoModelForCausalLM.from_pretrained(policy).state_dict()
    export(checkpoint(tmp_path / "a.ckpt", policy, state), tmp_path / "out")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").generation_config.eos_token_id == 2


def adapted(lora, family="llama"):
    model = tiny_model(family)
    add_adapter(model, lora)
    for name, parameter in model.named_parameters():
        if is_adapter(name):
            torch.nn.init.normal_(parameter, std=0.1)
    return model, {name: tensor for name, tensor in model.state_dict().items() if is_adapter(name)}


def test_adapters_of_another_policy_are_refused(policy, tmp_path):
    pytest.importorskip("peft")
    _, state = adapted(LoRA(rank=2))
    lora = {"rank": 2, "alpha": 32, "target_modules": "all-linear"}
    renamed = {name.replace(".layers.", ".blocks."): tensor for name, tensor in state.items()}
    with pytest.raises(Refusal, match=r"adapters do not fit.*model.blocks.0.*--policy"):
        export(checkpoint(tmp_path / "a.ckpt", policy, renamed, lora), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("targets", [["q_proj"], r"model\.layers\.1\.self_attn\.(q|v)_proj"])
def test_an_adapter_names_the_layers_that_it_is_of(targets, policy, tmp_path):
    peft = pytest.importorskip("peft")
    model, state = adapted(LoRA(rank=2, target_modules=targets))
    lora = {"rank": 2, "alpha": 32, "target_modules": targets}
    ckpt = checkpoint(tmp_path / "a.ckpt", policy, state, lora)
    export(ckpt, tmp_path / "out", adapter=True)
    loaded = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(policy), str(tmp_path / "out"))
    theirs = {name for name, _ in loaded.named_parameters() if is_adapter(name)}
    assert {name.removeprefix("base_model.model.") for name in theirs} == set(state)
    merged = loaded.merge_and_unload().state_dict()
    expected = dict(full_tensors(model))
    assert all(torch.allclose(merged[name], tensor, atol=1e-6) for name, tensor in expected.items())


def test_adapters_beside_stacked_experts_are_merged(policy, tmp_path):
    pytest.importorskip("peft")
    tiny_model("qwen3_moe").save_pretrained(policy)
    model, state = adapted(LoRA(rank=2), "qwen3_moe")
    lora = {"rank": 2, "alpha": 32, "target_modules": "all-linear"}
    ckpt = checkpoint(tmp_path / "a.ckpt", policy, state, lora)
    export(ckpt, tmp_path / "out")
    exported, prompt = AutoModelForCausalLM.from_pretrained(tmp_path / "out"), torch.arange(3, 9)[None]
    torch.testing.assert_close(exported(prompt).logits, model(prompt).logits, rtol=1e-4, atol=1e-4)
    assert (exported(prompt).logits - tiny_model("qwen3_moe")(prompt).logits).abs().max() > 0.1
    if any("experts" in name for name in state):  # older versions of peft pass them over
        with pytest.raises(Refusal, match=r"`--adapter` cannot write .*layers\.0\.mlp\.experts.*Leave `--adapter` out"):
            export(ckpt, tmp_path / "adapter", adapter=True)


def test_the_policy_that_a_run_started_from_is_not_written_over(policy, tmp_path):
    state = AutoModelForCausalLM.from_pretrained(policy).state_dict()
    path = checkpoint(tmp_path / "a.ckpt", policy, {name: values + 1 for name, values in state.items()})
    (tmp_path / "link").symlink_to(policy)
    for out in (policy, tmp_path / "link"):
        with pytest.raises(Refusal, match=r"^`--out` .* is the policy that the run started from, which would be lost"):
            export(path, out)
    for _ in range(2):  # that of another model is
        export(path, tmp_path / "out")
    assert torch.equal(
        AutoModelForCausalLM.from_pretrained(policy).state_dict()["lm_head.weight"], state["lm_head.weight"]
    )
