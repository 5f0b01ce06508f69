"""RolloutCallback in a real Trainer with a scripted engine: what a batch holds, when the engine is asked for what."""

from __future__ import annotations

import lightning as L
import pytest
import torch
from helpers.counting import MoreUps
from helpers.scripted import scripted_rollouts
from helpers.scripted_engine import ScriptedEngine

from lit_passk.advantages import DrGRPO
from lit_passk.callbacks import RolloutCallback
from lit_passk.data import PromptDataModule, ReplayDataModule
from lit_passk.modules import PassKRLModule
from lit_passk.results.save_rollouts import SaveRollouts
from lit_passk.results.step_files import StepFolder
from lit_passk.rollout.parity import ParityCheck
from lit_passk.rollout.source import RolloutSource
from lit_passk.types import PromptBatch, RolloutBatch, Sampling

LOGPROB = -1.2345678901  # not a bfloat16


def script(prompt, seed):
    """A completion of 1 to 4 tokens of the maze vocabulary that depends on the prompt and the seed."""
    draw = torch.Generator().manual_seed(hash((prompt, seed)) % 2**31)
    length = int(torch.randint(1, 5, (), generator=draw))
    return [*torch.randint(2, 11, (5,), generator=draw).tolist()[:length], *[5] * 5], [LOGPROB] * (length + 5)


class Watch(L.Callback):
    """Keeps the batches that the module got, and what was in them when the hooks ran."""

    def __init__(self) -> None:
        self.trained: list[RolloutBatch] = []
        self.validated: list[list[int]] = []
        self.batches: list[PromptBatch] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.batches.append(batch)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        assert batch is self.batches[-1], "Lightning hands the same object on"
        self.trained.append(batch.rollouts)

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0):
        self.validated.append(batch.rollouts.indices.tolist())


def make_trainer(*callbacks, **settings):
    defaults = {"max_steps": 3, "val_check_interval": 1, "check_val_every_n_epoch": None, "log_every_n_steps": 1}
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return L.Trainer(
        accelerator="cpu", enable_model_summary=False, callbacks=[*callbacks], **{**defaults, **quiet, **settings}
    )


def fit(policy, engine, watch, *, source=None, **settings):
    rollout = RolloutCallback(
        engine,
        group_size=4,
        sampling=Sampling(max_tokens=4),
        val_sampling=Sampling(max_tokens=4),
        source=source,
        parity=ParityCheck(every=0),
    )
    trainer = make_trainer(rollout, watch, **settings)
    module = PassKRLModule(policy, DrGRPO(), ks=[1, 2])
    data = PromptDataModule(
        policy, train=MoreUps(6), val={"items": MoreUps(5)}, prompts_per_step=3, val_prompts_per_step=1
    )
    trainer.fit(module, datamodule=data)
    return trainer, module


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
def test_the_module_gets_the_batch_that_was_filled(maze_policy, precision):
    watch, engine = Watch(), ScriptedEngine(script)
    trainer, module = fit(maze_policy, engine, watch, precision=precision, limit_val_batches=0)
    assert module.rl_step == 3
    assert [r.version for r in watch.trained] == [0, 1, 2]
    for rollouts in watch.trained:
        assert rollouts.rewards.dtype == torch.float32
        for values in rollouts.rollout_logprobs:
            assert values.dtype == torch.float32
            assert torch.equal(values, torch.full_like(values, LOGPROB))
    assert torch.isfinite(torch.tensor(float(trainer.callback_metrics["train/grad_norm"])))


def test_the_engine_sleeps_while_the_policy_trains_and_gets_every_version(maze_policy):
    engine = ScriptedEngine(script)
    fit(maze_policy, engine, Watch(), limit_val_batches=0)
    assert engine.calls == [
        "start",
        *("wake", "generate", "sleep"),
        *("wake", "load_weights 1", "generate", "sleep"),
        *("wake", "load_weights 2", "generate", "sleep"),
        "close",
    ]
    seeds = [seed for _, _, seeds in engine.requests for seed in seeds]
    assert len(set(seeds)) == len(seeds), "every step and prompt has a seed of its own"


