"""Every setting and callback of Lightning's trainer works with the module as it says, or is refused with the remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
import pytest
import torch
from helpers.small_runs import STEPS, build
from lightning.pytorch import callbacks as C
from lightning.pytorch import loggers
from torch.optim import LBFGS, SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from lit_passk.callbacks import RolloutCallback
from lit_passk.checkpointing.run_folder import last_checkpoint
from lit_passk.errors import CannotRun, Refusal
from lit_passk.modules import PassKRLModule
from lit_passk.policy.lora import LoRA

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning has advice for most settings


def weights(module: PassKRLModule) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.policy.parameters()])


class Counted(L.Callback):
    """What happened, in order: an optimizer step, the end of an RL step, a validation."""

    def __init__(self) -> None:
        self.events = ""

    def on_before_optimizer_step(self, *args: Any) -> None:
        self.events += "o"

    def on_train_batch_end(self, *args: Any) -> None:
        self.events += "|"

    def on_validation_end(self, *args: Any) -> None:
        self.events += "V"


def fit(policy: str, folder: Any, *callbacks: L.Callback, **settings: Any) -> tuple[L.Trainer, PassKRLModule, str]:
    torch.manual_seed(0)
    counted = Counted()
    of_trainer = {"log_every_n_steps": 1} | settings.pop("of_trainer", {})
    trainer, module, data = build(policy, folder, *callbacks, counted, of_trainer=of_trainer, **settings)
    trainer.fit(module, datamodule=data)
    return trainer, module, counted.events


@pytest.fixture(scope="module")
def plain(maze_policy, tmp_path_factory):
    """Weights, events and metrics of a run without anything special."""
    trainer, module, events = fit(maze_policy, tmp_path_factory.mktemp("plain"))
    return weights(module), events, trainer.callback_metrics


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accumulate_grad_batches": 2}, r"accumulate_grad_batches` must be 1, but got 2.*`data.prompts_per_step`"),
        ({"gradient_clip_val": 0.5}, r"`model.max_grad_norm`"),
        ({"gradient_clip_algorithm": "value"}, r"`model.max_grad_norm`.*`trainer.gradient_clip_algorithm` unset"),
    ],
    ids=str,
)
def test_settings_of_gradients(maze_policy, tmp_path, settings, message):
    with pytest.raises(Refusal, match=message):
        fit(maze_policy, tmp_path, of_trainer=settings)


@pytest.mark.parametrize(
    ("callback", "instead"),
    [
        (lambda: C.GradientAccumulationScheduler({0: 2}), "`data.prompts_per_step`"),
        (C.BatchSizeFinder, "`model.compute.token_budget`"),
        (C.LearningRateFinder, "`model.optimizer.lr`"),
        (lambda: C.StochasticWeightAveraging(1e-2, swa_epoch_start=1), "`EMAWeightAveraging`"),
        (lambda: C.ModelPruning("l1_unstructured"), "`lit-passk export`"),
        (C.BackboneFinetuning, "`configure_optimizers`"),
    ],
)
def test_callbacks_that_cannot_work(maze_policy, tmp_path, callback: Callable[[], L.Callback], instead):
    with pytest.raises(Refusal, match=f"{type(callback()).__name__} cannot be used here: .*{instead}"):
        fit(maze_policy, tmp_path, callback())


@pytest.mark.parametrize(
    ("callbacks", "settings", "events"),
    [
        ([], {"profiler": "simple"}, None),
        ([], {"profiler": "advanced"}, None),
        ([], {"detect_anomaly": True}, None),
        ([], {"benchmark": True, "min_steps": 2, "sync_batchnorm": True}, None),
        ([], {"limit_train_batches": 0.5, "reload_dataloaders_every_n_epochs": 1}, None),
        ([], {"val_check_interval": 0.5, "check_val_every_n_epoch": 1}, None),
        ([], {"val_check_interval": "00:01:00:00"}, "oo|oo|oo|oo|"),
        ([], {"num_sanity_val_steps": -1, "limit_val_batches": 1}, "Voo|Voo|Voo|Voo|V"),
        ([], {"enable_progress_bar": True, "enable_model_summary": True}, None),
        ([lambda: C.RichProgressBar(), lambda: C.RichModelSummary()], {"enable_progress_bar": True}, None),
        ([lambda: C.SpikeDetection()], {}, None),
        ([lambda: C.ThroughputMonitor(lambda batch: len(batch.problems))], {"logger": True}, None),
        ([lambda: C.LearningRateMonitor("step"), lambda: C.DeviceStatsMonitor(cpu_stats=True)], {"logger": True}, None),
        ([lambda: C.ModelCheckpoint(monitor="val/pass@2", mode="max", save_last=True)], {}, None),
        ([lambda: C.ModelCheckpoint(every_n_train_steps=3, save_top_k=-1, save_on_exception=True)], {}, None),
        ([lambda: C.EarlyStopping("val/pass@1", mode="max", patience=9), lambda: C.Timer("00:01:00:00")], {}, None),
        ([lambda: C.OnExceptionCheckpoint("unused")], {}, None),
    ],
    ids=lambda value: None if callable(value) or isinstance(value, list) else str(value),
)
def test_what_only_watches_changes_nothing(maze_policy, tmp_path, monkeypatch, plain, callbacks, settings, events):
    """The same optimizer steps on the same prompts; where nothing moves validations, the same metrics."""
    monkeypatch.chdir(tmp_path)
    if settings.get("logger"):
        settings = settings | {"logger": [loggers.CSVLogger(tmp_path, "a"), loggers.CSVLogger(tmp_path, "b")]}
    trainer, module, happened = fit(maze_policy, tmp_path, *(make() for make in callbacks), of_trainer=settings)
    theirs, their_events, their_metrics = plain
    assert torch.equal(weights(module), theirs)
    assert trainer.global_step == 2 * STEPS
    assert happened == (events or their_events)
    if events is None:
        for name in ("train/reward", "train/grad_norm", "val/pass@2", "train/lr"):
            assert trainer.callback_metrics[name] == their_metrics[name], name


@pytest.mark.parametrize("number", [1, 2])
def test_a_trial_trains_on_as_many_batches_as_it_says(maze_policy, tmp_path, number):
    """Each takes two optimizer steps; Lightning's own limit would end the second trial before its validation."""
    assert fit(maze_policy, tmp_path, of_trainer={"fast_dev_run": number})[2] == "oo|" * number + "V"


