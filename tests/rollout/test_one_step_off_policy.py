"""The next rollouts are sampled by a real vLLM while the policy trains: versions, order, exactness, and how it ends."""

from __future__ import annotations

import signal
import threading
import time

import lightning as L
import pytest
import torch
from helpers.counting import MoreUps
from helpers.runs import write_letters
from helpers.scripted import train
from helpers.servers import ServerProcess
from helpers.tiny_policies import logprobs_of
from transformers import AutoModelForCausalLM

from lit_passk.advantages import PassKAnalytic
from lit_passk.callbacks import RolloutCallback
from lit_passk.data import PromptDataModule
from lit_passk.engines import vllm_compat
from lit_passk.engines.base import RolloutEngine
from lit_passk.engines.transformers_engine import TransformersEngine
from lit_passk.engines.vllm_engine import VLLMEngine
from lit_passk.engines.vllm_server_engine import VLLMServerEngine
from lit_passk.errors import CannotRun
from lit_passk.modules import PassKRLModule
from lit_passk.rollout.one_step_off_policy import OneStepOffPolicy
from lit_passk.rollout.parity import ParityCheck
from lit_passk.types import Sampling

STEPS = 6
MAIN, BACKGROUND = "MainThread", "one-step-off-policy"

pytest.importorskip("vllm", reason="vLLM is not installed")
pytestmark = pytest.mark.vllm


class KeptEngine(VLLMEngine):
    """A real engine that outlives a run, and writes down who sampled when.

    In the background it does not begin before the policy trains: a run in which the two do not overlap never ends.
    """

    def __init__(self) -> None:
        super().__init__(kv_cache_gib=2**-8)
        self.events: list[tuple] = []
        self.training: list[threading.Event] = []  # one per step

    def start(self, policy_path, policy, eos_token_ids):
        super().start(policy_path, policy, eos_token_ids)
        self.events = []
        self.training = [threading.Event() for _ in range(STEPS)]

    def generate(self, prompt_ids, sampling, seeds):
        thread = threading.current_thread().name
        if thread == BACKGROUND:
            assert self.training[self.version].wait(60), (
                "the policy does not train while the next batch is to be sampled"
            )
        yield from super().generate(prompt_ids, sampling, seeds)
        self.events.append(("sampled", thread, self.version))

    def load_weights(self, named_tensors, version):
        self.events.append(("weights", threading.current_thread().name, version))
        super().load_weights(named_tensors, version)

    def close(self) -> None:
        self._loaded = None  # another policy comes


class Watch(L.Callback):
    """Keeps every step's rollouts and weights; tells a KeptEngine when the policy trains."""

    def __init__(self, engine: KeptEngine | None = None) -> None:
        self.engine = engine
        self.rollouts, self.weights, self.staleness = [], [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):  # after the rollouts were handed over
        self.rollouts.append(batch.rollouts)
        self.weights.append({name: t.clone() for name, t in pl_module.policy.model.state_dict().items()})

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if self.engine:
            self.engine.events.append(("trains", threading.current_thread().name, pl_module.rl_step))
            self.engine.training[pl_module.rl_step].set()

    def on_train_batch_end(self, trainer, pl_module, *args):
        if "rollout/staleness" in trainer.callback_metrics:
            self.staleness.append(float(trainer.callback_metrics["rollout/staleness"]))


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("letters") / "policy"
    write_letters(folder)
    return str(folder)


@pytest.fixture(scope="module")
def engine():
    engine = KeptEngine()
    yield engine
    VLLMEngine.close(engine)


def adam(parameters):
    return torch.optim.AdamW(parameters, lr=1e-2)


def module_of(policy, **settings):
    return PassKRLModule(policy, **{"advantage": PassKAnalytic(k=2), "optimizer": adam, "ks": [1, 2], **settings})


def fit(engine: RolloutEngine, policy: str, *callbacks, task=None, steps=STEPS, module=None, **rollout):
    module = module or module_of(policy)
    settings = {"group_size": 6, "sampling": Sampling(max_tokens=6), "val_sampling": Sampling(max_tokens=6)}
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=steps,
        val_check_interval=2,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        inference_mode=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        callbacks=[RolloutCallback(engine, **{**settings, **rollout}), *callbacks],
    )
    task = task or MoreUps(7)
    trainer.fit(module, datamodule=PromptDataModule(policy, train=task, val={"ups": MoreUps(3)}, prompts_per_step=3))
    return trainer, module


