"""What a checkpoint holds besides weights and optimizer, so that a resumed run ends as an uninterrupted one would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lit_passk.checkpointing.files import random_states
from lit_passk.modules.policies import Compute
from lit_passk.policy.lora import LoRA, is_adapter


def add_run_state(
    checkpoint: dict[str, Any],
    *,
    rl_step: int,
    policy: str,
    dtype: str,
    lora: LoRA | None,
    config: str,
    metrics: Mapping[str, Any],
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
    if lora is not None:
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: values for name, values in state.items() if is_adapter(name)}


def constructor_settings(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``PassKRLModule`` that its weights depend on."""
    lora = LoRA(**checkpoint["lora"]) if checkpoint["lora"] else None
    return {"policy": checkpoint["policy"], "lora": lora, "compute": Compute(dtype=checkpoint["dtype"])}


def forget_elapsed_time(checkpoint: dict[str, Any]) -> None:
    """``trainer.max_time`` is of one process: a resumed run would otherwise end as soon as it begins."""
    for name in [name for name in checkpoint.get("callbacks", {}) if name.startswith("Timer")]:
        del checkpoint["callbacks"][name]