def test_every_validation_has_the_same_problems_however_it_is_cut(maze_policy):
    watch = Watch()
    fit(maze_policy, ScriptedEngine(script), watch, limit_val_batches=2)
    sanity, *validations = zip(watch.validated[::2], watch.validated[1::2], strict=True)
    assert sanity == ([0], [1]), "Lightning's sanity check"
    assert validations == [([0], [1])] * 3


def test_a_batch_with_rollouts_is_left_alone_and_saved(maze_policy, tmp_path):
    recorded = [scripted_rollouts([[1, 0, 0, 1]]), scripted_rollouts([[0, 1, 1, 1]], seed=1)]
    watch, engine = Watch(), ScriptedEngine(script)
    rollout = RolloutCallback(engine, group_size=4, save=SaveRollouts())
    trainer = make_trainer(rollout, watch, max_steps=2, default_root_dir=tmp_path)
    data = ReplayDataModule(recorded, val={"again": recorded})
    trainer.fit(PassKRLModule(maze_policy, DrGRPO(), ks=[1, 2]), datamodule=data)
    assert all(found is given for found, given in zip(watch.trained, recorded, strict=True))
    assert engine.requests == []
    assert float(trainer.callback_metrics["val/again/pass@1"]) == pytest.approx(5 / 8)
    saved = dict(StepFolder.open(tmp_path / "rollouts").steps())
    assert {step: [record.correct for record in records] for step, records in saved.items()} == {
        1: [True, False, False, True],
        2: [False, True, True, True],
    }
    assert [record.advantage for record in saved[1]] == pytest.approx([0.5, -0.5, -0.5, 0.5])


class EveryOther(RolloutSource):
    """A source of a user's: trains on every other prompt."""

    def __init__(self) -> None:
        self.seen: list[tuple] = []

    def rollouts(self, step, sampler):
        self.seen.append((step.number, step.is_last, list(step.loader.peek().indices)))
        return sampler.rollouts(step, step.batch.select(range(0, len(step.batch.problems), 2)))


def test_a_users_source(maze_policy):
    watch, source = Watch(), EveryOther()
    fit(maze_policy, ScriptedEngine(script), watch, source=source, limit_val_batches=0)
    assert [number for number, _, _ in source.seen] == [0, 1, 2]
    assert [last for _, last, _ in source.seen] == [False, False, True]
    for rollouts, batch in zip(watch.trained, watch.batches, strict=True):
        assert rollouts.indices.tolist() == list(batch.indices)[::2]
        assert rollouts.positions.tolist() == [0, 2]
    upcoming = [indices for _, _, indices in source.seen[:-1]]
    assert upcoming == [list(batch.indices) for batch in watch.batches[1:]], "peek shows the next step's prompts"


def test_without_the_callback_the_module_says_what_is_missing(maze_policy):
    module = PassKRLModule(maze_policy, DrGRPO())
    data = PromptDataModule(maze_policy, train=MoreUps(6), prompts_per_step=3)
    with pytest.raises(RuntimeError, match=r"RolloutCallback.*ReplayDataModule"):
        make_trainer().fit(module, datamodule=data)


@pytest.mark.parametrize(("train", "val"), [(200, 4), (4, 200)], ids=["training", "validation"])
def test_completions_that_do_not_fit_are_refused_before_a_policy_is_loaded(maze_policy, train, val, monkeypatch):
    monkeypatch.setattr("lit_passk.modules.passk.build_policy", None)
    rollout = RolloutCallback(
        ScriptedEngine(script), sampling=Sampling(max_tokens=train), val_sampling=Sampling(max_tokens=val)
    )
    data = PromptDataModule(maze_policy, train=MoreUps(6), val={"ups": MoreUps(5)}, prompts_per_step=3)
    with pytest.raises(ValueError, match="max_tokens=200 do not fit in 128"):
        make_trainer(rollout).fit(PassKRLModule(maze_policy, DrGRPO(), ks=[1]), datamodule=data)
