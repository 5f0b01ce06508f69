"""Names and shapes of tensors on their way into a checkpoint, against what `save_pretrained` writes."""

import pytest
import torch
from helpers.tiny_families import FAMILIES, tiny_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from lit_passk.policy.checkpoint_names import CheckpointNames
from lit_passk.policy.lora import LoRA, add_adapter
from lit_passk.policy.sharding import full_tensors

FUSED = ["qwen3_moe", "mixtral", "olmoe"]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_they_are_those_that_save_pretrained_writes(family: str, tmp_path) -> None:
    model = tiny_model(family)
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    for policy in (model, AutoModelForCausalLM.from_pretrained(tmp_path)):
        names = CheckpointNames(policy)
        tensors = dict(names.translate(policy.state_dict().items()))
        assert tensors.keys() - names.tied.keys() == saved.keys() - names.tied.keys()
        assert all(torch.equal(tensors[name], saved[name]) for name in saved)
        assert all(torch.equal(tensors[name], tensors[first]) for name, first in names.tied.items())


@pytest.mark.parametrize("family", FUSED)
def test_adapters_change_no_name(family: str) -> None:
    model = tiny_model(family)
    expected = dict(CheckpointNames(model).translate(model.state_dict().items()))
    pytest.importorskip("peft")
    add_adapter(model, LoRA(rank=2, target_modules=["q_proj"]))
    tensors = dict(CheckpointNames(model).translate(full_tensors(model)))
    assert tensors.keys() == expected.keys()


def test_one_block_is_held_at_a_time() -> None:
    model = tiny_model("qwen3_moe", num_hidden_layers=4)
    read, written = [], []

    def stream():
        for name, tensor in model.state_dict().items():
            read.append(name)
            yield name, tensor

    for name, _ in CheckpointNames(model).translate(stream()):
        written.append(name)
        if name.startswith("model.layers.0.mlp.experts.0."):
            assert not any(r.startswith("model.layers.2.") for r in read)
    assert len(written) == len(model.state_dict()) + 4 * (3 * 4 - 2)  # two tensors per block become three an expert


def test_names_that_stay_are_passed_on_at_once() -> None:
    model = tiny_model("llama")
    state = model.state_dict()
    tensors = CheckpointNames(model).translate(iter(state.items()))
    assert all(next(tensors) == (name, tensor) for name, tensor in state.items())
