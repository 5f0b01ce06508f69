"""Settings of Lightning's ``Trainer`` with which a run would be silently wrong: refused, each with the remedy."""

from __future__ import annotations

from multiprocessing.context import get_spawning_popen

import lightning as L
from lightning.pytorch.plugins.io import AsyncCheckpointIO
from lightning.pytorch.strategies import (
    DDPStrategy,
    DeepSpeedStrategy,
    ModelParallelStrategy,
    SingleDeviceStrategy,
    SingleDeviceXLAStrategy,
    Strategy,
    XLAStrategy,
)
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from lightning.pytorch.trainer.states import TrainerFn

from lit_passk.errors import Refusal

PRECISIONS = ("32-true", "bf16-mixed", "bf16-true")
SPAWN = (
    "Processes that are spawned or forked from this one (`ddp_spawn`, `ddp_fork`, `ddp_notebook`) would hold copies of "
    "this module, of its engine and of its scoring processes. Set `trainer.strategy` to `ddp` or "
    "`ModelParallelStrategy`, or start the processes with torchrun."
)


def check_trainer(trainer: L.Trainer) -> None:
    """Refuse what a ``PassKRLModule`` cannot be trained or evaluated with; call it in ``setup``, before models load.

    Raises:
        Refusal: With what was set and what to set instead.
    """
    _check_precision(str(trainer.precision))
    _check_strategy(trainer.strategy)
    if trainer.state.fn == TrainerFn.FITTING:
        _check_fit(trainer)
    elif trainer.validate_loop.inference_mode:  # in `fit`, Lightning validates without it
        raise Refusal(
            "`trainer.inference_mode` must be False: weights that an engine takes over inside inference mode could not "
            "be changed afterwards. Set `Trainer(inference_mode=False)`."
        )


def check_gradient_settings(trainer: L.Trainer) -> None:
    """Refuse Lightning's settings of gradients; call it before Lightning finds fault with some of them by itself.

    Raises:
        Refusal: With what was set and what to set instead.
    """
    accumulate, clip = trainer.accumulate_grad_batches, trainer.gradient_clip_val
    if accumulate != 1:
        raise Refusal(
            f"`trainer.accumulate_grad_batches` must be 1, but got {accumulate}: an optimizer step has all prompts of "
            "its mini-batch already, in as many micro-batches as `model.compute.token_budget` needs. Raise "
            "`data.prompts_per_step`."
        )
    if clip or trainer.gradient_clip_algorithm is not None:
        raise Refusal(
            "Gradients are clipped by `model.max_grad_norm`, by their norm over all ranks. Set it, and leave "
            "`trainer.gradient_clip_val` and `trainer.gradient_clip_algorithm` unset."
        )


def whole_trial(trainer: L.Trainer, updates_per_step: int) -> None:
    """Let ``fast_dev_run: n`` train on n batches, as it says: Lightning takes n for optimizer steps as well."""
    if num_batches := int(trainer.fast_dev_run):  # type: ignore[attr-defined]
        trainer.fit_loop.epoch_loop.max_steps = num_batches * updates_per_step


def refuse_spawn() -> None:
    """Refuse to be pickled for a process that is being started; call it in ``__getstate__``.

    Such a process is started before any hook of a module or callback has run.
    """
    if get_spawning_popen() is not None:
        raise Refusal(SPAWN)


def _check_precision(precision: str) -> None:
    if precision in PRECISIONS:
        return
    why = (
        "float16 needs its loss scaled, and gradients would be clipped by the norm of the scaled ones."
        if "16" in precision
        else "Log-probabilities, losses and metrics are float32."
    )
    raise Refusal(
        f"`trainer.precision` must be one of {', '.join(PRECISIONS)}, but got {precision}. {why} Set "
        f"{'bf16-mixed' if '16' in precision else '32-true'}."
    )


def _check_strategy(strategy: Strategy) -> None:
    name = type(strategy).__name__
    tested = isinstance(strategy, (SingleDeviceStrategy, DDPStrategy, ModelParallelStrategy))
    # Lightning derives these from the ones above.
    if not tested or isinstance(strategy, (DeepSpeedStrategy, XLAStrategy, SingleDeviceXLAStrategy)):
        raise Refusal(
            f"`trainer.strategy` must be a single device, `ddp` or `ModelParallelStrategy` (FSDP2), but got {name}. "
            "To shard the policy over ranks set `trainer.strategy: ModelParallelStrategy`."
        )
    if isinstance(strategy.launcher, _MultiProcessingLauncher):
        raise Refusal(SPAWN)
    if isinstance(strategy, ModelParallelStrategy) and strategy._tensor_parallel_size != 1:
        ranks = strategy.num_nodes * strategy.num_processes
        raise Refusal(
            "`tensor_parallel_size` of `trainer.strategy` must be 1, but got "
            f"{strategy._tensor_parallel_size} (Lightning's default is as many as a node has devices): the policy is "
            f"sharded over data-parallel ranks alone. Set `data_parallel_size: {ranks}` and `tensor_parallel_size: 1`. "
            "An engine's own `tensor_parallel_size` is another setting."
        )


def _check_fit(trainer: L.Trainer) -> None:
    if trainer.limit_train_batches == 0:
        raise Refusal(
            "`trainer.limit_train_batches` must not be 0: nothing would be trained. Leave it out; `lit-passk validate` "
            "evaluates without training."
        )
    for name in ("val_check_interval", "check_val_every_n_epoch"):
        every = getattr(trainer, name, None)  # Lightning has none where the interval is a time
        if every is not None and every <= 0:
            raise Refusal(
                f"`trainer.{name}` must be above 0, but got {every}. To train without validation leave `data.val` out, "
                "or set `trainer.limit_val_batches: 0`."
            )
    overfit = trainer.overfit_batches  # type: ignore[attr-defined]
    if overfit > 0:
        raise Refusal(
            f"`trainer.overfit_batches` must be 0, but got {overfit}: an RL step draws its prompts by "
            "its number, so every step would have others. Give `data.train` a task with as few problems as a step has "
            "(`data.prompts_per_step`)."
        )
    if isinstance(trainer.strategy.checkpoint_io, AsyncCheckpointIO):
        raise Refusal(
            "`trainer.plugins` must not hold AsyncCheckpointIO: an older checkpoint would be removed while the new one "
            "is still being written, and a kill would leave none. Leave it out."
        )
    connector = trainer._accelerator_connector
    if trainer.world_size > 1 and connector.use_distributed_sampler:
        raise Refusal(
            "`trainer.use_distributed_sampler` must be False with several processes: the data module deals prompts out "
            "to ranks by itself, and Lightning's sampler repeats some of them. Set "
            "`Trainer(use_distributed_sampler=False)`."
        )
