"""What a checkpoint holds besides weights and optimizer, so that a resumed run ends as an uninterrupted one would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import lightning as L

from lit_passk.checkpointing.files import random_states, restore_random_states
from lit_passk.policy.lora import LoRA, is_adapter


class Resumable(L.LightningModule):
    """Saves and restores the number of RL steps and every rank's random numbers; keeps what an export wants to know."""

    rl_step: int = 0
    """RL steps done so far; also the version of the policy's weights."""
    policy_path: str
    dtype_name: str
    lora: LoRA | None = None
    config_yaml: str = ""
    """The command line's configuration, for checkpoints and model cards."""
    _random_states: Sequence[dict[str, Any]] = ()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add to a checkpoint; a collective. With LoRA only the adapters' weights stay in it."""
        checkpoint["rl_step"] = self.rl_step
        checkpoint["random_states"] = random_states()
        checkpoint["policy"] = self.policy_path
        checkpoint["dtype"] = self.dtype_name
        checkpoint["lora"] = asdict(self.lora) if self.lora is not None else None
        checkpoint["config"] = self.config_yaml
        checkpoint["metrics"] = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        if self.lora is not None:
            state = checkpoint["state_dict"]
            checkpoint["state_dict"] = {name: values for name, values in state.items() if is_adapter(name)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the number of RL steps; random states wait until training starts."""
        self.rl_step = checkpoint["rl_step"]
        self._random_states = checkpoint["random_states"]

    def on_train_start(self) -> None:
        """Go on with the random numbers of the checkpoint."""
        if self._random_states:
            restore_random_states(self._random_states)
        self._random_states = ()
