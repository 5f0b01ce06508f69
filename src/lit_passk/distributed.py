"""Collectives over the ranks, the only ones this package calls; one process gets back what it gives.

Values may lie on any device: they travel on the one that the process group has a backend for (NCCL: the GPU) and come
back on the one they came from. ``group`` None is all ranks: the policy is sharded over data-parallel ranks alone.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from lit_passk.errors import CannotRun


def world_size(group: dist.ProcessGroup | None = None) -> int:
    """Number of ranks, 1 without a process group."""
    return dist.get_world_size(group) if _is_open() else 1


def rank(group: dist.ProcessGroup | None = None) -> int:
    """This process's number among the ranks, from 0."""
    return dist.get_rank(group) if _is_open() else 0


def all_sum(values: Tensor, what: str = "values", group: dist.ProcessGroup | None = None) -> Tensor:
    """Sum over ranks, in the dtype given; ``what``: name used in the error if the collective fails."""
    return _all_reduce(values, dist.ReduceOp.SUM, f"the sum of {what}", group)


def all_max(values: Tensor, what: str = "values", group: dist.ProcessGroup | None = None) -> Tensor:
    """Maximum over ranks."""
    return _all_reduce(values, dist.ReduceOp.MAX, f"the maximum of {what}", group)


def all_cat(values: Tensor, what: str = "values", group: dist.ProcessGroup | None = None) -> Tensor:
    """Concatenate along the first dimension, which may differ in length, in order of rank."""
    if world_size(group) == 1:
        return values
    lengths = torch.zeros(world_size(group), dtype=torch.int64)
    lengths[rank(group)] = len(values)
    lengths = all_sum(lengths, f"the number of {what}", group)
    longest = (int(lengths.max()), *values.shape[1:])
    padded = torch.zeros(longest, dtype=values.dtype, device=_device(group))
    padded[: len(values)] = values
    gathered = [torch.empty_like(padded) for _ in lengths]
    with named(f"the collection of {what}"):
        dist.all_gather(gathered, padded, group=group)
    return torch.cat([part[:n].to(values.device) for part, n in zip(gathered, lengths.tolist(), strict=True)])


def all_objects(item: Any, what: str = "objects", group: dist.ProcessGroup | None = None) -> list[Any]:
    """Every rank's object, in order of rank; objects that pickle can carry."""
    data = torch.frombuffer(bytearray(pickle.dumps(item)), dtype=torch.uint8)
    ends = all_cat(torch.tensor([len(data)]), f"sizes of {what}", group).cumsum(0).tolist()
    flat = all_cat(data, what, group).numpy().tobytes()
    return [pickle.loads(flat[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def _is_open() -> bool:
    return dist.is_available() and dist.is_initialized()


def _all_reduce(values: Tensor, op: dist.ReduceOp.RedOpType, what: str, group: dist.ProcessGroup | None) -> Tensor:
    if world_size(group) == 1:
        return values
    reduced = values.to(_device(group), copy=True)
    with named(what):
        dist.all_reduce(reduced, op, group=group)
    return reduced.to(values.device)


def _device(group: dist.ProcessGroup | None) -> torch.device:
    """Where a group can communicate: on the CPU if it has a backend for it, else on the first device it has one for."""
    devices = [part.split(":")[0] for part in dist.get_backend_config(group).split(",")]
    if "cpu" in devices:
        return torch.device("cpu")
    return torch.device(devices[0], torch.get_device_module(devices[0]).current_device())


@contextmanager
def named(what: str) -> Iterator[None]:
    """Say what was waited for when other ranks are lost: a time-out by itself names an address.

    Whatever else is raised inside (no memory left, a wrong shape) is passed on as it is.
    """
    try:
        yield
    except RuntimeError as error:
        if not lost_others(error):
            raise
        raise CannotRun(
            f"Rank {rank()} waited for the others in {what}, but one of them failed or took longer than "
            f"`timeout` of `trainer.strategy`: {error}"
        ) from error


# Gloo raises plain RuntimeErrors, which can be told by their text alone: the source file of its transport, or this.
_GLOO = re.compile(r"/gloo/transport/\S+:\d+\]|^Application timeout caused pair closure")


def lost_others(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, says that another rank is gone or took too long."""
    while error is not None:
        if isinstance(error, dist.DistError) or (type(error) is RuntimeError and _GLOO.search(str(error))):
            return True
        error = error.__cause__
    return False
