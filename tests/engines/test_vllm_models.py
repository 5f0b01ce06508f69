"""What is said of models that vLLM cannot run, or computes otherwise. Real ones: scripts/sweep_vllm_families.py."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lit_passk.engines.vllm_models import cannot_run, check_routers, fit_to_model, rotate_every_head
from lit_passk.errors import CannotRun

SETTINGS = {"use_grouped_topk": False, "scoring_func": "softmax", "custom_routing_function": None}


class CPURouter(SimpleNamespace):
    """Named as vLLM's."""


def mixture(bias: list[float] | None, **changes: object) -> nn.Module:
    model = nn.ModuleDict({"mlp": nn.Module()})
    values = None if bias is None else torch.tensor(bias)
    model["mlp"].router = CPURouter(**{**SETTINGS, "e_score_correction_bias": values, **changes})
    return model


def test_a_router_whose_bias_would_be_left_out_is_refused() -> None:
    with pytest.raises(CannotRun, match=r"experts of mlp without their bias .* Sample with TransformersEngine"):
        check_routers(mixture([0.0, 0.1]))


@pytest.mark.parametrize(
    ("bias", "changes"),
    [
        (None, {}),
        ([0.0, 0.0], {}),
        ([0.0, 0.1], {"use_grouped_topk": True}),
        ([0.0, 0.1], {"scoring_func": "sqrtsoftplus"}),
        ([0.0, 0.1], {"custom_routing_function": len}),
    ],
)
def test_routers_that_are_computed_as_defined_are_not(bias: list[float] | None, changes: dict[str, object]) -> None:
    check_routers(mixture(bias, **changes))


def test_on_other_devices_the_bias_is_added() -> None:
    model = nn.ModuleDict({"mlp": nn.Module()})
    model["mlp"].router = SimpleNamespace(e_score_correction_bias=torch.ones(2), **SETTINGS)
    check_routers(model)


def test_what_stops_vllm_is_told_in_its_own_words() -> None:
    pytest.importorskip("vllm", reason="vLLM is not installed")
    message = str(cannot_run(ValueError("head size 16\nis not   supported"), "/models/tiny"))
    assert "cannot run the model of '/models/tiny' here: ValueError: head size 16 is not supported." in message
    assert "TransformersEngine" in message


@dataclass
class Args:
    """The part of vLLM's ``EngineArgs`` that is read."""

    architecture: str
    has_inner_state: bool = False
    enable_chunked_prefill: bool | None = False
    enable_prefix_caching: bool | None = None

    def create_model_config(self) -> Args:
        return self


@pytest.mark.parametrize(("has_state", "caching"), [(True, False), (False, None)])
def test_prefixes_are_not_cached_where_states_would_have_to_be(has_state: bool, caching: bool | None) -> None:
    assert fit_to_model(Args("Mamba2ForCausalLM", has_state)).enable_prefix_caching is caching


def test_the_users_word_and_chunked_prefill_are_left_alone() -> None:
    for args in (Args("X", True, enable_prefix_caching=True), Args("X", True, enable_chunked_prefill=True)):
        assert fit_to_model(args) is args


@pytest.mark.parametrize("strided", [False, True])
def test_every_head_is_rotated(strided: bool) -> None:
    """Queries of LFM2, (T, H, D): the CPU kernel would rotate the first T of their T H rows."""
    pytest.importorskip("vllm", reason="vLLM is not installed")
    from lit_passk.engines.vllm_compat import on_cpu

    if not on_cpu():
        pytest.skip("a build of vLLM for the CPU is needed")
    from vllm.config import VllmConfig, set_current_vllm_config
    from vllm.model_executor.layers.rotary_embedding.base import RotaryEmbedding

    rotate_every_head()
    rotate_every_head()
    with set_current_vllm_config(VllmConfig()):
        rotary = RotaryEmbedding(32, 32, 64, 1e4, True, torch.float32)
    numbers, positions = torch.randn(5, 4 * 32, generator=torch.Generator().manual_seed(0)), torch.arange(5)
    for query, key in ((numbers[:, :64], numbers[:, 64:96]), (numbers[:, :64].view(5, 2, 32), None)):
        right = rotary.forward_native(positions, query.clone(), None if key is None else key.clone())
        copies = [x if strided or x is None else x.clone() for x in (query, key)]
        for found, expected in zip(rotary.forward_cpu(positions, *copies), right, strict=True):
            assert (found is None) == (expected is None)
            if found is not None:
                torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
