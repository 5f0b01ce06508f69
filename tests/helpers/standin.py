"""A stand-in for CUDA on a machine without: tensors that say they are on ``cuda:0`` and keep their values on the CPU.

It is as strict as a GPU where this project's code could be wrong. An operation between a tensor here and one on the CPU
fails (those without dimensions may mix, as on CUDA). A process group opened as ``cuda:gloo`` takes tensors from here
alone, as NCCL does. Whatever makes the host wait for the device (``item``, ``bool``, ``cpu``, ``nonzero``) is noted,
with the function of the package that asked for it. Values are the CPU's, so runs can be compared with runs there.

What it does not show: kernels (compiled FlexAttention is replaced by its definition), memory, speed, streams.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

CUDA = torch.device("cuda", 0)
PACKAGE = f"{Path(__file__).parents[2]}/src/lit_passk/"
aten = torch.ops.aten

MOVES = {aten._to_copy.default, aten.copy_.default, aten._copy_from.default}
WAITS = {aten._local_scalar_dense, aten.equal, aten.nonzero, aten.masked_select, aten._unique2}
WAITS |= {aten.unique_consecutive, aten.unique_dim, aten._coalesce}
waits: Counter[str] = Counter()
"""How often the host waited for the device: ``"policy/attention.py block_mask: nonzero"``."""


class StandIn(torch.Tensor):
    """A tensor on the stand-in device; ``held``, on the CPU, has its values."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> StandIn:
        return torch.Tensor._make_wrapper_subclass(
            cls, held.size(), held.stride(), held.storage_offset(), dtype=held.dtype, layout=held.layout, device=CUDA
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    def __repr__(self) -> str:
        return f"StandIn({self.held})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A file holds values; where they were is for the reader to choose."""
        return self.held.__reduce_ex__(protocol)

    def tolist(self) -> Any:
        """For subclasses, torch's own refuses."""
        return self.cpu().tolist()

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, torch.Tensor], *args: Any) -> StandIn:
        return StandIn(inner["held"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


class Everywhere(TorchDispatchMode):
    """Also sees operations without a tensor of the stand-in, such as those that make one."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


def compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation: on the values, if it is the device's; refused if it mixes devices."""
    wanted = torch.device(kwargs["device"]).type if kwargs.get("device") is not None else None
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    here = any(isinstance(x, StandIn) for x in tensors)
    if not here and wanted != "cuda":
        return func(*args, **kwargs)
    if here and func not in MOVES:
        check_devices(func, tensors)
    if here:
        note_waits(func, args, kwargs, wanted)
    held_args, held_kwargs = tree_map(lambda x: x.held if isinstance(x, StandIn) else x, (args, kwargs))
    if wanted is not None:
        held_kwargs["device"] = torch.device("cpu")
    if func.namespace == "c10d":
        return func(*over_gloo(held_args), **held_kwargs)
    if func is aten.mm.dtype:  # products of halves into float32 are CUDA's alone
        out = torch.mm(held_args[0].float(), held_args[1].float())
    else:
        out = func(*held_args, **held_kwargs)
    if wanted == "cpu" or func in (aten._local_scalar_dense.default, aten.equal.default):
        return out
    if func is aten.copy_.default and not isinstance(args[0], StandIn):
        return out
    return return_and_correct_aliasing(func, args, kwargs, tree_map(put_here, out))


def put_here(x: Any) -> Any:
    return StandIn(x) if isinstance(x, torch.Tensor) and not isinstance(x, StandIn) else x


def check_devices(func: Any, tensors: list[torch.Tensor]) -> None:
    """Fail as CUDA does; numbers without dimensions may come from the CPU, and so may indices."""
    wrong = [x for x in tensors if not isinstance(x, StandIn) and x.dim() > 0]
    indices = func in (aten.index.Tensor, aten.index_put_.default, aten.index_put.default)
    if wrong and not (indices and all(x.dtype in (torch.int64, torch.bool) for x in wrong)):
        raise RuntimeError(f"Expected all tensors to be on the same device, but found cuda:0 and cpu in {func}")


def note_waits(func: Any, args: Any, kwargs: dict[str, Any], wanted: str | None) -> None:
    name, packet = func.overloadpacket.__name__, func.overloadpacket
    flags = [x for x in tree_leaves(args[1:]) if isinstance(x, torch.Tensor) and x.dtype == torch.bool]
    if (
        packet in WAITS
        or wanted == "cpu"
        or (func is aten.copy_.default and not isinstance(args[0], StandIn))
        or (func is aten.repeat_interleave.Tensor and kwargs.get("output_size") is None)
        or (packet in (aten.index, aten.index_put, aten.index_put_) and flags)
    ):
        waits[f"{asker()}: {'copy to the CPU' if func in MOVES else name}"] += 1


def asker() -> str:
    """The innermost function of the package that is running."""
    frame: Any = sys._getframe()
    while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    if frame is None:
        return "outside"
    return f"{frame.f_code.co_filename.removeprefix(PACKAGE)} {frame.f_code.co_name}"


_twins: dict[str, Any] = {}


def over_gloo(args: Any) -> Any:
    """The same collective over a group that shares the backend of ``cuda:gloo`` but takes what is on the CPU."""
    return [_twin(x) if isinstance(x, torch.ScriptObject) and "ProcessGroup" in str(x._type()) else x for x in args]


def _twin(boxed: Any) -> Any:
    group = dist.ProcessGroup.unbox(boxed)
    if group.group_name not in _twins:
        twin = dist.ProcessGroup(dist.HashStore(), group.rank(), group.size())
        backend = group._get_backend(CUDA)
        twin._register_backend(torch.device("cpu"), dist.ProcessGroup.BackendType.GLOO, backend)
        _twins[group.group_name] = twin
    return _twins[group.group_name].boxed()


def flex_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    score_mod: Any,
    block_mask: Any,
    scale: float,
    gqa: bool,
) -> torch.Tensor:
    """FlexAttention by its definition, every score of it."""
    if gqa:
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], dim=1) for x in (key, value))
    scores = (query @ key.transpose(-1, -2)).float() * scale
    scores = score_mod(scores) if score_mod is not None else scores
    return scores.masked_fill(~block_mask, -torch.inf).softmax(-1).to(value.dtype) @ value


