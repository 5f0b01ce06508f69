"""Trainers that would make a run silently wrong are refused with what to set instead, from Python as from the CLI."""

import copy
import pickle
import re

import lightning as L
import pytest
import torch
from helpers.scripted import ReplayDataModule
from lightning.pytorch.plugins.io import AsyncCheckpointIO
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy
from lightning.pytorch.trainer.states import TrainerFn

from lit_passk.checkpointing.strategy import ShardedStrategy
from lit_passk.errors import Refusal
from lit_passk.modules import PassKRLModule
from lit_passk.modules.trainer_checks import check_trainer

QUIET = {
    "accelerator": "cpu",
    "max_steps": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}
SAFE = QUIET | {"inference_mode": False}


def trainer(fn=TrainerFn.FITTING, **settings):
    built = L.Trainer(**(SAFE | copy.deepcopy(settings)))  # a strategy serves one trainer
    built.state.fn = fn
    return built


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"precision": "bf16-mixed"},
        {"precision": "bf16-true"},
        {"strategy": "ddp", "devices": 2, "use_distributed_sampler": False},
        {"strategy": "ddp_find_unused_parameters_true", "devices": 1},
        {"strategy": ShardedStrategy(data_parallel_size=1), "devices": 1},
    ],
    ids=lambda value: re.sub(r" object at 0x\w+", "", str(value)),
)
def test_what_is_tested_is_accepted(settings):
    check_trainer(trainer(**settings))


@pytest.mark.parametrize("fn", [TrainerFn.FITTING, TrainerFn.VALIDATING])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "16-true"}, "must be one of .* got 16-true.*Set bf16-mixed"),
        ({"plugins": MixedPrecision("16-mixed", "cuda")}, "got 16-mixed.*scaled.*Set bf16-mixed"),
        ({"precision": "64-true"}, "got 64-true.*Set 32-true"),
        ({"strategy": "ddp_spawn", "devices": 2}, "Set `trainer.strategy` to `ddp`"),
        ({"strategy": "ddp_fork", "devices": 2}, "Set `trainer.strategy` to `ddp`"),
        ({"strategy": ShardedStrategy(tensor_parallel_size=2), "devices": 4}, "must be 1, but got 2.*size: 4"),
    ],
    ids=lambda value: re.sub(r" object at 0x\w+", "", str(value)),
)
@pytest.mark.filterwarnings("ignore:.*GradScaler.*")
def test_refused_in_every_stage(settings, message, fn):
    with pytest.raises(Refusal, match=message):
        check_trainer(trainer(fn, use_distributed_sampler=False, **settings))


def test_tensor_parallel_by_default(monkeypatch):
    """Lightning's own class makes all ranks of a node hold the same data."""
    strategy = ModelParallelStrategy()
    built = trainer(strategy=strategy, devices=4, use_distributed_sampler=False)
    strategy._data_parallel_size, strategy._tensor_parallel_size = 1, 4  # what it chooses once processes run
    with pytest.raises(Refusal, match=r"`data_parallel_size: 4` and `tensor_parallel_size: 1`"):
        check_trainer(built)


def test_fsdp1_is_refused():
    """Lightning wants a GPU for it, so the strategy is put in afterwards."""
    built = trainer()
    built._accelerator_connector.strategy = FSDPStrategy()
    with pytest.raises(Refusal, match=r"got FSDPStrategy.*`trainer.strategy: ModelParallelStrategy`"):
        check_trainer(built)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"overfit_batches": 1}, "`trainer.overfit_batches` must be 0, but got 1.*`data.prompts_per_step`"),
        ({"overfit_batches": 0.5}, "but got 0.5"),
        ({"limit_train_batches": 0}, "`trainer.limit_train_batches` must not be 0: nothing would be trained"),
        ({"limit_train_batches": 0.0}, "nothing would be trained"),
        ({"plugins": [AsyncCheckpointIO()]}, "AsyncCheckpointIO: an older checkpoint .* Leave it out"),
        ({"strategy": "ddp", "devices": 2}, r"`Trainer\(use_distributed_sampler=False\)`"),
    ],
    ids=lambda value: re.sub(r" object at 0x\w+", "", str(value)),
)
def test_refused_in_fit_alone(settings, message):
    with pytest.raises(Refusal, match=message):
        check_trainer(trainer(**settings))
    check_trainer(trainer(TrainerFn.VALIDATING, **settings))


@pytest.mark.parametrize("fn", [TrainerFn.VALIDATING, TrainerFn.TESTING, TrainerFn.PREDICTING])
def test_refused_in_evaluations_alone(fn):
    with pytest.raises(Refusal, match=r"`Trainer\(inference_mode=False\)`"):
        check_trainer(trainer(fn, inference_mode=True))
    check_trainer(trainer(inference_mode=True))


def module(maze_policy):
    return PassKRLModule(policy=maze_policy)


def test_python_users_meet_the_checks(maze_policy):
    with pytest.raises(Refusal, match=r"`trainer.precision` must be one of"):
        L.Trainer(**(SAFE | {"precision": "16-true"})).fit(module(maze_policy), datamodule=ReplayDataModule([]))


def test_spawned_processes(maze_policy):
    """They are refused before anything is pickled, whatever of it could not be."""
    spawning = L.Trainer(**(SAFE | {"strategy": "ddp_spawn", "devices": 2}))
    with pytest.raises(Refusal, match=r"ddp_spawn"):
        spawning.fit(module(maze_policy), datamodule=ReplayDataModule([]))


def test_a_module_can_be_copied(maze_policy):
    """Averaging callbacks copy a module, which is no spawning."""
    copied = copy.deepcopy(module(maze_policy))
    assert copied.policy_path == maze_policy


def test_a_module_whose_callables_have_names_can_be_pickled(maze_policy):
    named = PassKRLModule(policy=maze_policy, optimizer=torch.optim.SGD, lr_scheduler=torch.optim.lr_scheduler.StepLR)
    assert pickle.loads(pickle.dumps(named)).policy_path == maze_policy
