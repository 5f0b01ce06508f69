"""Reductions over the data-parallel ranks; with one process they return what they are given."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of processes, 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def all_sum(values: Tensor) -> Tensor:
    """Sum over ranks, in the dtype given."""
    return _all_reduce(values, dist.ReduceOp.SUM)


def all_max(values: Tensor) -> Tensor:
    """Maximum over ranks."""
    return _all_reduce(values, dist.ReduceOp.MAX)


def all_cat(values: Tensor) -> Tensor:
    """Concatenate one-dimensional tensors of any length, in order of rank."""
    if world_size() == 1:
        return values
    counts = torch.zeros(world_size(), dtype=torch.int64)
    counts[dist.get_rank()] = len(values)
    counts = all_sum(counts)
    padded = values.new_zeros(int(counts.max()), device=_device())
    padded[: len(values)] = values
    gathered = [torch.empty_like(padded) for _ in range(world_size())]
    dist.all_gather(gathered, padded)
    return torch.cat([part[:n] for part, n in zip(gathered, counts.tolist(), strict=True)]).to(values.device)


def _all_reduce(values: Tensor, op: dist.ReduceOp.RedOpType) -> Tensor:
    if world_size() == 1:
        return values
    reduced = values.to(_device(), copy=True)
    dist.all_reduce(reduced, op)
    return reduced.to(values.device)


def _device() -> torch.device:
    """Where the backend can communicate: NCCL moves CUDA tensors only."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
