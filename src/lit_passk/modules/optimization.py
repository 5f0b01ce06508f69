"""One optimizer step: gradients clipped, weights changed, schedule advanced; and what holds of it after resuming."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from lit_passk.errors import Refusal
from lit_passk.memory import memory_for
from lit_passk.modules.policies import ROOM, WEIGHTS
from lit_passk.modules.skipped import fault_of
from lit_passk.policy.sharding import clip_gradients


@contextmanager
def refused_as(option: str) -> Iterator[None]:
    """Name the option where torch refuses its settings, such as a learning rate below 0.

    Raises:
        Refusal: Instead of a ValueError of ``torch.optim``; those of a user's own class are raised as they are.
    """
    try:
        yield
    except ValueError as error:
        *_, (last, _) = traceback.walk_tb(error.__traceback__)
        if not last.f_globals.get("__name__", "").startswith("torch.optim"):
            raise
        raise Refusal(f"`{option}` cannot be made: {error}.") from error


class Optimization:
    """Optimizer, schedule and clipping of a ``PassKRLModule``; the arguments are that class's of the same names.

    Args:
        optimizer: Makes the optimizer of given parameters.
        lr_scheduler: Makes the schedule of an optimizer, stepped once per optimizer step.
        max_grad_norm: Gradients are scaled down to this norm; 0 switches it off.
    """

    def __init__(self, optimizer: OptimizerCallable, lr_scheduler: LRSchedulerCallable, max_grad_norm: float) -> None:
        if not max_grad_norm >= 0:  # NaN is neither
            raise Refusal(f"`model.max_grad_norm` must be at least 0, but got {max_grad_norm}.")
        self.make_optimizer = optimizer
        self.make_lr_scheduler = lr_scheduler
        self.max_grad_norm = max_grad_norm
        self._settings: list[dict[str, Any]] = []  # of each parameter group, as the configuration has them

    def configure(self, parameters: Sequence[nn.Parameter]) -> OptimizerLRSchedulerConfig:
        """Make the optimizer of these parameters, and its schedule.

        Raises:
            Refusal: If there are none, or the optimizer or the schedule refuses its settings.
        """
        if not parameters:
            raise Refusal(
                "No parameter of the policy is trained: `requires_grad` is False for all of them, as after "
                "`module.freeze()`. Call `module.unfreeze()`, or leave some unfrozen."
            )
        with refused_as("model.optimizer"):
            optimizer = self.make_optimizer(parameters)
        with refused_as("model.lr_scheduler"):
            schedule = self.make_lr_scheduler(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def begin(self, optimizer: Any) -> None:
        """Remember what the configuration says of the optimizer; call it before a checkpoint's state is loaded."""
        self._settings = group_settings(optimizer)

    def resume(self, optimizer: Any, scheduler: Any) -> None:
        """Let a resumed run have the settings of its configuration; call it when the checkpoint's state is loaded."""
        apply_settings(optimizer, scheduler, self._settings)

    @memory_for("the optimizer's step", [*WEIGHTS, "choose a `model.optimizer` with fewer moments", *ROOM])
    def step(
        self, parameters: Sequence[nn.Parameter], optimizer: Any, scheduler: Any, loss: Tensor, fault: str | None = None
    ) -> tuple[Tensor, str | None]:
        """Clip, step, forget the gradients; where there is a fault, forget them before: nothing is changed then.

        A skipped step counts as a step, for ``trainer.max_steps`` and for the schedule: the learning rate goes by how
        far the run is.

        Args:
            parameters: With their gradients.
            optimizer: Theirs.
            scheduler: The optimizer's; None where a subclass has none.
            loss: This rank's, scalar.
            fault: Why the step is to be skipped, the same on every rank; None looks at loss and gradients.

        Returns:
            The norm of the gradients before clipping, scalar, float32, on the CPU, and why the step was skipped.
        """
        norm = clip_gradients(parameters, self.max_grad_norm).detach().cpu()
        fault = fault or fault_of(loss, norm)
        if fault is not None:
            optimizer.zero_grad(set_to_none=True)  # optimizers pass over parameters without a gradient
        optimizer.step()
        optimizer.zero_grad()
        if scheduler is not None:
            scheduler.step()
        return norm, fault


def group_settings(optimizer: Any) -> list[dict[str, Any]]:
    """The settings of each parameter group as the configuration has them, before a schedule changed any."""
    settings = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    return [group | {"lr": group.pop("initial_lr", group["lr"])} for group in settings]


def apply_settings(optimizer: Any, scheduler: Any, wanted: list[dict[str, Any]]) -> None:
    """Let a resumed run have the optimizer settings of its configuration, not those of the checkpoint.

    A learning rate scales what its schedule has come to. Nothing is touched where the two agree.

    Args:
        optimizer: With the checkpoint's state.
        scheduler: With the checkpoint's state, or None.
        wanted: What ``group_settings`` said before the checkpoint was read.

    Raises:
        Refusal: If the checkpoint's learning rate was 0 and another one is wanted.
    """
    for number, (group, settings) in enumerate(zip(optimizer.param_groups, wanted, strict=True)):
        for name, value in settings.items():
            before = group.get("initial_lr", group["lr"]) if name == "lr" else group.get(name)
            if before == value:
                continue
            if name == "lr":
                if before == 0:
                    raise Refusal(
                        f"The checkpoint is of a run of learning rate 0, which no factor brings to {value}. Start "
                        "another run in a folder of its own, from its policy (`lit-passk export`) if weights changed."
                    )
                group["lr"] *= value / before
                group["initial_lr"] = value
                if scheduler is not None:
                    scheduler.base_lrs[number] = value
            else:
                group[name] = value
            rank_zero_info(f"The optimizer goes on with {name} = {value}; the checkpoint had {before}.")
