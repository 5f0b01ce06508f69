"""What a checkpoint holds besides weights and optimizer, so that a resumed run ends as an uninterrupted one would."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.trainer.states import TrainerFn

from lit_passk import __version__
from lit_passk.advantages import AdvantageStrategy
from lit_passk.advantages.base import with_parts
from lit_passk.checkpointing.files import random_states, restore_random_states
from lit_passk.checkpointing.fingerprint import policy_fingerprint
from lit_passk.modules.policies import Compute
from lit_passk.modules.resume_checks import check_base, check_fits, check_optimizers, say_changes
from lit_passk.modules.skipped import check_weights
from lit_passk.policy.lora import LoRA, is_adapter

if TYPE_CHECKING:
    from lit_passk.modules.passk import PassKRLModule

log = logging.getLogger(__name__)


class RunState:
    """What a ``PassKRLModule`` writes into its checkpoints and takes from them."""

    def __init__(self) -> None:
        self._random_states: Sequence[dict[str, Any]] = ()  # of the checkpoint, until training starts
        self._optimizers: list[str] | None = None  # their classes, of the checkpoint
        self._metrics: dict[str, float] = {}  # of the checkpoint, until training starts
        self._policy_weights: str | None = None  # fingerprint of those that training starts from

    def write(self, module: PassKRLModule, checkpoint: dict[str, Any]) -> None:
        """Add the number of RL steps, random numbers and what an export wants to know; a collective.

        With LoRA only the adapters' weights stay in the checkpoint.

        Raises:
            CannotRun: If a run could not go on from the weights.
        """
        if "optimizer_states" in checkpoint:  # to go on from; weights alone are written to look into
            check_weights(module.policy, module.rl_step)
        lora, metrics = module.lora, module.trainer.callback_metrics
        checkpoint |= {
            "rl_step": module.rl_step,
            "random_states": random_states(),
            "policy": module.policy_path,
            "policy_weights": self._policy_weights,
            "dtype": module.compute.dtype,
            "lora": asdict(lora) if lora is not None else None,
            "config": module.config_yaml,
            "metrics": {name: float(value) for name, value in metrics.items() if name != "step"},
            "optimizers": _classes(module.trainer.optimizers),
            "lit_passk": __version__,
            "state_dict": kept_weights(checkpoint["state_dict"], lora),
            "advantage": strategy_state(module.advantage),
        }

    def read(self, module: PassKRLModule, checkpoint: dict[str, Any]) -> None:
        """Take the number of RL steps and what the strategy remembers; the rest waits for ``start``.

        Raises:
            Refusal: If the checkpoint is not of this run.
        """
        training = module._trainer is not None and module.trainer.state.fn == TrainerFn.FITTING
        check_fits(
            checkpoint,
            kept_weights(module.state_dict(), module.lora),
            policy=module.policy_path,
            lora=module.lora,
            training=training,
        )
        if training:
            say_changes(checkpoint["config"], module.config_yaml)
        if module.lora is not None or (training and module.objective.kl_coef != 0):
            check_base(checkpoint, module.policy_path, "`model.policy`")
        self._optimizers = checkpoint.get("optimizers")
        self._random_states = checkpoint["random_states"]
        self._metrics = checkpoint["metrics"]
        module.rl_step = checkpoint["rl_step"]
        restore_strategy(module.advantage, checkpoint.get("advantage", ()))
        forget_elapsed_time(checkpoint)

    def start(self, module: PassKRLModule) -> None:
        """Go on with the checkpoint's random numbers and metrics, once, and with its optimizer's state if that fits.

        The metrics are there for callbacks that look at one (``EarlyStopping``) after a validation that is run again
        before the next step.

        Raises:
            Refusal: If the state is of another optimizer.
        """
        self._policy_weights = policy_fingerprint(module.policy_path)
        if self._random_states:
            restore_random_states(self._random_states)
        module.trainer.callback_metrics.update({name: torch.tensor(value) for name, value in self._metrics.items()})
        self._random_states, self._metrics = (), {}
        if module.trainer.ckpt_path is not None:
            now = _classes(module.trainer.optimizers)
            check_optimizers(self._optimizers or now, now)
            module.optimization.resume(module.optimizers(), module.lr_schedulers())


def _classes(optimizers: Sequence[Any]) -> list[str]:
    return [type(optimizer).__name__ for optimizer in optimizers]


def kept_weights(state: dict[str, Any], lora: LoRA | None) -> dict[str, Any]:
    """Those of a module's weights that a checkpoint holds."""
    return state if lora is None else {name: values for name, values in state.items() if is_adapter(name)}


def constructor_settings(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``PassKRLModule`` that its weights depend on."""
    lora = LoRA(**checkpoint["lora"]) if checkpoint["lora"] else None
    return {"policy": checkpoint["policy"], "lora": lora, "compute": Compute(dtype=checkpoint["dtype"])}


def strategy_state(strategy: AdvantageStrategy) -> list[dict[str, Any]]:
    """What a strategy and those within it remember."""
    return [{"class": type(part).__name__, "state": part.state_dict()} for part in with_parts(strategy)]


def restore_strategy(strategy: AdvantageStrategy, saved: Sequence[Mapping[str, Any]]) -> None:
    """Give it back; another strategy than the checkpoint's begins anew, which is said where something is lost."""
    parts = with_parts(strategy)
    if [part["class"] for part in saved] == [type(part).__name__ for part in parts]:
        for part, was in zip(parts, saved, strict=True):
            part.load_state_dict(was["state"])
    elif lost := [part["class"] for part in saved if part["state"]]:
        log.warning("The checkpoint's advantage is another: what its %s remembered is left.", ", ".join(lost))


def forget_elapsed_time(checkpoint: dict[str, Any]) -> None:
    """``trainer.max_time`` is of one process: a resumed run would otherwise end as soon as it begins."""
    for name in [name for name in checkpoint.get("callbacks", {}) if name.startswith("Timer")]:
        del checkpoint["callbacks"][name]
