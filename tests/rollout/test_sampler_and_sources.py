"""The sampler and one step off-policy with a scripted engine: versions, seeds, order, and how they end."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import lightning as L
import pytest
import torch
from helpers.counting import MoreUps
from helpers.scripted_engine import ScriptedEngine

from lit_passk.advantages import DrGRPO
from lit_passk.callbacks import RolloutCallback
from lit_passk.data import PromptDataModule
from lit_passk.engines.transformers_engine import TransformersEngine
from lit_passk.errors import CannotRun
from lit_passk.modules import PassKRLModule
from lit_passk.policy.model import load_policy
from lit_passk.rollout.one_step_off_policy import OneStepOffPolicy
from lit_passk.rollout.parity import ParityCheck
from lit_passk.rollout.sampler import Sampler
from lit_passk.rollout.step import Step
from lit_passk.types import PromptBatch, Sampling

TASK = MoreUps(4)
SAMPLING = Sampling(n=3, max_tokens=2)


def script(prompt, seed):
    return [5 + seed % 3, 5], [-1.0, -0.5]


def batch_of(*indices: int) -> PromptBatch:
    return PromptBatch(
        problems=[TASK[i] for i in indices],
        prompt_ids=[[5 + i] for i in indices],
        indices=list(indices),
        positions=list(range(len(indices))),
    )


@pytest.fixture
def sampler(maze_policy):
    made = Sampler(ScriptedEngine(script, order=lambda n: range(n - 1, -1, -1)), num_workers=1, score_timeout=60.0)
    made.start(maze_policy, load_policy(maze_policy).model, {"train": TASK}, lambda ids: "U" * len(ids), [1])
    yield made
    made.close()


def test_groups_come_in_the_order_of_their_prompts_scored_by_their_task(sampler):
    heard = []
    groups = sampler.sample(batch_of(2, 0, 3), SAMPLING, [10, 20, 30], version=0, on_scored=heard.append)
    assert [g.index for g in groups] == [2, 0, 3]
    assert [g.seed for g in groups] == [10, 20, 30]
    assert {id(g) for g in heard} == {id(g) for g in groups}
    assert [[c.token_ids[0] for c in g.completions] for g in groups] == [
        [5 + (seed + i) % 3 for i in range(3)] for seed in (10, 20, 30)
    ]
    assert all(score.correct for g in groups for score in g.scores)


def changed(**values):
    return lambda groups: [(p, [replace(c[0], **values), *c[1:]]) for p, c in groups]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda groups: [(p, c[:-1]) for p, c in groups], "3 completions of each prompt, but has 2 of prompt 1"),
        (lambda groups: [(p, []) for p, c in groups], "3 completions of each prompt, but has 0 of prompt 1"),
        (lambda groups: [(p, c * 2) for p, c in groups], "3 completions of each prompt, but has 6 of prompt 1"),
        (lambda groups: groups[:-1], "the group of each prompt, but prompt 0 has none"),
        (lambda groups: [], "the group of each prompt, but prompt 0 has none"),
        (lambda groups: groups + groups[-1:], "each prompt once, but yielded that of prompt 0 again"),
        (lambda groups: [(p + 1, c) for p, c in groups], "once, but yielded that of prompt 2 of 2 prompts"),
        (changed(logprobs=[-1.0]), "has 2 tokens and 1 log-probabilities"),
        (changed(logprobs=[]), "has 2 tokens and 0 log-probabilities"),
        (changed(token_ids=[], logprobs=[]), "has 0 tokens and 0 log-probabilities"),
    ],
)
def test_an_engine_that_yields_something_else_than_it_was_asked_for(sampler, monkeypatch, change, message):
    generate = sampler.engine.generate
    monkeypatch.setattr(sampler.engine, "generate", lambda *asked: iter(change(list(generate(*asked)))))
    with pytest.raises(CannotRun, match=f"^ScriptedEngine.generate must yield .*{message}"):
        sampler.sample(batch_of(2, 0), SAMPLING, [10, 20], version=0)


def test_the_engine_gets_the_policys_weights_once_a_version(sampler, maze_policy):
    for version in (0, 1, 1, 2):
        sampler.sample(batch_of(0), SAMPLING, [0], version=version)
    assert [call for call in sampler.engine.calls if call.startswith("load")] == ["load_weights 1", "load_weights 2"]
    expected = load_policy(maze_policy).model.state_dict()
    assert sampler.engine.weights.keys() == expected.keys()
    assert all(torch.equal(sampler.engine.weights[name], tensor) for name, tensor in expected.items())


def test_stale_completions_are_an_error(sampler):
    sampler.update(3)
    with pytest.raises(CannotRun, match=r"completions of the weights \[3\] instead of 4"):
        sampler.sample_here(batch_of(0), SAMPLING, [0], version=4)


def test_a_batch_that_was_not_announced_is_an_error(sampler):
    """Its prompts would be trained on with the completions of others."""

    def step(number, batch):
        loader = SimpleNamespace(peek=lambda: batch_of(1, 2))
        settings = {"sampling": SAMPLING, "seed": 0, "has_advantage": bool, "is_last": False}
        return Step(number=number, batch=batch, loader=loader, **settings)

    source = OneStepOffPolicy()
    source.rollouts(step(0, batch_of(0, 3)), sampler)
    source.finish(step(0, batch_of(0, 3)), sampler)
    with pytest.raises(CannotRun, match=r"sampled the problems \[1, 2\], which .*step 1 is about \[2, 1\]"):
        source.rollouts(step(1, batch_of(2, 1)), sampler)


def test_a_quantised_engine_never_counts_as_full_precision(sampler):
    assert sampler.full_precision
    sampler.engine.quantized = True
    assert not sampler.full_precision


class Watch(L.Callback):
    def __init__(self) -> None:
        self.rollouts: list = []
        self.staleness: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.rollouts.append(batch.rollouts)
        self.staleness.append(float(trainer.callback_metrics["rollout/staleness"]))


def fit(policy, engine, source, watch, correction="auto", parity=0):
    rollout = RolloutCallback(
        engine,
        group_size=3,
        sampling=Sampling(max_tokens=2),
        source=source,
        parity=ParityCheck(parity, tolerance=100.0),
    )
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=4,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        callbacks=[rollout, watch],
    )
    module = PassKRLModule(policy, DrGRPO(), correction=correction)
    trainer.fit(module, datamodule=PromptDataModule(policy, train=MoreUps(4), prompts_per_step=2))
    return module


def test_one_step_off_policy_samples_the_next_step_with_the_weights_of_this_one(maze_policy):
    engine, watch = ScriptedEngine(script, beside_training=True), Watch()
    fit(maze_policy, engine, OneStepOffPolicy(), watch)
    assert [r.version for r in watch.rollouts] == [0, 0, 1, 2]
    assert watch.staleness == [0, 1, 1, 1]
    assert [call for call in engine.calls if call.startswith("load")] == ["load_weights 1", "load_weights 2"]
    assert len(engine.requests) == 4, "nothing is sampled for a step after the last"


def test_its_probe_is_of_the_current_weights(maze_policy):
    engine = ScriptedEngine(script, beside_training=True)
    fit(maze_policy, engine, OneStepOffPolicy(), Watch(), parity=1)
    sizes = [len(prompts) for prompts, _, _ in engine.requests]
    # The first step has rollouts of its own; from then on one prompt for the comparison, then the next step's two.
    assert sizes == [2, 2, 1, 2, 1, 2, 1]


@pytest.mark.parametrize(
    ("engine", "correction", "message"),
    [
        (TransformersEngine(), "auto", "TransformersEngine as it is set cannot"),
        (None, "off", "`model.correction: off`"),
    ],
)
def test_what_one_step_off_policy_refuses(maze_policy, engine, correction, message):
    engine = engine or ScriptedEngine(script, beside_training=True)
    with pytest.raises(ValueError, match=message):
        fit(maze_policy, engine, OneStepOffPolicy(), Watch(), correction)
