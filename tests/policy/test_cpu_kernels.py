"""Private operators of torch are used as long as they are what they were, else attention goes under masks."""

import logging
from types import SimpleNamespace

import pytest
import torch
from helpers.policies import FAMILIES, assert_same, build, make_step, packed, padded

from lit_passk.policy import cpu_kernels
from lit_passk.policy.cpu_kernels import NAME, kernels_usable

REAL = {name: getattr(torch.ops.aten, name) for name in (NAME, f"{NAME}_backward")}


@pytest.fixture(autouse=True)
def unchecked():
    """Every test checks anew, and the next file does too."""
    kernels_usable.cache_clear()
    yield
    kernels_usable.cache_clear()


class Operator:
    """An operator of another torch: with the arguments of the real one, and some other results."""

    def __init__(self, name, change, default=None):
        self.real, self.change = REAL[name], change
        self.default = default or REAL[name].default

    def __call__(self, *args, **kwargs):
        return self.change(self.real(*args, **kwargs))


def other_arguments(name):
    names = [SimpleNamespace(name=n) for n in ("query", "key", "value", "mask")]
    return Operator(name, lambda out: out, SimpleNamespace(_schema=SimpleNamespace(arguments=names)))


def fails(out):
    raise RuntimeError("expected four arguments")


TORCHES = {
    "gone": ({}, "there is no"),
    "no backward kernel": ({NAME: REAL[NAME]}, f"there is no {NAME}_backward"),
    "other arguments": ({NAME: other_arguments(NAME)}, "takes query, key, value, mask"),
    "other arguments backward": (
        {NAME: REAL[NAME], f"{NAME}_backward": other_arguments(f"{NAME}_backward")},
        f"{NAME}_backward takes query, key, value, mask",
    ),
    "log-sum-exp to base 2": (
        {**REAL, NAME: Operator(NAME, lambda out: (out[0], out[1] / torch.log(torch.tensor(2.0))))},
        "gives other numbers",
    ),
    "log-sum-exp in another layout": (
        {**REAL, NAME: Operator(NAME, lambda out: (out[0], out[1][..., None]))},
        "gives other numbers",
    ),
    "gradients swapped": (
        {**REAL, f"{NAME}_backward": Operator(f"{NAME}_backward", lambda out: (out[0], out[2], out[1]))},
        "gives other numbers",
    ),
    "fails": ({**REAL, NAME: Operator(NAME, fails)}, "fails: expected four arguments"),
}


@pytest.mark.parametrize("case", TORCHES)
def test_another_torch_goes_under_masks_with_one_warning(case, monkeypatch, caplog):
    operators, message = TORCHES[case]
    monkeypatch.setattr(cpu_kernels, "aten", SimpleNamespace(**operators))
    policy, model = build(FAMILIES["llama"])
    step = make_step()
    with caplog.at_level(logging.WARNING):
        found = packed(policy, step)  # several layers and micro-batches
    warnings = [r.getMessage() for r in caplog.records if r.name == cpu_kernels.__name__]
    assert len(warnings) == 1
    assert message in warnings[0]
    assert f"torch {torch.__version__}" in warnings[0]
    assert_same(policy, model, found, padded(model, step))


def test_this_torch_has_them(caplog):
    with caplog.at_level(logging.WARNING):
        assert kernels_usable()
    assert not caplog.records


def test_the_check_leaves_the_random_numbers_alone():
    before = torch.get_rng_state()
    kernels_usable()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)])
def test_the_check_passes_wherever_it_is_first_made(mode):
    with mode():
        assert kernels_usable()