@pytest.fixture(scope="module")
def ahead(engine, policy):
    """A run over two epochs, with validations and a comparison of engine and policy at every step."""
    watch = Watch(engine)
    trainer, module = fit(engine, policy, watch, source=OneStepOffPolicy(), parity=ParityCheck(every=1))
    events = list(engine.events)
    return watch, trainer, module, events


def test_rollouts_are_one_version_old_but_the_first(ahead):
    watch, trainer, *_ = ahead
    expected = [0, *range(STEPS - 1)]
    assert [r.version for r in watch.rollouts] == expected
    assert [{c.version for g in r.groups for c in g.completions} for r in watch.rollouts] == [{v} for v in expected]
    assert watch.staleness == [0, 1, 1, 1, 1, 1]
    assert "parity/worst" in trainer.callback_metrics


def test_batches_are_those_of_a_run_without(ahead, engine, policy):
    without = Watch(engine)
    fit(engine, policy, without)
    assert [r.indices.tolist() for r in without.rollouts] == [r.indices.tolist() for r in ahead[0].rollouts]
    assert [[g.seed for g in r.groups] for r in without.rollouts] == [
        [g.seed for g in r.groups] for r in ahead[0].rollouts
    ]
    assert [r.version for r in without.rollouts] == list(range(STEPS)), "exactly on-policy unless asked for"
    assert without.staleness == []


def test_the_next_batch_is_sampled_while_the_policy_trains(ahead):
    *_, events = ahead
    in_background = [version for kind, thread, version in events if (kind, thread) == ("sampled", BACKGROUND)]
    assert in_background == list(range(STEPS - 1)), "the last step has no next"
    for version in in_background:
        begin = events.index(("trains", MAIN, version))  # where the sampling was let go
        done = events.index(("sampled", BACKGROUND, version))
        assert begin < done
        if ("weights", MAIN, version + 1) in events:
            assert done < events.index(("weights", MAIN, version + 1)), "weights came while something was sampled"
    assert {thread for kind, thread, _ in events if kind != "sampled"} == {MAIN}
    in_main = [version for kind, thread, version in events if (kind, thread) == ("sampled", MAIN)]
    # The first step; parity from the second on; a validation after every second step.
    assert sorted(in_main) == sorted([0, *range(1, STEPS), 2, 4, 6])


def worst_difference(watch, policy):
    """Of a step's log-probs to those of a version of the weights, by the model itself."""
    model = AutoModelForCausalLM.from_pretrained(policy).eval()

    def worst(step, version):
        model.load_state_dict(watch.weights[version])
        return max(
            float(
                (logprobs_of(model, list(g.prompt_ids), list(c.token_ids), 1.0) - torch.tensor(c.logprobs)).abs().max()
            )
            for g in watch.rollouts[step].groups
            for c in g.completions
        )

    return worst


def test_log_probs_are_those_of_the_older_weights(ahead, policy):
    worst = worst_difference(ahead[0], policy)
    for step in range(1, STEPS):
        assert worst(step, step - 1) < 2e-5
        assert worst(step, step) > 1e-3


def test_weights_are_those_of_a_training_on_the_same_rollouts(ahead, policy):
    watch, trainer, module, _ = ahead
    assert 0 < float(trainer.callback_metrics["train/rollout_correction/ess"]) < 1
    again = module_of(policy)
    train(again, *watch.rollouts)
    one, other = module.policy.model.state_dict(), again.policy.model.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    uncorrected = module_of(policy, correction="off")
    train(uncorrected, *watch.rollouts)
    assert any(not torch.equal(one[name], t) for name, t in uncorrected.policy.model.state_dict().items())


class Fails(MoreUps):
    """Raises when the policy has trained once."""

    def __init__(self, engine: KeptEngine) -> None:
        super().__init__(7)
        self.engine = engine

    def score(self, problem, completion):
        if threading.current_thread().name == BACKGROUND and self.engine.version == 1:
            raise ZeroDivisionError("a bug in this task")
        return super().score(problem, completion)


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == BACKGROUND]


