"""Callbacks, hooks and optimizers that would not do in a ``PassKRLModule`` what they say: refused with the remedy."""

from __future__ import annotations

import inspect

import lightning as L
import torch
from lightning.pytorch.callbacks import (
    BaseFinetuning,
    BatchSizeFinder,
    Callback,
    GradientAccumulationScheduler,
    LearningRateFinder,
    ModelPruning,
    StochasticWeightAveraging,
    WeightAveraging,
)
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden

from lit_passk.errors import Refusal
from lit_passk.modules.schedules import check_scheduler

REFUSED: dict[type[Callback], str] = {
    GradientAccumulationScheduler: "an optimizer step has all prompts of its mini-batch already, in as many "
    "micro-batches as `model.compute.token_budget` needs. Set `data.prompts_per_step` and `model.num_minibatches`.",
    BatchSizeFinder: "it trains without rollouts, and the number of prompts changes what is trained, not what fits. "
    "Set `model.compute.token_budget`, which bounds memory alone; `lit-passk plan` computes what fits.",
    LearningRateFinder: "it trains without rollouts, and goes by a loss that does not fall as a policy gets better. "
    "Set `model.optimizer.lr`, and compare runs by `val/pass@k`.",
    StochasticWeightAveraging: "it puts a schedule that counts epochs in the place of `model.lr_scheduler`, which "
    "counts optimizer steps. Use `WeightAveraging` or `EMAWeightAveraging`.",
    ModelPruning: "it renames the policy's weights, so that no engine could take them. Prune the folder that "
    "`lit-passk export` writes.",
    BaseFinetuning: "it chooses parameters before the policy is loaded. Set `model.lora`, or override "
    "`configure_optimizers` in a subclass and leave parameters out there.",
}
"""Callbacks of Lightning that cannot work, and what to set instead."""

NOT_CALLED = ("optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping", "lr_scheduler_step")
"""Hooks of a module that Lightning calls in automatic optimization alone."""

KEPT = (
    "setup",
    "on_fit_start",
    "on_train_start",
    "on_validation_epoch_start",
    "on_test_epoch_start",
    "on_save_checkpoint",
    "on_load_checkpoint",
)
"""Hooks that do something in ``PassKRLModule``, unlike in Lightning's own class: counts, random numbers, checks."""


def check_callbacks(trainer: L.Trainer, module: L.LightningModule) -> None:
    """Refuse callbacks and overridden hooks that would fail later or be passed over without a word.

    Args:
        trainer: With its callbacks.
        module: A ``PassKRLModule``, or what a user made of it.

    Raises:
        Refusal: With what was given and what to set instead.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        for kind, why in REFUSED.items():
            if isinstance(callback, kind):
                raise Refusal(f"The callback {type(callback).__name__} cannot be used here: {why}")
    for name in NOT_CALLED:
        if is_overridden(name, module, parent=L.LightningModule):
            raise Refusal(
                f"`{type(module).__name__}.{name}` would never be called: an RL step makes its optimizer steps by "
                "itself. Set `model.optimizer`, `model.lr_scheduler` and `model.max_grad_norm`, or override "
                "`configure_optimizers`; `on_before_optimizer_step` is called with the gradients."
            )
    _check_calls_super(module)
    if module._compiler_ctx is not None:
        raise Refusal(
            "`torch.compile(module)` compiles whole steps, with sampling, scoring and logging in them, which the "
            "compiler cannot follow. Give the trainer the module itself and set `model.compute.compile_blocks: true` "
            "(`Compute(compile_blocks=True)`)."
        )
    if averages_weights(trainer):
        _check_averaging(trainer, module)


def _check_calls_super(module: L.LightningModule) -> None:
    """Refuse hooks that were replaced instead of extended, which one may do with those of Lightning's own class."""
    for name in KEPT:
        for kind in type(module).__mro__:
            if kind.__module__.startswith("lit_passk."):
                break
            method = inspect.unwrap(kind.__dict__.get(name, len))
            if not inspect.isfunction(method):
                continue
            # A call of `super().NAME(...)` or `PassKRLModule.NAME(self, ...)` has the name in it; of a hook that is
            # another one under a second name, as `on_test_epoch_start = on_validation_epoch_start`, the other's.
            if not {name, method.__name__} & set(method.__code__.co_names):
                raise Refusal(
                    f"`{kind.__name__}.{name}` has to call `super().{name}(...)`: without what PassKRLModule does "
                    "there the run would go wrong without a word."
                )


def averages_weights(trainer: L.Trainer) -> bool:
    """Whether validations see other weights than the ones that are trained, with the same number of RL steps."""
    return any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks)  # type: ignore[attr-defined]


def _check_averaging(trainer: L.Trainer, module: L.LightningModule) -> None:
    """Lightning averages whole weights, and restores every one of them from a checkpoint."""
    if isinstance(trainer.strategy, ModelParallelStrategy) or getattr(module, "lora", None) is not None:
        raise Refusal(
            "Weights cannot be averaged (`WeightAveraging`) while they are sharded (`ModelParallelStrategy`) or frozen "
            "under adapters (`model.lora`). Set `trainer.strategy` to `ddp` or a single device without `model.lora`, "
            "or average the exported folders of several checkpoints (`checkpoint.keep`)."
        )


def check_configured(trainer: L.Trainer) -> None:
    """Refuse what a subclass's ``configure_optimizers`` may return and an RL step cannot use.

    Raises:
        Refusal: With what was given and what to return instead.
    """
    schedules = trainer.lr_scheduler_configs
    optimizers = [
        optimizer for optimizer in trainer.optimizers if optimizer.param_groups
    ]  # Lightning's for None has none
    if len(optimizers) != 1 or len(schedules) > 1 or any(schedule.frequency != 1 for schedule in schedules):
        raise Refusal(
            "`configure_optimizers` must return one optimizer and at most one schedule, stepped after every optimizer "
            f"step (`frequency` 1), but returned {len(optimizers)} and {len(schedules)} (`frequency` "
            f"{[schedule.frequency for schedule in schedules]}). Give parameters settings of their own by groups of "
            "one optimizer."
        )
    if any(schedule.interval != "step" for schedule in schedules):
        raise Refusal(
            "The schedule that `configure_optimizers` returned is of `interval: epoch`, Lightning's default, but an RL "
            "step steps it after every optimizer step. Return `{'optimizer': optimizer, 'lr_scheduler': {'scheduler': "
            "schedule, 'interval': 'step'}}`, and let it count optimizer steps."
        )
    if isinstance(optimizers[0], torch.optim.LBFGS):
        raise Refusal("LBFGS computes the loss several times per step, which an RL step cannot. Set another optimizer.")
    for schedule in schedules:
        check_scheduler(schedule.scheduler)