class Sent(L.Callback):
    """Whether each step was sampled with the weights that it trains."""

    def __init__(self) -> None:
        self.same: list[bool] = []

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: PassKRLModule, *args: Any) -> None:
        [rollout] = [c for c in trainer.callbacks if isinstance(c, RolloutCallback)]
        sent = rollout.engine.weights
        if pl_module.rl_step > 0:  # before, the engine has the folder's
            state = pl_module.policy.model.state_dict()
            self.same.append(all(torch.equal(values, state[name]) for name, values in sent.items()) and bool(sent))


def averaging() -> L.Callback:
    return C.EMAWeightAveraging(decay=0.5)


def test_averaged_weights_are_validated_and_not_sampled_from(maze_policy, tmp_path, plain):
    sent = Sent()
    trainer, module, data = build(maze_policy, tmp_path, averaging())
    trainer.callbacks.append(sent)  # after the rollouts
    torch.manual_seed(0)
    trainer.fit(module, datamodule=data)
    assert sent.same == [True] * (STEPS - 1)
    assert not torch.equal(weights(module), plain[0])  # at the end, the average
    saved = torch.load(last_checkpoint(tmp_path), weights_only=False)
    state, names = saved["current_model_state"], [name for name, _ in module.policy.named_parameters()]
    trained = torch.cat([state[f"policy.{name}"].flatten() for name in names])
    torch.testing.assert_close(trained, plain[0])  # to go on from


def test_weights_that_are_not_whole_cannot_be_averaged(maze_policy, tmp_path):
    with pytest.raises(Refusal, match=r"`WeightAveraging`.*`model.lora`"):
        fit(maze_policy, tmp_path, averaging(), lora=LoRA(rank=2))


def subclass(**members: Any) -> type[PassKRLModule]:
    return type("Mine", (PassKRLModule,), members)


def nothing(self: Any, *args: Any, **kwargs: Any) -> None:
    """Overrides without calling the method of the base class."""


@pytest.mark.parametrize(
    "name", ["optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping", "lr_scheduler_step"]
)
def test_hooks_that_are_never_called(maze_policy, tmp_path, name):
    with pytest.raises(Refusal, match=rf"`Mine.{name}` would never be called"):
        fit(maze_policy, tmp_path, kind=subclass(**{name: nothing}))


@pytest.mark.parametrize("name", ["setup", "on_fit_start", "on_train_start", "on_validation_epoch_start"])
def test_hooks_that_have_to_be_extended(maze_policy, tmp_path, name):
    with pytest.raises(Refusal, match=rf"`Mine.{name}` has to call `super\(\)"):
        fit(maze_policy, tmp_path, kind=subclass(**{name: nothing}))


def test_a_hook_under_a_second_name_is_extended_once(maze_policy, tmp_path):
    class Mine(PassKRLModule):
        def on_validation_epoch_start(self) -> None:
            super().on_validation_epoch_start()

        on_test_epoch_start = on_validation_epoch_start

    assert fit(maze_policy, tmp_path, kind=Mine)[1].rl_step == STEPS


