"""The one kind of state all metrics over problems have: rows of integers, gathered whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat
from torchmetrics.utilities.distributed import gather_all_tensors

from lit_passk.errors import Refusal


class RowMetric(Metric):
    """Keeps int64 rows and hands them to ``compute`` from all ranks at once.

    Integers, because they survive every precision a module is cast to, and add up to the same in any order.

    Args:
        columns: Integers in a row; the first is the problem's id.
        kwargs: Options of ``torchmetrics.Metric``.
    """

    is_differentiable = False
    higher_is_better: bool | None = True
    full_state_update = False
    rows: list[Tensor]

    def __init__(self, columns: int, **kwargs: Any) -> None:
        super().__init__(**{"dist_sync_fn": partial(_gather_rows, columns=columns), **kwargs})
        self.columns = columns
        self.add_state("rows", default=[], dist_reduce_fx="cat")

    def _append(self, rows: Tensor) -> None:
        self.rows.append(rows.contiguous().to(self.device))

    def _all_rows(self) -> Tensor:
        """Shape ``(rows, columns)``, int64, on the CPU; in ``compute``, those of all ranks."""
        return dim_zero_cat(self.rows).cpu() if len(self.rows) else _no_rows(self.columns, "cpu")

    def _scalar(self, value: Tensor | float) -> Tensor:
        """A result on the metric's device, in float64 where the device has it."""
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        return torch.as_tensor(value, dtype=torch.float64).to(self.device, dtype)

    def _mean(self, values: Iterable[float]) -> Tensor:
        found = list(values)
        return self._scalar(sum(found) / len(found))

    def _ids(self, problem_ids: Tensor | Sequence[int], num_problems: int) -> list[int]:
        """Problem ids as integers, one for each of ``num_problems``."""
        name, ids = type(self).__name__, [int(problem_id) for problem_id in problem_ids]
        if len(ids) != num_problems:
            raise ValueError(f"{name}.update needs an id for each of {num_problems} problems, but got {len(ids)}.")
        if min(ids, default=0) < 0:
            raise ValueError(f"{name}.update needs problem ids from 0, but got {min(ids)}.")
        return ids

    def _check_samples(self, problem_ids: Tensor, num_samples: Tensor, k: int) -> None:
        """Refuse to compute without a problem, or when one has fewer than ``k`` completions."""
        if len(num_samples) == 0:
            raise ValueError(f"{type(self).__name__} has seen no problem. Call `update` before `compute`.")
        fewest = int(num_samples.argmin())
        if num_samples[fewest] < k:
            problem = "a problem" if problem_ids[fewest] < 0 else f"problem {problem_ids[fewest]}"
            raise ValueError(
                f"{type(self).__name__} at k = {k} needs n >= {k} completions of every problem, but {problem} has "
                f"n = {num_samples[fewest]}. Sample more completions or drop k = {k}."
            )


def check_ks(ks: Sequence[int], name: str, least: int = 1) -> list[int]:
    """Ascending values of k without repetition; a ValueError unless all are integers of at least ``least``."""
    if not ks or any(isinstance(k, bool) or not isinstance(k, int) or k < least for k in ks):
        raise Refusal(f"{name} needs integers k >= {least}, at least one, but got ks = {ks}.")
    return sorted(set(ks))


def _no_rows(columns: int, device: torch.device | str) -> Tensor:
    return torch.zeros(0, columns, dtype=torch.int64, device=device)


def _gather_rows(rows: Tensor, group: Any = None, *, columns: int) -> list[Tensor]:
    """Gather over ranks; a rank without any stands for itself by an empty tensor of the others' shape and dtype."""
    return gather_all_tensors(rows if rows.ndim == 2 else _no_rows(columns, rows.device), group)
