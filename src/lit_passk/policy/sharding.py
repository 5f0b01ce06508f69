"""FSDP2: build a policy shard by shard, synchronise and clip its gradients, gather its tensors.

Decoder blocks are one unit each; ``CausalPolicy`` is the root, which owns what is left (embeddings, last norm, head,
blocks that share weights with others).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from lit_passk.distributed import named
from lit_passk.errors import Refusal
from lit_passk.policy.checkpoint_reader import CheckpointReader
from lit_passk.policy.lora import (
    ADAPTER,
    LoRA,
    adapted_layers,
    adapter_of,
    add_adapter,
    base_name,
    initial_adapter,
    is_adapter,
    merged_weight,
)
from lit_passk.policy.model import CausalPolicy, decoder_blocks, load_policy, without_noise
from lit_passk.policy.source import policy_config, resolve_policy


def load_sharded_policy(
    path: str,
    mesh: DeviceMesh,
    dtype: torch.dtype = torch.float32,
    compute_dtype: torch.dtype | None = None,
    lora: LoRA | None = None,
) -> CausalPolicy:
    """Load a policy so that no rank ever holds more than its shards and one block.

    Gradients are reduced in float32 whatever the dtypes.

    Args:
        path: Local folder in Hugging Face format with safetensors, or hub id.
        mesh: The data-parallel ranks, one-dimensional.
        dtype: Parameters' dtype.
        compute_dtype: What parameters are gathered and multiplied in; None is ``dtype``.
        lora: Adapters to add; the rest is then frozen.

    Raises:
        ValueError: If the checkpoint lacks a weight of the model.
    """
    path = resolve_policy(path)
    config = policy_config(path)
    reader = CheckpointReader(path, config, dtype)
    with parameters_on_meta():
        model = without_noise(AutoModelForCausalLM.from_config(config, dtype=dtype))
        if lora is not None:
            add_adapter(model, lora)
    policy = CausalPolicy(model).train()
    device = torch.device("cuda", torch.cuda.current_device()) if mesh.device_type == "cuda" else torch.device("cpu")
    precision = MixedPrecisionPolicy(param_dtype=compute_dtype, reduce_dtype=torch.float32)
    weights = _Weights(reader, model)
    for unit in [*_blocks_with_own_weights(model), policy]:
        weights.fill(unit, device)
        fully_shard(unit, mesh=mesh, mp_policy=precision)
    vars(model)["_weight_conversions"] = reader.conversions  # as `from_pretrained` leaves them
    return policy


def load_on_ranks(
    path: str,
    mesh: DeviceMesh | None,
    dtype: torch.dtype,
    compute_dtype: torch.dtype | None = None,
    lora: LoRA | None = None,
) -> CausalPolicy:
    """Load a policy sharded over the mesh of ``ModelParallelStrategy``, or whole where there is none."""
    if mesh is not None:
        return load_sharded_policy(path, mesh["data_parallel"], dtype, compute_dtype, lora)
    policy = load_policy(path, dtype)
    if lora is not None:
        add_adapter(policy.model, lora)
        for name, parameter in policy.model.named_parameters():
            if is_adapter(name):
                parameter.data.copy_(initial_adapter(name, parameter.shape))
    return policy


def _blocks_with_own_weights(model: PreTrainedModel) -> list[nn.Module]:
    """The decoder blocks without those of which a part is another one's too (Zamba): FSDP2 has a weight in one unit."""
    blocks = decoder_blocks(model)
    uses = Counter(id(parameter) for block in blocks for parameter in block.parameters())
    return [block for block in blocks if all(uses[id(parameter)] == 1 for parameter in block.parameters())]


