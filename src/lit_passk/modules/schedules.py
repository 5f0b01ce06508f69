"""Learning-rate schedules for YAML files."""

from __future__ import annotations

import math
from typing import Any, Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from lit_passk.errors import Refusal


def check_scheduler(scheduler: Any) -> None:
    """Refuse a schedule that waits for a metric: it is stepped once per optimizer step, when there is none.

    Raises:
        Refusal: With what to use instead.
    """
    if isinstance(scheduler, ReduceLROnPlateau):
        raise Refusal(
            f"`model.lr_scheduler` is {type(scheduler).__name__}, which lowers the learning rate when a metric stops "
            "improving, but a schedule here knows the optimizer step alone. Use WarmupLR or another of "
            "torch.optim.lr_scheduler."
        )


class WarmupLR(LambdaLR):
    """Linear warm-up, then constant, linear or cosine decay; counted in optimizer steps.

    Args:
        optimizer: The optimizer.
        warmup_steps: Optimizer steps until the full learning rate.
        decay: What follows the warm-up.
        total_steps: Optimizer steps until a decay reaches zero; needed for ``linear`` and ``cosine``.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        >>> schedule = WarmupLR(optimizer, warmup_steps=4)
        >>> [round(rate, 4) for rate in schedule.get_last_lr()]
        [0.25]

    """

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_steps: int = 10,
        decay: Literal["constant", "linear", "cosine"] = "constant",
        total_steps: int | None = None,
    ) -> None:
        if decay != "constant" and (total_steps is None or total_steps <= warmup_steps):
            raise Refusal(
                f"WarmupLR(decay={decay!r}) needs total_steps > warmup_steps={warmup_steps}, but got {total_steps}."
            )

        def factor(step: int) -> float:
            if step < warmup_steps:
                return (step + 1) / warmup_steps
            if decay == "constant":
                return 1.0
            assert total_steps is not None
            left = max(0.0, 1 - (step - warmup_steps) / (total_steps - warmup_steps))
            return left if decay == "linear" else 0.5 * (1 - math.cos(math.pi * left))

        super().__init__(optimizer, factor)
