"""The one kind of state all metrics have: rows of integers, gathered whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from lit_passk.distributed import all_cat
from lit_passk.errors import Refusal


class EvaluationMetric(Metric):
    """Keeps int64 rows and hands those of all data-parallel ranks to ``compute`` at once.

    Integers, because they survive every precision a module is cast to, and add up to the same in any order.

    Args:
        columns: Integers per row.
    """

    is_differentiable = False
    higher_is_better: bool | None = True
    full_state_update = False
    rows: list[Tensor]

    def __init__(self, columns: int) -> None:
        super().__init__(dist_sync_fn=partial(_gather_rows, columns=columns))
        self.columns = columns
        self.add_state("rows", default=[], dist_reduce_fx="cat")

    def _append(self, rows: Tensor) -> None:
        self.rows.append(rows.contiguous().to(self.device))

    def _all_rows(self) -> Tensor:
        """Shape ``(rows, columns)``, int64, on the CPU; in ``compute``, those of all ranks."""
        return dim_zero_cat(self.rows).cpu() if len(self.rows) else torch.zeros(0, self.columns, dtype=torch.int64)

    def _scalar(self, value: Tensor | float) -> Tensor:
        """A result on the metric's device, in float64 where the device has it."""
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        return torch.as_tensor(value, dtype=torch.float64).to(self.device, dtype)

    def _mean(self, values: Iterable[float]) -> Tensor:
        """Mean over problems, NaN over none; the same in any order of the problems."""
        found = list(values)
        return self._scalar(math.fsum(found) / len(found) if found else math.nan)

    def _ids(self, problem_ids: Tensor | Sequence[int], num_problems: int) -> list[int]:
        """Problem ids as integers, one for each of ``num_problems``."""
        name, ids = type(self).__name__, [int(problem_id) for problem_id in problem_ids]
        if len(ids) != num_problems:
            raise ValueError(f"{name}.update needs an id for each of {num_problems} problems, but got {len(ids)}.")
        if min(ids, default=0) < 0:
            raise ValueError(f"{name}.update needs problem ids from 0, but got {min(ids)}.")
        return ids


def check_ks(ks: Sequence[int], name: str, least: int = 1) -> list[int]:
    """Ascending values of k without repetition; a ValueError unless all are integers of at least ``least``."""
    if not ks or any(isinstance(k, bool) or not isinstance(k, int) or k < least for k in ks):
        raise Refusal(f"{name} needs integers k >= {least}, at least one, but got ks = {ks}.")
    return sorted(set(ks))


def _gather_rows(rows: Tensor, group: Any = None, *, columns: int) -> list[Tensor]:
    """The rows of all data-parallel ranks; ``lit_passk.distributed`` knows the group and what it can communicate."""
    if rows.ndim != 2:  # torchmetrics' placeholder for a rank without rows, which is of another dtype
        rows = torch.zeros(0, columns, dtype=torch.int64, device=rows.device)
    return [all_cat(rows, "rows of a metric", group)]
