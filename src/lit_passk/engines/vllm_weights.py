"""New weights for vLLM's model, every one of them accounted for.

A model in vLLM drops a tensor whose name it does not know without a word, and goes on sampling with the old weight
where none came. Both are errors here, whatever the model: what its loaders copied is counted, parameter by parameter.
Like ``vllm_compat.py``, this depends on the version of vLLM and was run with 0.32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lit_passk.engines.interrupts import interrupts_held
from lit_passk.engines.vllm_models import cannot_run, check_routers
from lit_passk.errors import CannotRun

if TYPE_CHECKING:
    from vllm import LLMEngine

    from lit_passk.policy.checkpoint_names import CheckpointNames

SHOWN = 6
"""Names in an error message."""


@torch.no_grad()
def reload_weights(
    engine: LLMEngine, named_tensors: Iterable[tuple[str, Tensor]], names: CheckpointNames, look_closely: bool
) -> None:
    """Stream the policy's tensors into the engine's model.

    Args:
        engine: vLLM's engine, in this process.
        named_tensors: The items of the policy's ``state_dict()``.
        names: Of the policy's tensors in a checkpoint, which vLLM reads.
        look_closely: Whether to follow every tensor that is sent, which costs a little time, and not only what every
            parameter got.

    Raises:
        CannotRun: If a tensor of the policy was not used or a parameter of vLLM's model got no new values.
    """
    [model] = engine.apply_model(lambda model: model)
    _pack_experts_again(model)
    account = _Account(model, names.tied, look_closely)
    kwargs = {"weights_iterator": account.sent(names.translate(named_tensors)), "is_checkpoint_format": True}
    with account.kept(), interrupts_held():  # on a CPU, kernels of old weights are freed by their `__del__`
        try:
            engine.collective_rpc("reload_weights", kwargs=kwargs)
        except (KeyError, ValueError) as error:  # a name or shape that the model's loader does not know
            raise cannot_run(error, engine.model_config.model) from error
    account.settle()
    check_routers(model)


def _pack_experts_again(model: nn.Module) -> None:
    """Let vLLM's CPU kernels lay out the new weights of experts as they did the first ones.

    vLLM 0.32 lays them out only while it builds a kernel and otherwise copies weights of a file over laid-out ones.
    """
    for module in model.modules():
        method = getattr(module, "quant_method", None)
        experts = getattr(getattr(method, "moe_kernel", None), "fused_experts", None)
        if experts is not None and next(module.parameters()).device.type == "cpu":
            vars(method)["moe_kernel"] = None


class _Account:
    """What was sent to a model, and what it did with it.

    Args:
        model: vLLM's.
        tied: Names of tensors that are another one again, which a model may leave aside.
        look_closely: See ``reload_weights``.
    """

    def __init__(self, model: nn.Module, tied: dict[str, str], look_closely: bool) -> None:
        self.model = model
        self.tied = tied
        self.reads = _Reads() if look_closely else None
        self.names: list[str] = []
        self.numbers: Counter[str] = Counter()
        """How many numbers each parameter got."""
        self.wanted: dict[str, int] = {}
        """How many it has room for."""

    def sent(self, named_tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
        """Pass the tensors on and remember their names; a tied head only to a model with a place for one."""
        parameters = self.model.named_parameters(remove_duplicate=False)
        places = {_last_two(name) for name, _ in parameters}
        for name, tensor in named_tensors:
            if name in self.tied and _last_two(name) not in places:
                continue
            self.names.append(name)
            yield name, tensor if self.reads is None else self.reads.follow(name, tensor)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Count what the model's loaders copy while the model loads."""
        from vllm.model_executor.model_loader.reload import layerwise

        load: Any = self.model.load_weights
        count_one = layerwise.get_numel_loaded
        parameters: dict[int, str] = {}

        def counting(weight_loader: Callable[..., Any], args: Any) -> tuple[int, object]:
            number, result = count_one(weight_loader, args)
            if (name := parameters.get(id(args.arguments.get("param")))) is not None:
                self.numbers[name] += number
            return number, result

        def load_weights(weights: Iterable[tuple[str, Tensor]], *args: Any, **kwargs: Any) -> Any:
            # Only now the model is as its loaders see it: its parameters are replaced for every update.
            parameters.update({id(parameter): name for name, parameter in self.model.named_parameters()})
            self.wanted = _wanted(self.model)
            with self.reads or _nothing():
                loaded = load(weights, *args, **kwargs)
            _pass_uncounted(self.model, loaded, self.numbers, self.wanted)
            return loaded

        layerwise.get_numel_loaded = counting
        self.model.load_weights = load_weights  # type: ignore[assignment]
        try:
            yield
        finally:
            layerwise.get_numel_loaded = count_one
            del self.model.load_weights

    def settle(self) -> None:
        """Raise unless everything that was sent was used, and everything that could be filled was."""
        short = {n: w for n, w in self.wanted.items() if self.numbers[n] < w}
        for tower in getattr(self.model, "_tower_model_names", ()):  # of images, which a text policy does not have
            inside = [name for name in self.wanted if name.startswith(f"{tower}.")]
            if not any(self.numbers[name] for name in inside):
                short = {name: number for name, number in short.items() if name not in inside}
        lacking = [f"{name} ({self.numbers[name]:,} of {number:,})" for name, number in short.items()]
        unused = []
        if self.reads is not None:
            used = {name for name in self.names if name in self.reads.read}
            unused = [name for name in self.names if name not in used and self.tied.get(name) not in used]
        if lacking or unused:
            problems = []
            if lacking:
                problems.append(f"these parameters of vLLM got too few new values: {_some(lacking)}")
            if unused:
                problems.append(f"these weights of the policy were not used: {_some(unused)}")
            import transformers
            import vllm

            raise CannotRun(
                f"vLLM's {type(self.model).__name__} would sample with other weights than the policy's: "
                f"{'; '.join(problems)}. vLLM {vllm.__version__} cannot take new weights of this model from "
                f"transformers {transformers.__version__}: sample with TransformersEngine, or try other versions."
            )