def sgd(module: PassKRLModule) -> SGD:
    return SGD(module.policy.parameters(), lr=0.1)


def every_third(module: PassKRLModule) -> dict[str, Any]:
    optimizer = sgd(module)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": StepLR(optimizer, 1), "frequency": 3}}


def on_plateau(module: PassKRLModule) -> dict[str, Any]:
    optimizer = sgd(module)
    schedule = ReduceLROnPlateau(optimizer)
    settings = {"scheduler": schedule, "monitor": "train/reward", "interval": "step"}
    return {"optimizer": optimizer, "lr_scheduler": settings}


def every_epoch(module: PassKRLModule) -> dict[str, Any]:
    optimizer = sgd(module)
    return {"optimizer": optimizer, "lr_scheduler": StepLR(optimizer, 1)}


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda self: None, "returned 0 and 0"),
        (lambda self: [sgd(self), sgd(self)], "returned 2 and 0"),
        (every_third, r"frequency` \[3\]"),
        (every_epoch, r"`interval: epoch`.*'interval': 'step'"),
        (on_plateau, "ReduceLROnPlateau"),
        (lambda self: LBFGS(self.policy.parameters()), "LBFGS"),
    ],
)
def test_optimizers_that_cannot_be_used(maze_policy, tmp_path, returned, message):
    with pytest.raises(Refusal, match=message):
        fit(maze_policy, tmp_path, kind=subclass(configure_optimizers=returned))


def test_a_subclass_of_ones_own(maze_policy, tmp_path):
    """An optimizer without a schedule, callbacks, hooks and metrics of one's own; it goes on from its checkpoint."""
    rates = []

    class Mine(PassKRLModule):
        def configure_optimizers(self):
            return sgd(self)

        def configure_callbacks(self):
            return [C.EarlyStopping("mine", patience=99)]

        def training_step(self, batch, batch_idx):
            outputs = super().training_step(batch, batch_idx)
            self.log("mine", outputs["loss"])
            return outputs

        def on_train_start(self):
            super().on_train_start()

        def on_before_optimizer_step(self, optimizer):
            rates.append(optimizer.param_groups[0]["lr"])

    fit(maze_policy, tmp_path / "half", kind=Mine, steps=2)
    trainer, module, data = build(maze_policy, tmp_path / "half", kind=Mine)
    trainer.fit(module, datamodule=data, ckpt_path=last_checkpoint(tmp_path / "half"))
    whole = fit(maze_policy, tmp_path / "whole", kind=Mine)[1]
    torch.testing.assert_close(weights(module), weights(whole))
    assert rates == [0.1] * 4 * STEPS  # exact: nothing is computed
    assert any(isinstance(c, C.EarlyStopping) for c in trainer.callbacks)
    assert trainer.callback_metrics["mine"].isfinite()


def test_a_schedule_of_ones_own_counts_optimizer_steps(maze_policy, tmp_path):
    def configure_optimizers(self):
        optimizer = sgd(self)
        return [optimizer], [{"scheduler": StepLR(optimizer, 4, gamma=0.5), "interval": "step"}]

    trainer, *_ = fit(maze_policy, tmp_path, kind=subclass(configure_optimizers=configure_optimizers))
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 * 0.5 ** (2 * STEPS // 4))


def test_a_step_that_returns_nothing_cannot_be_saved(maze_policy, tmp_path):
    def training_step(self, batch, batch_idx):
        PassKRLModule.training_step(self, batch, batch_idx)

    with pytest.raises(CannotRun, match=r"Mine.training_step` does not return"):
        fit(maze_policy, tmp_path, kind=subclass(training_step=training_step))


def test_a_finished_run_with_averaged_weights_goes_on(maze_policy, tmp_path):
    fit(maze_policy, tmp_path / "half", averaging(), steps=2)
    trainer, module, data = build(maze_policy, tmp_path / "half", averaging())
    trainer.fit(module, datamodule=data, ckpt_path=last_checkpoint(tmp_path / "half"))
    torch.testing.assert_close(weights(module), weights(fit(maze_policy, tmp_path / "whole", averaging())[1]))


def test_no_checkpoint_is_written_in_the_middle_of_a_validation_of_averages(maze_policy, tmp_path):
    class Fails(L.Callback):
        def on_validation_batch_end(self, trainer, *args):
            if trainer.global_step == 4:
                raise ValueError("a user's mistake")

    with pytest.raises(ValueError, match="mistake"):
        fit(maze_policy, tmp_path, averaging(), Fails(), every=1)
    assert last_checkpoint(tmp_path).name == "step=1.ckpt"
