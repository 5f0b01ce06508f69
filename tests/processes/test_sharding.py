"""Policies under FSDP2 on two ranks against the same policies in one process."""

from shutil import copytree

import pytest
import torch
from helpers import shard_checks
from helpers.ranks import Ranks
from helpers.tiny_families import FAMILIES, tiny_model
from helpers.tiny_policies import tiny_policy, write_policy
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from lit_passk.errors import Refusal
from lit_passk.policy.checkpoint_reader import CheckpointReader
from lit_passk.policy.sharding import _Weights, clip_gradients, parameters_on_meta
from lit_passk.policy.source import policy_config


@pytest.fixture(scope="module")
def policies(tmp_path_factory, maze_policy):
    """Separate and tied embeddings, and a GPT-2, which stores its weights transposed."""
    folder = tmp_path_factory.mktemp("policies")
    return [*(write_policy(tiny_policy(tied), folder / f"tied-{tied}") for tied in (False, True)), maze_policy]


CHECKS = [
    shard_checks.whole_tensors_and_memory,
    shard_checks.gradients_and_clipping,
    shard_checks.lower_precision,
    shard_checks.adapters,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_on_two_ranks(check, policies, tmp_path):
    usable = policies[:2] if check is shard_checks.lower_precision else policies
    if check is shard_checks.adapters:  # peft nests an adapter of each stacked tensor of experts in the other's
        tiny_model("qwen3_moe").save_pretrained(tmp_path / "qwen3_moe")
        usable = [*policies, str(tmp_path / "qwen3_moe")]
    Ranks(usable, 2, tmp_path, target=check).succeed()


def test_families_of_other_names_on_two_ranks(tmp_path):
    """Experts that lie one by one in the files, persistent buffers, a checkpoint of the base model alone."""
    folders = []
    for family in sorted({"qwen3_moe", "mixtral", "olmoe", "glm4_moe", "gemma4_text", "qwen3_next"} & FAMILIES.keys()):
        tiny_model(family).save_pretrained(tmp_path / family)
        folders.append(str(tmp_path / family))
    tiny_model("llama", tie_word_embeddings=True).model.save_pretrained(tmp_path / "base")
    AutoConfig.for_model("llama", **FAMILIES["llama"], tie_word_embeddings=True).save_pretrained(tmp_path / "base")
    Ranks([*folders, str(tmp_path / "base")], 2, tmp_path, target=shard_checks.same_as_loaded_whole).succeed()


def _filled(folder):
    config = policy_config(str(folder))
    with parameters_on_meta():
        model = AutoModelForCausalLM.from_config(config)
    _Weights(CheckpointReader(str(folder), config, torch.float32), model).fill(model, torch.device("cpu"))


def test_a_checkpoint_that_lacks_a_tensor(policies, tmp_path):
    """Loading by name must not leave a weight without values."""
    folder = copytree(policies[0], tmp_path / "lacking")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Refusal, match=r"no tensor that LlamaForCausalLM would load as 'model.layers.1.mlp.up_proj"):
        _filled(folder)


def test_a_checkpoint_of_another_shape(policies, tmp_path):
    folder = copytree(policies[0], tmp_path / "other")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = torch.ones(3)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Refusal, match=r"'model.norm.weight' of .* has shape \(3,\), but .* says \(64,\)"):
        _filled(folder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e9])
def test_clipping_against_a_norm_in_float64(dtype, max_norm):
    """The norm of bfloat16 gradients is not rounded to bfloat16; what has no gradient is passed over."""
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(torch.zeros(size, dtype=dtype)) for size in (3000, 7, 1)]
    for parameter in parameters[:2]:
        parameter.grad = torch.randn(parameter.shape, generator=generator).to(dtype)
    before = [p.grad.double() for p in parameters[:2]]
    expected = torch.cat(before).square().sum().sqrt()
    norm = clip_gradients(parameters, max_norm)
    assert norm.dtype == torch.float32
    torch.testing.assert_close(norm.double(), expected, rtol=1e-5, atol=0)
    factor = min(1.0, max_norm / float(expected)) if max_norm else 1.0
    for parameter, gradient in zip(parameters, before, strict=False):
        tolerance = 1e-2 if dtype == torch.bfloat16 else 1e-5
        torch.testing.assert_close(parameter.grad.double(), gradient * factor, rtol=tolerance, atol=0)
    assert parameters[2].grad is None