class _Weights:
    """Puts a checkpoint's tensors into a model whose parameters have no values yet, module by module."""

    def __init__(self, reader: CheckpointReader, model: PreTrainedModel) -> None:
        self.reader = reader
        self.model = model
        self.names: dict[int, list[str]] = {}  # a tied parameter has several
        self.homes: dict[str, tuple[nn.Module, str]] = {}
        for module_name, module in model.named_modules():
            for short, parameter in module.named_parameters(recurse=False):
                name = f"{module_name}.{short}" if module_name else short
                self.homes[name] = module, short
                self.names.setdefault(id(parameter), []).append(name)
        self.buffers = {id(buffer): name for name, buffer in model.named_buffers()}

    def fill(self, unit: nn.Module, device: torch.device) -> None:
        """Give values to the parameters of ``unit`` that have none, and to its buffers that the checkpoint holds."""
        parameters = [p for p in unit.parameters() if p.device.type == "meta"]
        wanted = [base_name(n) for p in parameters for n in self.names[id(p)] if not is_adapter(n)]
        buffers = {self.buffers[id(buffer)]: buffer for buffer in unit.buffers() if id(buffer) in self.buffers}
        values = self.reader.read([*wanted, *buffers])
        for parameter in parameters:
            names = self.names[id(parameter)]
            if is_adapter(names[0]):
                filled = initial_adapter(names[0], parameter.shape)
            else:
                filled = self._one_of(values, [base_name(name) for name in names]).to(parameter.dtype)
            filled = nn.Parameter(filled.to(device), requires_grad=parameter.requires_grad)
            for module, short in (self.homes[name] for name in names):
                setattr(module, short, filled)
        for name in buffers.keys() & values.keys():
            buffers[name].copy_(values[name])

    def _one_of(self, values: dict[str, Tensor], names: list[str]) -> Tensor:
        for name in names:
            if name in values:
                return values[name]
        raise Refusal(
            f"{self.reader.path!r} has no tensor that {type(self.model).__name__} would load as {names[0]!r}. The "
            "folder's config.json and its weights do not belong together."
        )


@contextmanager
def parameters_on_meta() -> Iterator[None]:
    """Parameters made inside have a shape and no values, while buffers (rotary frequencies) are real."""
    register = nn.Module.register_parameter

    def register_on_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None and parameter.device.type != "meta":
            parameter = nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)
        register(module, name, parameter)

    nn.Module.register_parameter = register_on_meta  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]


def full_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A policy's state under Hugging Face names, one whole tensor at a time, adapters merged into their layers.

    Every rank of a sharded policy must exhaust it: gathering a tensor is a collective.
    """
    layers = adapted_layers(model)
    for name, tensor in model.state_dict().items():
        if is_adapter(name):
            continue
        layer = adapter_of(layers, name)
        with named(f"the gathering of {name}"):
            values = whole(tensor)
            if layer is not None:
                matrices = (whole(m[ADAPTER].weight.detach()) for m in (layer.lora_A, layer.lora_B))
                values = merged_weight(layer, values, *matrices)
        yield base_name(name), values


def whole(tensor: Tensor) -> Tensor:
    """Gather a sharded tensor; a collective."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@contextmanager
def gradient_sync(policy: nn.Module, strategy: Any, now: bool) -> Iterator[None]:
    """Context: all-reduce the gradients of this backward pass (``now``), or accumulate them locally."""
    if isinstance(policy, FSDPModule):
        policy.set_requires_gradient_sync(now)
        yield
    elif not now and hasattr(strategy, "block_backward_sync"):
        with strategy.block_backward_sync():
            yield
    else:
        yield


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
    """Scale gradients down to a norm taken over all of them, on whatever rank a shard of them lies.

    Args:
        parameters: The trained parameters, all sharded over the same ranks or none of them sharded; those without a
            gradient are passed over.
        max_norm: Largest norm left as it is; 0 scales nothing.

    Returns:
        The norm before, a scalar, float32, the same on every rank.
    """
    trained = [p for p in parameters if p.grad is not None]
    if not trained:
        return torch.zeros(())
    # `get_total_norm` would round the norm of bfloat16 gradients to bfloat16.
    norms = [torch.linalg.vector_norm(p.grad, dtype=torch.float32) for p in trained]
    with named("the norm of the gradients"):
        norm = whole(torch.linalg.vector_norm(torch.stack(norms)))
    if max_norm > 0:
        nn.utils.clip_grads_with_norm_(trained, max_norm, norm)
    return norm