class _Reads(TorchDispatchMode):
    """Which of the tensors that it follows were read by an operation that does more than make a view."""

    def __init__(self) -> None:
        super().__init__()
        self.read: set[str] = set()
        self._names: dict[int, tuple[StorageWeakRef, list[str]]] = {}  # of the tensors in a storage, by its address

    def follow(self, name: str, tensor: Tensor) -> Tensor:
        """Return the tensor, alone in its storage."""
        if tensor.untyped_storage().nbytes() != tensor.nbytes:
            tensor = tensor.clone()
        if tensor.numel() == 0:
            self.read.add(name)
        storage = tensor.untyped_storage()
        held = self._names.get(storage.data_ptr())
        if held is None or held[0].expired():  # an address is used again once its tensor is gone
            held = self._names[storage.data_ptr()] = (StorageWeakRef(storage), [])
        held[1].append(name)
        return tensor

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view:
            for value in tree_leaves((args, kwargs)):
                if not isinstance(value, Tensor) or value.device.type == "meta":
                    continue
                if (held := self._names.get(value.untyped_storage().data_ptr())) is not None:
                    self.read.update(held[1])
        return func(*args, **(kwargs or {}))


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _wanted(model: nn.Module) -> dict[str, int]:
    """How many numbers of a checkpoint each parameter has room for."""
    from vllm.model_executor.layers.attention import is_deferred_attention_layer
    from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding
    from vllm.model_executor.model_loader.reload.utils import get_tensor_load_numel

    wanted = {}
    for prefix, module in model.named_modules():
        if is_deferred_attention_layer(module):  # scales of a quantised cache, which have default values
            continue
        for short, parameter in module.named_parameters(recurse=False):
            number = get_tensor_load_numel(parameter)
            if isinstance(module, VocabParallelEmbedding) and short in ("weight", "bias"):
                rows = module.shard_indices.num_org_elements + module.shard_indices.num_added_elements
                number = number // parameter.shape[0] * rows  # the rest is padding
            wanted[f"{prefix}.{short}" if prefix else short] = number
    return wanted


def _pass_uncounted(model: nn.Module, loaded: set[str] | None, numbers: Counter[str], wanted: dict[str, int]) -> None:
    """Take the model's word for parameters that vLLM's reloading leaves in place, so that no copy is counted."""
    from vllm.model_executor.model_loader.reload.meta import SKIP_LOAD_TENSORS

    everywhere = dict(model.named_parameters(remove_duplicate=False))  # such a one may be in two modules
    arrived = {id(everywhere[name]) for name in loaded or () if name in everywhere}
    for name in wanted:
        if name.rpartition(".")[2] in SKIP_LOAD_TENSORS and (loaded is None or id(everywhere[name]) in arrived):
            numbers[name] = wanted[name]


def _last_two(name: str) -> str:
    """``lm_head.weight`` of ``language_model.lm_head.weight``: the prefixes of vLLM and transformers differ."""
    return ".".join(name.split(".")[-2:])


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
