"""Folders that hold no model to train, or not a whole one: one sentence each, and never random weights in silence."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from helpers.counting import MoreUps
from helpers.runs import write_letters
from safetensors.torch import load_file, save_file

from lit_passk.data import PromptDataModule
from lit_passk.errors import Refusal
from lit_passk.policy.model import load_policy
from lit_passk.policy.source import end_token_ids
from lit_passk.rollout.checks import check_lengths_fit
from lit_passk.types import Sampling

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("letters") / "whole"
    write_letters(folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "policy")


def configure(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def without(folder, *names):
    tensors = load_file(folder / WEIGHTS)
    save_file({k: v for k, v in tensors.items() if k not in names}, folder / WEIGHTS, metadata={"format": "pt"})


def torn(folder):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


T5 = {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}
CASES = {
    "quantised by a package that is not here": (
        lambda f: configure(f, quantization_config={"quant_method": "gptq", "bits": 4}),
        "cannot be loaded as a causal language model",
    ),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "no file named model.safetensors"),
    "no configuration": (lambda f: (f / "config.json").unlink(), "cannot be loaded as a causal language model"),
    "broken configuration": (lambda f: (f / "config.json").write_text("{"), "not a valid JSON"),
    "a configuration of nothing": (lambda f: (f / "config.json").write_text("null"), "cannot be loaded as a causal"),
    "a text for a number": (lambda f: configure(f, hidden_size="64"), "field 'hidden_size': .* expected int, got str"),
    "a number of layers below 0": (lambda f: configure(f, num_hidden_layers=-1), "has no list of blocks"),
    "no such activation": (lambda f: configure(f, hidden_act="no_such"), "cannot be loaded .*KeyError 'no_such'"),
    "half of the weights": (torn, "cannot be loaded as a causal language model"),
    "a tensor missing": (
        lambda f: without(f, "model.layers.0.mlp.up_proj.weight"),
        "lack 1 tensors of LlamaForCausalLM, model.layers.0.mlp.up_proj.weight first",
    ),
    "no output head": (lambda f: without(f, "lm_head.weight"), "lack 1 tensors of LlamaForCausalLM, lm_head.weight"),
    "other shapes": (lambda f: configure(f, intermediate_size=128), "cannot be loaded as a causal language model"),
    "encoder and decoder": (lambda f: configure(f, **T5), "no causal language model, but T5ForConditionalGeneration"),
    "classifier": (
        lambda f: configure(f, architectures=["LlamaForSequenceClassification"]),
        "no causal language model, but LlamaForSequenceClassification",
    ),
    "encoder": (
        lambda f: configure(f, model_type="bert", architectures=["BertForMaskedLM"]),
        "no causal language model, but BertForMaskedLM",
    ),
    "no text": (lambda f: configure(f, model_type="vit", architectures=["ViTModel"]), "but ViTModel"),
}


@pytest.mark.parametrize(("spoil", "message"), CASES.values(), ids=CASES)
def test_what_is_no_whole_causal_model_is_refused(folder, spoil, message):
    spoil(folder)
    with pytest.raises(Refusal, match=message):
        load_policy(folder)


def test_layers_that_the_configuration_does_not_have_are_said(folder):
    tensors = load_file(folder / WEIGHTS)
    more = {name.replace("layers.0", "layers.1"): values.clone() for name, values in tensors.items()}
    save_file(more | tensors | {"model.mtp.weight": torch.ones(2)}, folder / WEIGHTS, metadata={"format": "pt"})
    with pytest.warns(
        UserWarning, match=rf"hold {len(more.keys() - tensors.keys())} tensors more .*, model\.layers\.1"
    ):
        load_policy(folder)


@pytest.mark.parametrize("text", ["{,", "[]", '{"eos_token_id": "E"}', "\xff"])
def test_a_broken_generation_config_is_no_missing_one(folder, text):
    """Its end tokens may be more than the configuration's."""
    assert end_token_ids(str(folder))
    (folder / "generation_config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(Refusal, match=r"cannot be loaded as a causal language model: |has 'E' as `eos_token_id`"):
        end_token_ids(str(folder))
    (folder / "generation_config.json").unlink()
    assert end_token_ids(str(folder))


def test_one_matrix_for_both_embeddings_lacks_nothing(tmp_path):
    write_letters(tmp_path / "tied", tied=True)
    assert "lm_head.weight" not in load_file(tmp_path / "tied" / WEIGHTS)
    load_policy(tmp_path / "tied")


def resize(folder, rows):
    tensors = load_file(folder / WEIGHTS)
    vocab = len(tensors["lm_head.weight"])
    for name, values in tensors.items():
        if len(values) == vocab:
            tensors[name] = torch.cat([values, torch.zeros(max(0, rows - vocab), values.shape[1])])[:rows].clone()
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    configure(folder, vocab_size=rows)


def test_tokens_that_the_model_does_not_embed(folder):
    """A tokenizer may have more tokens than the model, as long as no prompt holds one of them."""
    data = PromptDataModule(str(folder), train=MoreUps(num_problems=7), prompts_per_step=2)
    data.setup("fit")
    largest, sampling = data.largest_token("train"), Sampling(max_tokens=4)
    configure(folder, vocab_size=largest + 1)
    assert len(data.tokenizer) > largest + 1
    check_lengths_fit(data, str(folder), sampling, sampling)
    configure(folder, vocab_size=largest)
    with pytest.raises(
        Refusal, match=rf"11 tokens and the model embeds {largest}: a prompt of 'train' holds '\w' \(id"
    ):
        check_lengths_fit(data, str(folder), sampling, sampling)


@pytest.mark.parametrize("rows", [8, 32])
def test_a_model_with_more_or_fewer_rows_than_tokens_loads(folder, rows):
    resize(folder, rows)
    assert load_policy(folder).model.get_input_embeddings().num_embeddings == rows
