"""docs/read_the_logs.md against real trainings and validations: nothing is logged that it lacks, and the reverse."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import lightning as L
import pytest
from helpers.counting import LETTERS, MoreUps
from helpers.runs import write_letters
from helpers.scripted_engine import ScriptedEngine
from lightning.pytorch.loggers.logger import DummyLogger

from lit_passk import metrics
from lit_passk.advantages import PassKAnalytic
from lit_passk.callbacks import RolloutCallback
from lit_passk.data import DemonstrationDataModule, PromptDataModule
from lit_passk.data.samplers import DifficultyPools
from lit_passk.logged import pattern_of
from lit_passk.losses import TIS, ClipCovLoss, ClippedLoss, GeometricMask, KLCovLoss, SAPOLoss, SimKOLoss
from lit_passk.modules import PassKRLModule, SFTModule
from lit_passk.rewards import SoftOverlong, Verdict
from lit_passk.rollout.dynamic_sampling import DynamicSampling
from lit_passk.rollout.one_step_off_policy import OneStepOffPolicy
from lit_passk.rollout.parity import ParityCheck
from lit_passk.tasks import Mixture, MixtureTask
from lit_passk.types import Sampling

ROOT = Path(__file__).parents[2]
OTHERS = {"epoch"}
"""What Lightning logs by itself."""


class FromTheWeb(MoreUps):
    """Problems that name a source."""

    def __getitem__(self, index):
        return replace(super().__getitem__(index), source="web/pages")


class Names(DummyLogger):
    """Keeps the names of all that is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def log_metrics(self, metrics, step=None):
        self.names |= metrics.keys()


def trainer_of(logger, **settings):
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    return L.Trainer(accelerator="cpu", logger=logger, log_every_n_steps=1, **quiet, **settings)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policy")
    write_letters(folder)
    return str(folder)


def fit(policy, logger, loss, rollout, train, rewards=None, sampler=None, val=None, correction="off", **settings):
    """Two RL steps; returns the names of what no logger gets, too: the axis and the progress bar's."""
    rollout = RolloutCallback(group_size=6, sampling=Sampling(max_tokens=4), **rollout)
    module = PassKRLModule(policy, PassKAnalytic(k=2), loss, correction, ks=[1, 6], **settings)
    data = PromptDataModule(
        policy, train=train, rewards=rewards, val=val, prompts_per_step=4, sampler=sampler, val_prompts_per_step=5
    )
    every = {"val_check_interval": 1, "check_val_every_n_epoch": None}
    trainer = trainer_of(logger, max_steps=2 * module.updates_per_step, callbacks=[rollout], **every)
    trainer.fit(module, datamodule=data)
    return set(trainer.callback_metrics)


def everything(policy, logger):
    """A training with each option that logs something of its own, and a validation with each metric."""
    classes = [getattr(metrics, name) for name in metrics.__all__]
    evaluations = [cls for cls in classes if isinstance(cls, type) and issubclass(cls, metrics.EvaluationMetric)]
    sized = {metrics.MaxRewardAtK, metrics.MajorityAtK, metrics.PassHatK, metrics.AnswerDiversity}
    options = {cls: {"ks": [2]} for cls in sized} | {metrics.GPassAtK: {"ks": [2], "taus": [0.5]}}
    return fit(
        policy,
        logger,
        ClippedLoss(dual_clip=3.0),
        {
            "source": DynamicSampling(max_rounds=1),
            "parity": ParityCheck(every=1),
            "val_sampling": Sampling(max_tokens=4, n=6),
        },
        Mixture({"a": MixtureTask(FromTheWeb(8)), "b": MixtureTask(MoreUps(8))}),
        rewards={"verdict": Verdict(), "short": SoftOverlong(max_tokens=4, buffer=2)},
        sampler=DifficultyPools(),
        val={"ups": MoreUps(5)},
        correction=[TIS(), GeometricMask()],
        kl_coef=0.1,
        val_metrics=[
            cls(**options.get(cls, {})) for cls in evaluations if cls not in (metrics.EvaluationMetric, metrics.PassAtK)
        ],
    )


def demonstrations(logger):
    task = importlib.import_module("lit_passk.tasks").ArithmeticTask(num_problems=4)
    module = SFTModule({"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 1}, [*"0123456789*=+- <>/answer\n"])
    trainer_of(logger, max_steps=1).fit(module, datamodule=DemonstrationDataModule(task, batch_size=4))


@pytest.fixture(scope="module")
def names(policy):
    """Names of all numbers that these runs log."""
    logger = Names()
    shown = everything(policy, logger)
    for loss in (SAPOLoss(), ClipCovLoss(), KLCovLoss(), SimKOLoss()):
        fit(policy, logger, loss, {"parity": ParityCheck(every=0)}, MoreUps(8))

    def script(prompt, seed):
        return [2 + (seed * 7 + i) % len(LETTERS) for i in range(4)], [-1.0] * 4

    engine = ScriptedEngine(script, beside_training=True)
    rollout = {"engine": engine, "source": OneStepOffPolicy(), "parity": ParityCheck(every=0)}
    fit(policy, logger, ClippedLoss(), rollout, MoreUps(8), correction="auto")
    demonstrations(logger)
    return (logger.names | shown) - OTHERS


@pytest.fixture(scope="module")
def page():
    """The module that writes the page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        yield importlib.import_module("make_log_page")


def described(page):
    return [number for numbers in page.logged().values() for number in numbers]


def test_every_number_that_is_logged_is_on_the_page_and_the_reverse(names, page):
    keys = [key for number in described(page) for key in number.keys.split()]
    assert len(keys) == len(set(keys))
    found: dict[str, list[str]] = {key: [] for key in keys}
    unknown = []
    for name in names:
        # The most specific that fits: `train/reward/<part>/mean` before a task that is called `reward`.
        fits = sorted((key for key in keys if pattern_of(key).fullmatch(name)), key=lambda k: (k.count("<"), -len(k)))
        found[fits[0]].append(name) if fits else unknown.append(name)
    assert sorted(unknown) == []
    assert [key for key, logged in found.items() if not logged] == []


def test_the_page_is_up_to_date(page):
    assert page.PAGE.read_text(encoding="utf-8") == page.page()


def test_no_module_is_forgotten(page):
    package = ROOT / "src/lit_passk"
    having = {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if "\nLOGGED = (" in path.read_text(encoding="utf-8")
    }
    assert having == {name for modules in page.SECTIONS.values() for name in modules}


def test_every_number_says_what_is_healthy_or_only_what_it_is(page):
    for number in described(page):
        assert number.means.endswith((".", ")")), number.keys
        assert number.healthy or not number.otherwise, number.keys
