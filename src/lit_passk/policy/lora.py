"""Low-rank adapters (arXiv 2106.09685) by ``peft``: added, switched off for the reference, merged for an engine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lit_passk.errors import CannotRun, Refusal
from lit_passk.functional.random import derive_seed

if TYPE_CHECKING:
    from peft import LoraConfig

ADAPTER = "default"


@dataclass(frozen=True, kw_only=True)
class LoRA:
    """Train a product of two thin matrices beside each chosen linear layer, and nothing else.

    Args:
        rank: Inner size of the product.
        alpha: The product is scaled by ``alpha / rank``.
        target_modules: Names of the layers (``q_proj``, ...), or ``all-linear`` for all but the head.
    """

    rank: int = 16
    alpha: int = 32
    target_modules: list[str] | str = "all-linear"

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0:
            raise Refusal(f"LoRA needs rank >= 1 and alpha > 0, but got {self.rank} and {self.alpha}.")


def add_adapter(model: PreTrainedModel, lora: LoRA) -> None:
    """Freeze a model and put adapters beside its layers, in float32 whatever the model's dtype.

    Raises:
        CannotRun: If ``peft`` is not installed.
        Refusal: If it finds no such layers, or puts an adapter beside one whose weight is that of another one too.
    """
    try:
        from peft import inject_adapter_in_model
    except ImportError as error:
        raise CannotRun("`model.lora` needs peft. Run `pip install 'lit-passk[lora]'`.") from error
    try:
        config = peft_config(lora, model.config.model_type, exclude_modules=_routers(model) or None)
        inject_adapter_in_model(config, model, adapter_name=ADAPTER)
    except ValueError as error:
        raise Refusal(
            f"peft adds no adapters to {type(model).__name__} with target_modules {lora.target_modules!r}: {error} "
            "Name the layers to adapt in `model.lora.target_modules`."
        ) from error
    _check_not_shared(model, lora)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_adapter(name))
        if is_adapter(name):
            parameter.data = parameter.data.float()


def _routers(model: PreTrainedModel) -> list[str]:
    """Linear layers that choose experts and return more than their product (Llama 4's): no adapter adds to that."""
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and type(module).__name__.endswith("Router")
    ]


def _check_not_shared(model: PreTrainedModel, lora: LoRA) -> None:
    """A change of one weight that stands in two places (Zamba's layers, a tied head) cannot be merged into it."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    for layer in adapted_layers(model).values():
        shared = [base_name(name) for parameter in layer.get_base_layer().parameters() for name in names[id(parameter)]]
        if len(shared) > len(list(layer.get_base_layer().parameters())):
            raise Refusal(
                f"The weight {shared[0]!r} of {type(model).__name__} is {shared[1]!r} too, so an adapter beside one of "
                f"them (target_modules {lora.target_modules!r}) could not be merged for an engine or an export. Name "
                "layers with weights of their own in `model.lora.target_modules`."
            )


def peft_config(lora: LoRA, model_type: str, **kwargs: Any) -> LoraConfig:
    """The same in ``peft``'s terms."""
    from peft import LoraConfig

    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=lora.target_modules,
        fan_in_fan_out=model_type == "gpt2",  # its layers store their weights transposed
        **kwargs,
    )


def is_adapter(name: str) -> bool:
    """Whether a parameter's name is an adapter's."""
    return ".lora_A." in name or ".lora_B." in name


def base_name(name: str) -> str:
    """A parameter's name before adapters were added, one or, beside stacked experts, one in the other."""
    return ".".join(part for part in name.split(".") if part != "base_layer")


def initial_adapter(name: str, shape: torch.Size) -> Tensor:
    """Initial A and B, equal on all ranks; B = 0, so the adapter starts as a no-op.

    Args:
        name: The parameter's name, which with the process's seed decides the values.
        shape: The parameter's shape.
    """
    if ".lora_B." in name:
        return torch.zeros(shape)
    generator = torch.Generator().manual_seed(derive_seed(torch.initial_seed(), name))
    return torch.empty(shape).uniform_(-1, 1, generator=generator) / math.sqrt(shape[1])


def adapted_layers(model: nn.Module) -> dict[str, Any]:
    """The layers that have an adapter, by name."""
    try:
        from peft.tuners.lora import LoraLayer
    except ImportError:
        return {}
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


@contextmanager
def adapter_off(model: nn.Module) -> Iterator[None]:
    """The model as it was before adapters were added: the reference of the KL penalty."""
    layers = adapted_layers(model).values()
    for layer in layers:
        layer._disable_adapters = True  # its public switch also changes what is trained
    try:
        yield
    finally:
        for layer in layers:
            layer._disable_adapters = False


def adapter_of(layers: dict[str, Any], name: str) -> Any:
    """The layer that adapts a tensor, None where none does.

    Args:
        layers: ``adapted_layers`` of the model.
        name: The tensor's name in the model.
    """
    owner, _, short = name.rpartition(".")
    while owner.endswith(".base_layer"):
        owner = owner.removesuffix(".base_layer")
        if getattr(layers[owner], "parameter_name", "weight") == short:
            return layers[owner]
    return None


def merged_weight(layer: Any, base: Tensor, lora_a: Tensor, lora_b: Tensor) -> Tensor:
    """A layer's weight with its adapter added, in the base's dtype.

    Args:
        layer: The adapted layer.
        base: Whole base weight, shape ``(out, in)``, or of E stacked experts ``(E, out, in)``.
        lora_a: Whole first matrix, shape ``(rank, in)``, or ``(E rank, in)``.
        lora_b: Whole second matrix, shape ``(out, rank)``, or ``(out, rank E)``.
    """
    experts = len(base) if base.ndim == 3 else 1
    a = lora_a.float().unflatten(0, (experts, -1))  # (E, rank, in)
    b = lora_b.float().unflatten(1, (-1, experts))  # (out, rank, E)
    change = torch.einsum("ore,eri->eoi", b, a) * layer.scaling[ADAPTER]
    if layer.fan_in_fan_out or (base.ndim == 3 and getattr(layer.get_base_layer(), "is_transposed", False)):
        change = change.mT
    return (base.float() + change.reshape(base.shape)).to(base.dtype)
