"""A pytest plugin that makes this machine round like another one: `PYTHONPATH=tests pytest -p helpers.other_cpu`.

CPUs differ in the last bit of what is not exactly defined: exponentials, logarithms, and sums (in their order). Here
about half the results of such operations move to the next float, always the same way for the same value, as one other
machine would have it. Results with few binary digits stay: 1/2 is 1/2 everywhere. A test that fails under this plugin
and not without it compares floats by their last bit.
"""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

TORCH = {
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "pow", "rsqrt", "sin", "cos", "tanh", "erf"),
    *("sigmoid", "silu", "gelu", "softplus", "logit", "lgamma", "digamma", "logsumexp", "logcumsumexp"),
    *("sum", "nansum", "mean", "var", "std", "var_mean", "cumsum", "prod", "cumprod", "linalg_vector_norm"),
    *("dot", "mv", "mm", "bmm", "addmm", "addmv", "baddbmm", "_scaled_dot_product_flash_attention_for_cpu"),
    *("_softmax", "_log_softmax", "native_layer_norm", "_softmax_backward_data", "_log_softmax_backward_data"),
    *("gelu_backward", "silu_backward", "native_layer_norm_backward"),
}
MATH = {"exp", "expm1", "log", "log1p", "log2", "log10", "lgamma", "sin", "cos", "tanh", "erf", "pow"}
NUMPY = {"exp", "expm1", "log", "log1p", "log2", "log10", "sum", "mean", "std", "cumsum", "prod", "dot", "sin", "cos"}
INTEGERS = {torch.float32: (torch.int32, 12), torch.float64: (torch.int64, 29)}


def nudge(values: torch.Tensor) -> torch.Tensor:
    """Move about half of the values to the next float away from 0; any shape, float32 or float64, as a new tensor."""
    integer, short = INTEGERS[values.dtype]
    bits = values.view(integer)
    moves = ((bits >> 1) ^ (bits >> 3) ^ (bits >> 6)) & 1  # the value alone decides
    exact = (bits & ((1 << short) - 1)) == 0
    return (bits + moves.masked_fill(exact | ~values.isfinite(), 0)).view(values.dtype)


class OtherRounding(TorchDispatchMode):
    """Moves the results of torch's inexact operations."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__.removesuffix("_") not in TORCH:
            return result
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if type(tensor) is torch.Tensor and tensor.dtype in INTEGERS and tensor.device.type == "cpu":
                tensor.copy_(nudge(tensor))
        return result


class Rounding:
    """A stand-in for ``math`` or ``numpy`` whose functions of these names round otherwise."""

    def __init__(self, module: types.ModuleType, names: set[str]) -> None:
        self.module = module
        self.names = names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.module, name)
        return self._rounded(found) if name in self.names else found

    def _rounded(self, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if not isinstance(result, (float, np.ndarray)) or getattr(result, "dtype", np.float64) != np.float64:
                return result
            moved = nudge(torch.tensor(result, dtype=torch.float64)).numpy()
            return moved if isinstance(result, np.ndarray) else type(result)(moved)

        return call


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about bit-equality with another process, which rounds as usual."""
    left_out = [item for item in items if item.get_closest_marker("bit_equal")]
    items[:] = [item for item in items if not item.get_closest_marker("bit_equal")]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Run every test, its fixtures included, under the other rounding."""
    stand_ins = {math: Rounding(math, MATH), np: Rounding(np, NUMPY)}
    changed = []
    for module in [m for name, m in sys.modules.items() if name.split(".")[0] == "lit_passk"]:
        for name, value in list(vars(module).items()):
            if isinstance(value, types.ModuleType) and value in stand_ins:
                setattr(module, name, stand_ins[value])
                changed.append((module, name, value))
    try:
        with OtherRounding():
            return (yield)
    finally:
        for module, name, value in changed:
            setattr(module, name, value)
