"""A small training in this process, with an engine that answers from a script, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from helpers.counting import MoreUps
from helpers.scripted_engine import ScriptedEngine

from lit_passk.advantages import DrGRPO
from lit_passk.callbacks import ResumeCheckpoint, RolloutCallback, StopOnSignal
from lit_passk.checkpointing.files import CheckpointFiles
from lit_passk.checkpointing.run_folder import last_checkpoint
from lit_passk.data import PromptDataModule
from lit_passk.modules import PassKRLModule
from lit_passk.results.save_rollouts import SaveRollouts
from lit_passk.rollout.parity import ParityCheck
from lit_passk.types import Sampling

STEPS = 4


def script(prompt: Any, seed: int) -> tuple[list[int], list[float]]:
    draw = torch.Generator().manual_seed(seed % 2**31)
    return [*torch.randint(5, 9, (3,), generator=draw).tolist(), *[5] * 5], [-1.5] * 8


class Drawing(L.Callback):
    """Random numbers that a user's callback draws in a step; they go on where they stood."""

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
        pl_module.log("drawn", torch.rand(()))


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-2)


def build(
    policy: str,
    folder: Path,
    *callbacks: L.Callback,
    every: int = 50,
    steps: int = STEPS,
    workers: bool = False,
    kind: type[PassKRLModule] = PassKRLModule,
    of_trainer: Mapping[str, Any] | None = None,
    **settings: Any,
) -> tuple[L.Trainer, PassKRLModule, PromptDataModule]:
    """The trainer with these callbacks and settings, a module of this kind with its settings, and the data.

    ``workers`` has processes score.
    """
    rollout = RolloutCallback(
        ScriptedEngine(script),
        group_size=4,
        sampling=Sampling(max_tokens=4),
        val_sampling=Sampling(max_tokens=4),
        parity=ParityCheck(every=0),
        save=SaveRollouts(),
    )
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "max_steps": 2 * steps,
        "max_epochs": -1,
        "val_check_interval": 1,
        "check_val_every_n_epoch": None,
        "num_sanity_val_steps": 0,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "inference_mode": False,
        "default_root_dir": folder,
        "plugins": [CheckpointFiles()],
        "callbacks": [StopOnSignal(), *callbacks, Drawing(), rollout, ResumeCheckpoint(every)],
    }
    trainer = L.Trainer(**(defaults | dict(of_trainer or {})))
    settings = {"ks": [1, 2], "num_minibatches": 2, "optimizer": adam, **settings}
    module = kind(policy, DrGRPO(), **settings)
    train = MoreUps(7, hang_on="none of them" if workers else None)
    data = PromptDataModule(policy, train, {"ups": MoreUps(5)}, prompts_per_step=3, val_prompts_per_step=2)
    return trainer, module, data


def run(
    policy: str, folder: Path, *callbacks: L.Callback, resume: bool = False, every: int = 50
) -> tuple[L.Trainer, PassKRLModule]:
    """Train, from the last checkpoint if told so."""
    torch.manual_seed(int(resume))
    trainer, module, data = build(policy, folder, *callbacks, every=every)
    trainer.fit(module, datamodule=data, ckpt_path=last_checkpoint(folder) if resume else None)
    return trainer, module