def create_block_mask(visible: Any, batch: None, heads: None, queries: int, keys: int, device: Any) -> torch.Tensor:
    rows, columns = torch.arange(queries, device=device), torch.arange(keys, device=device)
    return visible(None, None, rows[:, None], columns[None, :])


@contextmanager
def stand_in() -> Iterator[None]:
    """Inside, ``torch.cuda`` speaks of one GPU. The process must have been started with ``environment()``."""
    from lit_passk.policy import attention

    no_op = lambda *args, **kwargs: None  # noqa: E731
    cuda = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_capability": lambda device=None: (7, 0),
        "get_rng_state": torch.get_rng_state,
        "set_rng_state": no_op,  # the device's random numbers are the CPU's
        **{name: getattr(torch.cpu, name) for name in ("Stream", "Event", "current_stream", "stream")},
        **dict.fromkeys(["_lazy_init", "set_device", "empty_cache", "synchronize", "reset_peak_memory_stats"], no_op),
    }
    with ExitStack() as stack:
        for name, value in cuda.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(mock.patch.object(dist.Logger, "set_runtime_stats_and_log", no_op))  # needs a CUDA timer
        stack.enter_context(mock.patch.object(torch, "compile", lambda function, **kwargs: function))
        stack.enter_context(mock.patch.object(attention, "flex_attention", flex_attention))
        stack.enter_context(mock.patch.object(attention, "create_block_mask", create_block_mask))
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor` then moves what it makes where the mode sees it
        stack.callback(torch._C._set_only_lift_cpu_tensors, False)
        stack.enter_context(Everywhere())
        waits.clear()
        yield


def environment(folder: Path) -> dict[str, str]:
    """For a process in which ``stand_in`` works: a device must be there before torch looks for one.

    Raises:
        RuntimeError: Without a C++ compiler.
    """
    library, torch_folder = folder / "standin.so", Path(torch.__file__).parent
    if not library.exists():
        source = Path(__file__).with_suffix(".cpp")
        flags = ["-std=c++20", "-shared", "-fPIC", f"-I{torch_folder}/include", f"-L{torch_folder}/lib"]
        links = ["-lc10", "-ltorch_cpu", f"-Wl,-rpath,{torch_folder}/lib"]
        subprocess.run(["g++", *flags, str(source), "-o", str(library), *links], check=True)
    return {**os.environ, "LD_PRELOAD": str(library), "HF_DEACTIVATE_ASYNC_LOAD": "1", "OMP_NUM_THREADS": "1"}
