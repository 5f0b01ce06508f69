"""What a checkpoint holds besides weights and optimizer, so that a resumed run ends as an uninterrupted one would."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lit_passk.checkpointing.files import random_states
from lit_passk.policy.lora import is_adapter

if TYPE_CHECKING:
    from lit_passk.modules.passk import PassKRLModule


def add_run_state(module: PassKRLModule, checkpoint: dict[str, Any]) -> None:
    """Add the number of RL steps, every rank's random numbers and what an export wants to know; a collective.

    With LoRA only the adapters' weights stay in the checkpoint.
    """
    lora = module.lora
    checkpoint["rl_step"] = module.rl_step
    checkpoint["random_states"] = random_states()
    checkpoint["policy"] = module.policy_path
    checkpoint["dtype"] = module.compute.dtype
    checkpoint["lora"] = asdict(lora) if lora is not None else None
    checkpoint["config"] = module.config_yaml
    checkpoint["metrics"] = {name: float(value) for name, value in module.trainer.callback_metrics.items()}
    if lora is not None:
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: values for name, values in state.items() if is_adapter(name)}
