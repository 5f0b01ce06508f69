"""An engine that computes another model than transformers is found before an evaluation samples."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lightning as L
import psutil
import pytest
from helpers.counting import MoreUps

from lit_passk.callbacks import RolloutCallback
from lit_passk.callbacks.engine_check import check_against_folder, sample_probe
from lit_passk.data import PromptDataModule
from lit_passk.engines.transformers_engine import TransformersEngine
from lit_passk.errors import CannotRun
from lit_passk.modules import PassKRLModule
from lit_passk.policy.model import load_policy
from lit_passk.rollout.parity import ParityCheck
from lit_passk.types import Problem, PromptBatch, Sampling


class Wrong(TransformersEngine):
    """Computes every token after the third of a completion otherwise."""

    def generate(self, *args, **kwargs) -> Iterator:
        for index, group in super().generate(*args, **kwargs):
            yield index, [replace(c, logprobs=[*c.logprobs[:3], *(x - 0.5 for x in c.logprobs[3:])]) for c in group]


class Alone(TransformersEngine):
    """Has weights of its own, as vLLM has."""

    needs_policy = False

    def start(self, policy_path, policy, eos_token_ids) -> None:
        super().start(policy_path, policy or load_policy(policy_path).model.eval(), eos_token_ids)
        self.version = 0


class WrongAlone(Wrong, Alone):
    """Both."""


def validate(policy: str, engine: TransformersEngine, verb: str = "validate", **settings) -> dict[str, float]:
    sampling = Sampling(max_tokens=8, top_p=0.9, temperature=0.7)
    rollout = RolloutCallback(engine, group_size=2, val_sampling=sampling, **settings)
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        inference_mode=False,
        callbacks=[rollout],
    )
    data = PromptDataModule(policy, MoreUps(3), {"ups": MoreUps(3)}, prompts_per_step=3)
    [found] = getattr(trainer, verb)(PassKRLModule(policy, ks=[1]), datamodule=data)
    return found


@pytest.mark.parametrize("engine", [Wrong, WrongAlone])
@pytest.mark.parametrize("verb", ["validate", "test"])
def test_a_wrong_engine_is_found_before_anything_is_scored(maze_policy, monkeypatch, engine, verb):
    monkeypatch.setattr(MoreUps, "score", lambda *args: pytest.fail("scored"))
    with pytest.raises(
        CannotRun, match=r"disagree on the log-probabilities.*Nothing was evaluated.*TransformersEngine"
    ):
        validate(maze_policy, engine(), verb)


@pytest.mark.parametrize("left", [0, 3])
def test_an_engine_that_yields_something_else_is_no_error_of_ours(maze_policy, left):
    class Loses(Alone):
        def generate(self, *asked):
            yield from ((p, group[:left]) for p, group in super().generate(*asked))

    with pytest.raises(CannotRun, match=f"^Loses.generate must yield 4 completions of each prompt, but has {left}"):
        validate(maze_policy, Loses())


def test_right_engines_pass_and_nothing_of_the_check_is_counted(maze_policy):
    parity = ParityCheck()
    found = [validate(maze_policy, engine, parity=parity) for engine in (TransformersEngine(), Alone())]
    found += [validate(maze_policy, WrongAlone(), parity=ParityCheck(every=0))]
    assert found[0] == found[1] == found[2]
    assert parity.is_due(1), "the two checks of a training are still to come"


@pytest.fixture
def probe(maze_policy):
    engine = WrongAlone()
    engine.start(maze_policy, None, [2])
    problems = [Problem(id=str(n), prompt="", answer="") for n in range(3)]
    prompts = [[3, 4, 5, 3], [3], [4, 5]]
    batch = PromptBatch(problems=problems, prompt_ids=prompts, indices=[0, 1, 2], positions=[0, 1, 2], name="ups")
    return engine, sample_probe(engine, batch, Sampling(max_tokens=9, temperature=0.0, top_k=3), seed=0)


def test_the_probe_is_small_and_of_the_whole_distribution(probe):
    found = probe[1]
    assert [len(ids) for ids in found.prompt_ids] == [1, 2]  # the shortest
    assert len(found.completion_ids) == 8
    assert found.sampling == Sampling(max_tokens=9, n=4)


def test_what_cannot_be_compared_is_said(probe, maze_policy, tmp_path, monkeypatch):
    engine, rollouts = probe
    folder = Path(shutil.copytree(maze_policy, tmp_path / "awq"))
    config = json.loads((folder / "config.json").read_text()) | {"quantization_config": {"quant_method": "awq"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.warns(UserWarning, match=r"not compared with transformers: the policy '.*awq' is quantised"):
        check_against_folder(ParityCheck(), rollouts, engine, str(folder))
    memory = namedtuple("memory", "available")(1000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.warns(UserWarning, match=r"GiB of memory, and 0 are free"):
        check_against_folder(ParityCheck(), rollouts, engine, maze_policy)
