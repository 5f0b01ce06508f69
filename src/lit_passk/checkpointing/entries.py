"""Of what the entries of a checkpoint are: checked when it is read, before anything computes with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lit_passk.errors import Refusal

_TYPES: dict[str, Any] = {
    **dict.fromkeys(("rl_step", "epoch", "global_step"), int),
    **dict.fromkeys(("state_dict", "loops", "callbacks", "metrics"), dict),
    **dict.fromkeys(("optimizer_states", "lr_schedulers", "optimizers", "random_states", "advantage"), list | tuple),
    **dict.fromkeys(("policy", "dtype", "config"), str),
    "lora": dict | None,
    "policy_weights": str | None,
    "pytorch-lightning_version": str,
}
"""Of what types the entries are, where a checkpoint has them."""


def check_entries(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Refuse entries of other types than a run writes, and weights that are more than their numbers.

    Raises:
        Refusal: With the file and the entry.
    """
    for name, kind in _TYPES.items():
        if name in checkpoint and not isinstance(checkpoint[name], kind):
            raise _foreign(path, f"its {name} is of type {type(checkpoint[name]).__name__}")
    for name, (fits, needed) in _CONTENTS.items():
        if name in checkpoint and not fits(checkpoint[name]):
            raise _foreign(path, f"its {name} is not {needed}")
    for name, values in checkpoint.get("state_dict", {}).items():
        if not isinstance(name, str) or not isinstance(values, Tensor):
            raise _foreign(path, f"its weight {name!r} is no tensor")
        if not _is_plain(values):
            raise _foreign(path, f"its weight {name!r} is no tensor of real numbers that are all in the file")


def _foreign(path: Path, why: str) -> Refusal:
    return Refusal(f"{str(path)!r} is no checkpoint that a run wrote: {why}.")


def _is_plain(values: Tensor) -> bool:
    """Whether a tensor holds a real number for each of its places: none is stretched over more than the file has."""
    if values.layout != torch.strided or values.is_meta or values.is_quantized or values.is_complex():
        return False
    return values.numel() * values.element_size() <= values.untyped_storage().nbytes()


def _is_count(value: Any) -> bool:
    return not isinstance(value, bool) and 0 <= value < 2**63


def _is_dtype(name: str) -> bool:
    return isinstance(getattr(torch, name, None), torch.dtype)


def _are_adapters(lora: Mapping[Any, Any] | None) -> bool:
    if lora is None:
        return True
    layers = lora.get("target_modules")
    names = _are_texts(layers) if isinstance(layers, list) else isinstance(layers, str)
    return names and len(lora) == 3 and all(isinstance(lora.get(name), int) for name in ("rank", "alpha"))


def _are_metrics(values: Mapping[Any, Any]) -> bool:
    return all(isinstance(name, str) and isinstance(value, int | float) for name, value in values.items())


def _have_names(values: Mapping[Any, Any]) -> bool:
    return all(isinstance(name, str) for name in values)


def _are_mappings(values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _are_texts(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _are_strategies(values: Any) -> bool:
    return _are_mappings(values) and all({"class", "state"} <= value.keys() for value in values)


def _are_optimizers(states: Any) -> bool:
    """Whether each is what ``torch.optim.Optimizer.state_dict`` returns, as far as torch itself defines it."""
    return _are_mappings(states) and all(_is_optimizer(state) for state in states)


def _is_optimizer(state: Mapping[str, Any]) -> bool:
    of_parameters, groups = state.get("state"), state.get("param_groups")
    return (
        isinstance(of_parameters, Mapping)
        and _are_mappings(of_parameters.values())
        and isinstance(groups, list)
        and bool(groups)
        and _are_mappings(groups)
        and all(isinstance(group.get("params"), list) for group in groups)
        and all(isinstance(group.get("lr", 0.0), float | int | Tensor) for group in groups)
        and not any(isinstance(value, str) for one in of_parameters.values() for value in one.values())
    )


_CONTENTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("rl_step", "epoch", "global_step"), (_is_count, "a count")),
    **dict.fromkeys(("lr_schedulers", "random_states"), (_are_mappings, "a list of states")),
    "optimizer_states": (_are_optimizers, "a list of states of optimizers"),
    "optimizers": (_are_texts, "a list of names"),
    "advantage": (_are_strategies, "a list of strategies and their states"),
    "loops": (lambda loops: _have_names(loops) and _are_mappings(loops.values()), "states of loops by their names"),
    "callbacks": (_have_names, "states of callbacks by their names"),
    "metrics": (_are_metrics, "numbers by their names"),
    "lora": (_are_adapters, "rank, alpha and target_modules of adapters"),
    "dtype": (_is_dtype, "a data type of torch"),
}
"""What the entries hold, as far as it is the same for every run."""
