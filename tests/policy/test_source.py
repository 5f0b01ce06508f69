"""Paths, configurations and end tokens of policies as people have them."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.tiny_families import FAMILIES, tiny_model

from lit_passk.data.module import load_tokenizer
from lit_passk.errors import Refusal
from lit_passk.policy.model import load_policy
from lit_passk.policy.source import generation_settings, policy_config, resolve_policy
from lit_passk.rollout.sampler import eos_token_ids

NOISY = {
    "gpt2": {"resid_pdrop": 0.5, "embd_pdrop": 0.5, "attn_pdrop": 0.5},
    "llama": {"attention_dropout": 0.5},
    "opt": {"dropout": 0.5, "attention_dropout": 0.5, "layerdrop": 0.5},
    "bloom": {"hidden_dropout": 0.5, "attention_dropout": 0.5},
    "gpt_neox": {"hidden_dropout": 0.5, "attention_dropout": 0.5},
    "mixtral": {"attention_dropout": 0.5, "router_jitter_noise": 0.5},
}


@pytest.mark.parametrize("family", sorted(NOISY))
def test_a_policy_is_the_same_model_in_training_as_in_sampling(family, tmp_path):
    tiny_model(family, **NOISY[family]).save_pretrained(tmp_path)
    model = load_policy(tmp_path).model
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    with torch.no_grad():
        outputs = [model.train(mode)(ids, use_cache=False).logits for mode in (True, True, False)]
    assert torch.equal(outputs[0], outputs[1])
    torch.testing.assert_close(outputs[0], outputs[2])
    assert json.loads((tmp_path / "config.json").read_text())[next(iter(NOISY[family]))] == 0.5


def test_home_is_expanded_everywhere_a_policy_is_named(maze_policy, monkeypatch):
    monkeypatch.setenv("HOME", str(Path(maze_policy).parent))
    path = f"~/{Path(maze_policy).name}"
    assert resolve_policy(path) == maze_policy
    assert load_policy(path).model.config.model_type == "gpt2"
    assert load_tokenizer(path).get_vocab() == load_tokenizer(maze_policy).get_vocab()
    for missing in ("~/nowhere", "./nowhere", "/a/b/c"):
        for load in (resolve_policy, load_policy, load_tokenizer):
            with pytest.raises(Refusal, match="no such folder"):
                load(missing)
    assert resolve_policy("Qwen/Qwen2.5-0.5B") == "Qwen/Qwen2.5-0.5B"


def test_a_checkpoint_or_a_run_is_no_policy(maze_policy, tmp_path):
    checkpoints = tmp_path / "run" / "checkpoints"
    (checkpoints / "step=2.ckpt").mkdir(parents=True)
    (checkpoints / "step=1.ckpt").write_bytes(b"")
    for path in (tmp_path / "run", checkpoints / "step=1.ckpt", checkpoints / "step=2.ckpt"):
        for load in (resolve_policy, load_policy, load_tokenizer):
            with pytest.raises(Refusal, match=f"`lit-passk export --ckpt_path {path} --out FOLDER` makes one"):
                load(path)
    shutil.copytree(maze_policy, tmp_path / "run", dirs_exist_ok=True)  # a run may lie in its policy's folder
    assert resolve_policy(tmp_path / "run") == str(tmp_path / "run")
    model = shutil.copytree(maze_policy, tmp_path / "best.ckpt")  # whatever a model's folder is called
    assert resolve_policy(model) == str(model)


@pytest.mark.parametrize(
    ("generation", "config", "expected"),
    [
        (None, {"eos_token_id": [2, 4]}, [1, 2, 4]),
        ({"eos_token_id": 3}, {"eos_token_id": [2, 4]}, [1, 3]),
        ({"eos_token_id": [3, 5]}, {"eos_token_id": 2}, [1, 3, 5]),
        (None, {"eos_token_id": 2}, [1, 2]),
        (None, {"eos_token_id": None}, [1]),
        ({}, {"eos_token_id": 2}, [1]),
    ],
)
def test_end_tokens_are_those_of_generate_and_the_tokenizers(generation, config, expected, tmp_path):
    model = tiny_model("llama")
    model.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text()) | config
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "generation_config.json").unlink()
    if generation is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    assert eos_token_ids(SimpleNamespace(eos_token_id=1), str(tmp_path)) == expected
    theirs = load_policy(tmp_path).model.generation_config.eos_token_id
    assert set(expected) == {1} | ({theirs} if isinstance(theirs, int) else set(theirs or ()))


def test_end_tokens_inside_a_text_config(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "eos_token_id": [1, 106]}})
    )
    assert 106 in eos_token_ids(SimpleNamespace(eos_token_id=1), str(tmp_path))


def test_no_end_token_at_all_is_refused(tmp_path):
    tiny_model("llama").save_pretrained(tmp_path)
    (tmp_path / "generation_config.json").write_text("{}")
    with pytest.raises(Refusal, match="names an end token"):
        eos_token_ids(SimpleNamespace(eos_token_id=None), str(tmp_path))


def test_generation_settings_are_given_as_written(tmp_path):
    assert generation_settings(str(tmp_path)) is None
    (tmp_path / "generation_config.json").write_text('{"temperature": 0.9, "do_sample": false}')
    assert generation_settings(str(tmp_path)) == '{"temperature": 0.9, "do_sample": false}'


@pytest.mark.skipif("gemma4_text" not in FAMILIES, reason="this version of transformers does not have the family")
def test_sizes_that_differ_from_layer_to_layer(tmp_path):
    """Two heads of 32 numbers in one layer and of 64 in the other."""
    costs = {}
    for family in ("gemma4_text", "llama"):
        tiny_model(family).save_pretrained(tmp_path / family)
        policy = load_policy(tmp_path / family)
        numbers = sum(p.numel() for n, p in policy.model.named_parameters() if ".layers." in n and p.ndim > 1)
        costs[family] = policy.token_costs.pair * numbers
    assert costs["gemma4_text"] == pytest.approx(2 * 2 * (32 + 64))
    assert costs["llama"] == pytest.approx(2 * 2 * (32 + 32))
    assert policy_config(str(tmp_path / "gemma4_text")).per_layer_config[1].head_dim == 64


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", "[]"),
        ("tokenizer.json", '{"version": "1.0", '),
        ("tokenizer_config.json", "[]"),
        ("tokenizer_config.json", '{"eos_token": 3}'),
        ("chat_template.jinja", b"\xff\xfe"),
    ],
)
def test_a_tokenizer_whose_files_hold_something_else(maze_policy, tmp_path, name, content):
    folder = shutil.copytree(maze_policy, tmp_path / "policy")
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Refusal, match="but no tokenizer could be loaded from there: "):
        load_tokenizer(str(folder))
