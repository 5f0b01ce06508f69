"""Prompts drawn by pass rates, in a real Trainer: whenever a source asks for them, a resumed run has the same ones."""

from __future__ import annotations

import lightning as L
import pytest
import torch
from helpers.counting import MoreUps
from helpers.scripted_engine import ScriptedEngine
from lightning.pytorch.callbacks import ModelCheckpoint

from lit_passk.advantages import DrGRPO
from lit_passk.callbacks import RolloutCallback
from lit_passk.data import PromptDataModule
from lit_passk.data.samplers import PromptSampler
from lit_passk.modules import PassKRLModule
from lit_passk.rollout.on_policy import OnPolicy
from lit_passk.rollout.one_step_off_policy import OneStepOffPolicy
from lit_passk.rollout.parity import ParityCheck
from lit_passk.types import Sampling

STEPS, STOP = 7, 4


def script(prompt, seed):
    """Four tokens of the maze vocabulary that depend on the prompt and the seed, whatever the weights."""
    draw = torch.Generator().manual_seed(hash((prompt, seed)) % 2**31)
    return torch.randint(2, 11, (4,), generator=draw).tolist(), [-1.0] * 4


class AsksEarly(OnPolicy):
    """Looks at the next prompts before it is known what this step's were good for."""

    def rollouts(self, step, sampler):
        step.loader.peek()
        return super().rollouts(step, sampler)


class SeldomSeen(PromptSampler):
    """What was just sampled hardly ever comes again: a draw with less known is another one."""

    def weights(self, candidates):
        return 10.0 ** -candidates.counts.scored.clamp(max=99)


class Watch(L.Callback):
    def __init__(self) -> None:
        self.steps: dict[int, list[int]] = {}
        self.metrics: dict[str, float] = {}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps[pl_module.rl_step - 1] = batch.rollouts.indices.tolist()
        self.metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}


def fit(policy, source, folder, ckpt_path=None) -> Watch:
    watch, engine = Watch(), ScriptedEngine(script, beside_training=True)
    rollout = RolloutCallback(
        engine, group_size=4, sampling=Sampling(max_tokens=4), source=source, parity=ParityCheck(every=0)
    )
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=STEPS,
        callbacks=[rollout, watch, ModelCheckpoint(folder, every_n_train_steps=1, save_top_k=-1, filename="{step}")],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    data = PromptDataModule(policy, train=MoreUps(24), prompts_per_step=4, sampler=SeldomSeen())
    trainer.fit(PassKRLModule(policy, DrGRPO(), ks=[1, 2]), datamodule=data, ckpt_path=ckpt_path)
    return watch


@pytest.mark.parametrize("source", [OnPolicy, AsksEarly, OneStepOffPolicy])
def test_a_resumed_run_has_the_same_prompts(source, maze_policy, tmp_path):
    whole = fit(maze_policy, source(), tmp_path)
    assert sorted(whole.steps) == list(range(STEPS))
    resumed = fit(maze_policy, source(), tmp_path / "again", str(tmp_path / f"step={STOP}.ckpt"))
    assert resumed.steps == {step: prompts for step, prompts in whole.steps.items() if step >= STOP}
    known = {name: value for name, value in whole.metrics.items() if name.startswith("sampler/")}
    assert known.keys() == {"sampler/pass_rate", "sampler/pass_rate_std", "sampler/effective_prompts"}
    assert {name: resumed.metrics[name] for name in known} == known
