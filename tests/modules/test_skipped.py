"""Numbers that are not finite: the update is skipped, counted, and the run ends when there are too many in a row."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace

import lightning as L
import pytest
import torch
from helpers.scripted import scripted_rollouts
from safetensors import safe_open

from lit_passk.advantages import DrGRPO
from lit_passk.callbacks import ResumeCheckpoint
from lit_passk.data import ReplayDataModule
from lit_passk.errors import CannotRun, Refusal
from lit_passk.losses import ClippedLoss
from lit_passk.modules import PassKRLModule, WarmupLR
from lit_passk.modules.policies import Compute
from lit_passk.results.saved_step import read_step

REWARDS = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1]]
BATCHES = [scripted_rollouts(REWARDS, seed=seed) for seed in range(5)]


class Faulty(ClippedLoss):
    """A loss that is ``value`` in the calls of these numbers, from 0."""

    def __init__(self, calls, value=math.nan):
        super().__init__()
        self.calls, self.value, self.count = set(calls), value, -1

    def __call__(self, inputs):
        self.count += 1
        output = super().__call__(inputs)
        return replace(output, loss=output.loss * self.value) if self.count in self.calls else output


class FaultyAdvantage(DrGRPO):
    """Advantages of one completion that are not finite, in these RL steps."""

    def __init__(self, steps, value=math.nan):
        self.steps, self.value = steps, value

    def __call__(self, rewards, context=None):
        advantages = super().__call__(rewards, context)
        if context is not None and context.step in self.steps:
            advantages[1, 2] = self.value
        return advantages


class Watch(L.Callback):
    """What each step left behind."""

    def __init__(self):
        self.states, self.logged = [], []

    def on_train_batch_end(self, trainer, pl_module, *args):
        weights = copy.deepcopy(pl_module.policy.state_dict())
        self.states.append((weights, copy.deepcopy(pl_module.optimizers().state_dict())))
        self.logged.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def run(policy, folder, batches=BATCHES, hook=None, **settings):
    defaults = {
        "advantage": DrGRPO(),
        "optimizer": lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.1),
        "lr_scheduler": lambda o: WarmupLR(o, warmup_steps=10),
    }
    module, watch = PassKRLModule(policy, **{**defaults, **settings}), Watch()
    if hook is not None:
        module.configure_model()
        hook(module)
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        default_root_dir=folder,
        callbacks=[watch],
    )
    try:
        trainer.fit(module, datamodule=ReplayDataModule(batches))
    finally:
        watch.trainer, watch.module = trainer, module
    return watch


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, dict):
            assert_equal(value, other[name])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, other[name]), name


GRADIENT = "the gradient is not a finite number"


def infinite_gradient(module):
    """In the third update alone, and of one parameter."""
    calls = iter(range(100))
    parameter = next(p for name, p in module.policy.named_parameters() if name.endswith("c_fc.weight"))
    parameter.register_hook(lambda grad: grad.masked_fill(grad == grad.max(), math.inf) if next(calls) == 2 else grad)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"loss": Faulty([2])}, "the loss is not a finite number"),
        ({"loss": Faulty([2], math.inf)}, "the loss is not a finite number"),
        ({"advantage": FaultyAdvantage([2])}, "the loss is not a finite number"),
        ({"advantage": FaultyAdvantage([2], -math.inf)}, "the loss is not a finite number"),
        ({"hook": infinite_gradient}, GRADIENT),
        ({"hook": infinite_gradient, "max_grad_norm": 0.0}, GRADIENT),
    ],
    ids=["nan loss", "infinite loss", "nan advantage", "infinite advantage", "infinite gradient", "unclipped"],
)
def test_one_step_is_skipped_and_nothing_remembers_it(maze_policy, tmp_path, fault, reason):
    with pytest.warns(UserWarning, match=f"RL step 3: 1 of its updates skipped, {reason}.*1 such steps in a row"):
        found = run(maze_policy, tmp_path, **fault)
    assert [logged["train/skipped_updates"] for logged in found.logged] == [0, 0, 1, 0, 0]
    assert all(math.isfinite(logged["train/grad_norm"]) for logged in found.logged)
    assert_equal(found.states[2][0], found.states[1][0])  # weights
    assert_equal(found.states[2][1]["state"], found.states[1][1]["state"])  # moments and the optimizer's own count
    assert not torch.equal(*(state[0]["model.transformer.wte.weight"] for state in found.states[2:4]))
    assert found.trainer.global_step == found.module.rl_step == 5, "the run is as long as ever"
    assert found.module.lr_schedulers().last_epoch == 5
    # The run without that batch, at the learning rates of the steps that were made.
    rates = iter([1, 2, 4, 5])
    other = run(
        maze_policy,
        tmp_path,
        [*BATCHES[:2], *BATCHES[3:]],
        lr_scheduler=lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda step: next(rates, 6) / 10),
        max_grad_norm=fault.get("max_grad_norm", 1.0),
    )
    assert_equal(found.states[-1][0], other.states[-1][0])
    assert not (tmp_path / "replay").exists()


def test_what_the_other_updates_of_a_step_change_stays(maze_policy, tmp_path):
    settings = {"num_epochs": 2, "num_minibatches": 2, "compute": Compute(token_budget=20)}
    whole = run(maze_policy, tmp_path, BATCHES[:1], **settings)
    parts = Faulty([])
    run(maze_policy, tmp_path, BATCHES[:1], loss=parts, **settings)
    assert parts.count + 1 > 4, "several micro-batches each"
    with pytest.warns(UserWarning, match="RL step 1: 1 of its updates skipped"):
        found = run(maze_policy, tmp_path, BATCHES[:1], loss=Faulty([0]), **settings)
    assert found.logged[0]["train/skipped_updates"] == 1
    assert math.isfinite(found.logged[0]["train/loss/total"])
    counts = [{float(s["step"]) for s in watch.states[0][1]["state"].values()} for watch in (whole, found)]
    assert counts == [{4.0}, {3.0}]
    assert found.trainer.global_step == 4


@pytest.mark.filterwarnings("ignore:RL step")
def test_too_many_in_a_row_end_the_run_with_the_step_saved(maze_policy, tmp_path):
    batches = [*BATCHES, *BATCHES]
    with pytest.raises(CannotRun) as error:
        run(maze_policy, tmp_path, batches, loss=Faulty([0, 1, 3, 5, 6, 7]), max_skipped_steps=2)
    file = tmp_path / "replay" / "step_000008.safetensors"
    assert "RL step 8: the loss is not a finite number. Updates of 3 steps in a row were skipped" in str(error.value)
    assert f"`lit-passk replay {file}`" in str(error.value)
    saved = read_step(file)
    assert (saved.step, saved.policy, saved.reason) == (8, maze_policy, "the loss is not a finite number")
    theirs = batches[7]
    assert [list(group.prompt_ids) for group in saved.groups] == [list(group.prompt_ids) for group in theirs.groups]
    assert [s.reward for group in saved.groups for s in group.scores] == theirs.rewards.tolist()
    assert saved.advantages.tolist() == DrGRPO()(torch.tensor(REWARDS, dtype=torch.float32)).flatten().tolist()
    weights = torch.load(file.with_name(saved.weights), weights_only=True)
    assert weights["rl_step"] == 7
    assert "optimizer_states" not in weights
    with safe_open(file, framework="pt") as stream:
        assert json.loads(stream.metadata()["step"])["step"] == 8


@pytest.mark.filterwarnings("ignore:RL step")
def test_none_is_allowed_with_0(maze_policy, tmp_path):
    with pytest.raises(CannotRun, match="RL step 2: the loss is not a finite number"):
        run(maze_policy, tmp_path, loss=Faulty([1]), max_skipped_steps=0)
    with pytest.raises(Refusal, match=r"`model.max_skipped_steps` must be at least 0, but got -1"):
        PassKRLModule(maze_policy, max_skipped_steps=-1)


def test_a_step_of_which_nothing_could_be_scored_is_skipped(maze_policy, tmp_path):
    """Zero gradients would still move the weights: by the optimizer's moments and by weight decay."""
    unscored = scripted_rollouts([[None] * 4] * 3)
    with pytest.warns(UserWarning, match=r"skipped, none of its 12 completions could be scored \(hung\)"):
        found = run(maze_policy, tmp_path, [*BATCHES[:2], unscored, BATCHES[2]])
    assert_equal(found.states[2][0], found.states[1][0])
    assert [logged["train/skipped_updates"] for logged in found.logged] == [0, 0, 1, 0]


