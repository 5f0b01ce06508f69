"""One module in several runs of one trainer or of several: an engine samples with the weights that the module has."""

from __future__ import annotations

import lightning as L
import pytest
import torch
from helpers.small_runs import STEPS, build
from lightning.pytorch.callbacks import EarlyStopping

from lit_passk.callbacks import RolloutCallback
from lit_passk.checkpointing.run_folder import last_checkpoint
from lit_passk.errors import Refusal

pytestmark = pytest.mark.filterwarnings("ignore")


def sent(trainer):
    """What the engine got last."""
    [rollout] = [callback for callback in trainer.callbacks if isinstance(callback, RolloutCallback)]
    return rollout.engine.weights


def assert_sampled_with(module, weights):
    state = module.policy.model.state_dict()
    assert weights.keys() == state.keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in state.items())


@pytest.fixture
def trained(maze_policy, tmp_path):
    torch.manual_seed(0)
    trainer, module, data = build(maze_policy, tmp_path / "first", steps=2)
    trainer.fit(module, datamodule=data)
    return trainer, module, data


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_an_evaluation_after_a_training_is_of_the_trained_policy(trained, stage):
    trainer, module, data = trained
    getattr(trainer, stage)(module, datamodule=data, verbose=False)
    assert_sampled_with(module, sent(trainer))
    assert module.rl_step == 2


def test_another_trainer_evaluates_what_was_trained(trained, maze_policy, tmp_path):
    _, module, data = trained
    other, *_ = build(maze_policy, tmp_path / "second")
    other.validate(module, datamodule=data, verbose=False)
    assert_sampled_with(module, sent(other))


def test_weights_changed_by_hand_before_any_step_are_sampled_from(maze_policy, tmp_path):
    trainer, module, data = build(maze_policy, tmp_path)
    module.configure_model()
    with torch.no_grad():
        next(module.policy.parameters()).add_(0.1)
    trainer.validate(module, datamodule=data, verbose=False)
    assert_sampled_with(module, sent(trainer))


def test_weights_of_the_folder_are_not_sent(maze_policy, tmp_path):
    trainer, module, data = build(maze_policy, tmp_path)
    trainer.validate(module, datamodule=data, verbose=False)
    assert sent(trainer) == {}
    assert not hasattr(module, "policy"), "an engine that has them by itself needs none"


def test_a_validation_before_a_training_changes_nothing(maze_policy, tmp_path):
    weights = []
    for first in (False, True):
        torch.manual_seed(0)
        trainer, module, data = build(maze_policy, tmp_path / str(first))
        if first:
            trainer.validate(module, datamodule=data, verbose=False)
        trainer.fit(module, datamodule=data)
        assert module.rl_step == STEPS
        weights.append(torch.cat([parameter.detach().flatten() for parameter in module.policy.parameters()]))
    assert torch.equal(*weights)


def test_a_frozen_policy_is_not_trained(trained, maze_policy, tmp_path):
    _, module, data = trained
    module.freeze()
    other, *_ = build(maze_policy, tmp_path / "second")
    with pytest.raises(Refusal, match=r"No parameter of the policy is trained.*`module.unfreeze\(\)`"):
        other.fit(module, datamodule=data)


def test_a_module_is_not_compiled_whole(maze_policy, tmp_path):
    trainer, module, data = build(maze_policy, tmp_path)
    with pytest.raises(Refusal, match=r"`model.compute.compile_blocks: true`"):
        trainer.fit(torch.compile(module, backend="eager"), datamodule=data)


def test_callbacks_see_the_metrics_of_the_step_whose_validation_is_run_again(maze_policy, tmp_path):
    """Lightning knows metrics only from the training batch before."""

    class Breaks(L.Callback):
        def on_validation_start(self, *args):
            raise RuntimeError("a broken validation")

    def stopping():
        return EarlyStopping("train/reward", mode="max", patience=9, check_on_train_epoch_end=False)

    every_step = {"log_every_n_steps": 1}
    trainer, module, data = build(maze_policy, tmp_path, stopping(), Breaks(), of_trainer=every_step)
    with pytest.raises(RuntimeError, match="a broken validation"):
        trainer.fit(module, datamodule=data)
    trainer, module, data = build(maze_policy, tmp_path, stopping(), of_trainer=every_step)
    trainer.fit(module, datamodule=data, ckpt_path=last_checkpoint(tmp_path))
    assert module.rl_step == STEPS
