"""What a checkpoint holds besides weights and optimizer, so that a resumed run ends as an uninterrupted one would."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lit_passk import __version__
from lit_passk.advantages import AdvantageStrategy
from lit_passk.advantages.base import with_parts
from lit_passk.checkpointing.files import random_states
from lit_passk.modules.policies import Compute
from lit_passk.policy.lora import LoRA, is_adapter

log = logging.getLogger(__name__)


def add_run_state(
    checkpoint: dict[str, Any],
    *,
    rl_step: int,
    policy: str,
    dtype: str,
    lora: LoRA | None,
    config: str,
    metrics: Mapping[str, Any],
    optimizers: Sequence[str],
) -> None:
    """Add the number of RL steps, every rank's random numbers and what an export wants to know; a collective.

    With LoRA only the adapters' weights stay in the checkpoint.
    """
    checkpoint["rl_step"] = rl_step
    checkpoint["random_states"] = random_states()
    checkpoint["policy"] = policy
    checkpoint["dtype"] = dtype
    checkpoint["lora"] = asdict(lora) if lora is not None else None
    checkpoint["config"] = config
    checkpoint["metrics"] = {name: float(value) for name, value in metrics.items() if name != "step"}
    checkpoint["optimizers"] = list(optimizers)
    checkpoint["lit_passk"] = __version__
    checkpoint["state_dict"] = kept_weights(checkpoint["state_dict"], lora)


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