@pytest.mark.filterwarnings("ignore:RL step")
def test_a_disk_that_cannot_take_the_step_does_not_hide_the_fault(maze_policy, tmp_path):
    (tmp_path / "replay").write_text("a file where the folder has to be")
    with pytest.raises(CannotRun, match=r"the loss is not.*It could not be saved") as error:
        run(maze_policy, tmp_path, loss=Faulty([0]), max_skipped_steps=0)
    assert str(tmp_path / "replay") in str(error.value)


class Poison(torch.optim.SGD):
    """An optimizer that divides by 0 in its second step."""

    def step(self, closure=None):
        self.steps = getattr(self, "steps", 0) + 1
        super().step(closure)
        if self.steps == 2:
            self.param_groups[0]["params"][3].data[0] = math.nan


def test_weights_that_an_optimizer_ruined_reach_no_checkpoint(maze_policy, tmp_path):
    module = PassKRLModule(maze_policy, advantage=DrGRPO(), optimizer=lambda p: Poison(p, lr=0.1))
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[ResumeCheckpoint(every=1, keep=None)],
    )
    with pytest.raises(CannotRun, match=r"No checkpoint of RL step 2 is written: 1 of .*transformer.h.0"):
        trainer.fit(module, datamodule=ReplayDataModule(BATCHES))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step=1.ckpt"]
