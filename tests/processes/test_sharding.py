"""Policies under FSDP2 on two ranks against the same policies in one process."""

from shutil import copytree

import pytest
import torch
from helpers import shard_checks
from helpers.ranks import Ranks
from helpers.tiny_policies import tiny_policy, write_policy
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from lit_passk.policy.sharding import _Weights, clip_gradients, parameters_on_meta


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
    Ranks(usable, 2, tmp_path, target=check).succeed()


def test_a_checkpoint_that_lacks_a_tensor(policies, tmp_path):
    """Loading by name must not leave a weight without values."""
    folder = copytree(policies[0], tmp_path / "lacking")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with parameters_on_meta():
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    with pytest.raises(ValueError, match=r"no tensor 'model.layers.1.mlp.up_proj.weight'.*save_pretrained"):
        _Weights(str(folder), model).fill(model, torch.float32, torch.device("cpu"))


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