def test_an_exception_in_the_background_stops_the_run_at_the_next_step(engine, policy):
    watch = Watch(engine)
    with pytest.raises(RuntimeError, match="raised ZeroDivisionError: a bug in this task"):
        fit(engine, policy, watch, task=Fails(engine), source=OneStepOffPolicy())
    assert len(watch.rollouts) == 2, "two steps trained, the third had no rollouts"
    assert threads() == []


class CtrlC(L.Callback):
    """Interrupts the training as soon as a token was sampled in the background."""

    def __init__(self, sampling: threading.Event) -> None:
        self.sampling = sampling

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        assert self.sampling.wait(60)
        raise KeyboardInterrupt


def test_ctrl_c_ends_what_is_sampled(engine, policy, monkeypatch):
    """With real vLLM slowed down to a token in 0.2 s: what is left would take a minute, and is not sampled."""
    sampling, step = threading.Event(), vllm_compat.step
    tokens: list[str] = []

    def slowly(*args):
        if threading.current_thread().name == BACKGROUND:
            tokens.append(BACKGROUND)
            sampling.set()
            time.sleep(0.2)
        return step(*args)

    monkeypatch.setattr(vllm_compat, "step", slowly)
    monkeypatch.setattr(engine, "_eos_token_ids", [])
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises((SystemExit, KeyboardInterrupt)):
            fit(
                engine,
                policy,
                Watch(engine),
                CtrlC(sampling),
                source=OneStepOffPolicy(),
                sampling=Sampling(max_tokens=50),
            )
    finally:
        signal.signal(signal.SIGINT, handler)
    assert threads() == []
    assert 1 <= len(tokens) < 25
    assert engine._llm is not None
    assert not engine._llm.has_unfinished_requests()


def test_a_run_after_all_that(engine, policy, ahead):
    """Nothing of the interrupted runs is left in the engine: the same run gives the same weights."""
    _, module = fit(engine, policy, Watch(engine), source=OneStepOffPolicy(), parity=ParityCheck(every=1))
    before = ahead[2].policy.model.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.policy.model.state_dict().items())


@pytest.mark.timeout(900)
def test_ahead_of_a_server(policy, tmp_path):
    """The same against a real server: the log-probs of every step are those of the weights before it."""
    server = ServerProcess(policy, tmp_path / "log")
    try:
        watch = Watch()
        trainer, _ = fit(
            VLLMServerEngine([server.address]),
            policy,
            watch,
            source=OneStepOffPolicy(),
            parity=ParityCheck(every=1),
            steps=4,
        )
    finally:
        server.kill()
    assert [r.version for r in watch.rollouts] == [0, 0, 1, 2]
    assert watch.staleness == [0, 1, 1, 1]
    assert float(trainer.callback_metrics["parity/worst"]) < 1e-3
    worst = worst_difference(watch, policy)
    assert all(worst(step, step - 1) < 2e-5 for step in range(1, 4))
    assert all(worst(step, step) > 1e-3 for step in range(1, 4))


@pytest.mark.parametrize(
    ("make", "settings", "correction", "message"),
    [
        (TransformersEngine, {}, "auto", "TransformersEngine as it is set cannot"),
        (lambda: VLLMEngine(tensor_parallel_size=2), {}, "auto", "VLLMEngine as it is set cannot"),
        (VLLMEngine, {}, "off", "`model.correction: off` would take"),
    ],
    ids=["with the policy itself", "a shared engine", "uncorrected"],
)
def test_what_cannot_work_is_refused_before_anything_starts(policy, make, settings, correction, message):
    engine = make()
    module = module_of(policy, correction=correction)
    with pytest.raises(ValueError, match=message):
        fit(engine, policy, module=module, source=OneStepOffPolicy(), **settings)
    assert engine.version == -1


def test_an_engine_that_sleeps_on_a_gpu_is_refused(policy, monkeypatch):
    monkeypatch.setattr(vllm_compat, "on_cpu", lambda: False)
    assert not VLLMEngine().samples_beside_training


def test_stale_completions_are_an_error_where_they_were_not_asked_for(policy):
    class Forgetful(TransformersEngine):
        def generate(self, prompt_ids, sampling, seeds):
            self.version = min(self.version, 1)
            return super().generate(prompt_ids, sampling, seeds)

    with pytest.raises(CannotRun, match=r"Forgetful returned completions of the weights \[1\] instead of 2"):
        fit(Forgetful(), policy, steps=4)
