"""Reductions over the data-parallel ranks; with one process they return what they are given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from lit_passk.errors import CannotRun

_group: dist.ProcessGroup | None = None


def use_group(group: dist.ProcessGroup | None) -> None:
    """Reduce over ``group`` from now on; None is all processes.

    Under tensor parallelism several ranks hold the same data: the group is then one rank of each of these.
    """
    global _group
    _group = group


def group() -> dist.ProcessGroup | None:
    """The group of data-parallel ranks; None is all processes."""
    return _group


def world_size() -> int:
    """Number of data-parallel ranks, 1 without a process group."""
    return dist.get_world_size(_group) if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's place among the data-parallel ranks."""
    return dist.get_rank(_group) if dist.is_available() and dist.is_initialized() else 0


def all_sum(values: Tensor, what: str = "values") -> Tensor:
    """Sum over ranks, in the dtype given; ``what`` names the values should the other ranks never come."""
    return _all_reduce(values, dist.ReduceOp.SUM, f"the sum of {what}")


def all_max(values: Tensor, what: str = "values") -> Tensor:
    """Maximum over ranks."""
    return _all_reduce(values, dist.ReduceOp.MAX, f"the maximum of {what}")


def all_cat(values: Tensor, what: str = "values") -> Tensor:
    """Concatenate one-dimensional tensors of any length, in order of rank."""
    if world_size() == 1:
        return values
    counts = torch.zeros(world_size(), dtype=torch.int64)
    counts[rank()] = len(values)
    counts = all_sum(counts, f"the number of {what}")
    padded = values.new_zeros(int(counts.max()), device=_device())
    padded[: len(values)] = values
    gathered = [torch.empty_like(padded) for _ in range(world_size())]
    with named(f"the collection of {what}"):
        dist.all_gather(gathered, padded, group=_group)
    return torch.cat([part[:n].to(values.device) for part, n in zip(gathered, counts.tolist(), strict=True)])


def _all_reduce(values: Tensor, op: dist.ReduceOp.RedOpType, what: str) -> Tensor:
    if world_size() == 1:
        return values
    reduced = values.to(_device(), copy=True)
    with named(what):
        dist.all_reduce(reduced, op, group=_group)
    return reduced.to(values.device)


@contextmanager
def named(what: str) -> Iterator[None]:
    """Say what was waited for when a collective fails: a time-out by itself names an address."""
    try:
        yield
    except RuntimeError as error:
        raise CannotRun(
            f"Data-parallel rank {rank()} waited for the others in {what}, but one of them failed or took longer than "
            f"`timeout` of `trainer.strategy`: {error}"
        ) from error


def _device() -> torch.device:
    """Where the backend can communicate: NCCL moves CUDA tensors only."""
    backend = dist.get_backend(_group)
    return torch.device("cuda", torch.cuda.current_device()) if backend == "nccl" else torch.device("cpu")
