"""One, two and four processes do the same."""

import pytest
import torch
from helpers.runs import KL, LORA, STEPS
from transformers import AutoModelForCausalLM

KINDS = {"fsdp2 on 1": ("fsdp2", 1), "fsdp2 on 2": ("fsdp2", 2), "fsdp2 on 4": ("fsdp2", 4), "ddp on 2": ("ddp", 2)}


@pytest.fixture(params=KINDS.values(), ids=KINDS, scope="module")
def several(request, train):
    return train(*request.param)


@pytest.fixture(scope="module")
def alone(train):
    return train("auto", 1)


def test_the_run_is_worth_comparing(alone):
    steps = alone.steps()
    assert sorted(steps) == list(range(STEPS))
    assert sorted(len(prompts) for prompts in steps.values()) == [1, 3, 3, 3, 3], "batches smaller than 2 and 4 ranks"
    sizes = {len(completions) for prompts in steps.values() for completions, _ in prompts.values()}
    assert len(sizes) > 1, "ragged groups"
    useful = [any(advantages) for prompts in steps.values() for _, advantages in prompts.values()]
    assert 3 < sum(useful) < len(useful), "ranks with something and ranks with nothing to train"


def test_rollouts_and_advantages_are_the_same(several, alone):
    several.assert_same_rollouts(alone)


def test_weights_agree_to_float32_rounding(several, alone, policy):
    assert_same_weights(several, alone, policy)


@pytest.mark.parametrize("kind", ["fsdp2 on 2", "ddp on 2"])
def test_one_matrix_for_both_embeddings(train, tied_policy, kind):
    more = (
        *KL,
        "--model.policy",
        tied_policy,
        "--model.compute.token_budget",
        "20",
    )  # several micro-batches on every rank
    several, alone = (train(strategy, ranks, more) for strategy, ranks in (KINDS[kind], ("auto", 1)))
    several.assert_same_rollouts(alone)
    assert_same_weights(several, alone, tied_policy)


@pytest.mark.slow  # the compiler takes a minute
@pytest.mark.parametrize("kind", ["alone", "fsdp2 on 2", "ddp on 2"])
def test_compiled_blocks_train_the_same(train, alone, policy, kind):
    compiled = train(*KINDS.get(kind, ("auto", 1)), (*KL, "--model.compute.compile_blocks", "true"), timeout=300)
    compiled.assert_same_rollouts(alone)
    assert_same_weights(compiled, alone, policy)


def assert_same_weights(run, alone, policy):
    start, mine = AutoModelForCausalLM.from_pretrained(policy).state_dict(), run.weights
    moved = {name: (values - start[name]).abs().max() for name, values in alone.weights.items()}
    assert min(moved.values()) > 1e-4, "every tensor was trained"
    for name, values in alone.weights.items():
        # Adam divides a gradient by its size: where that is near 0, rounding moves the weight by a part of the step.
        torch.testing.assert_close(mine[name], values, rtol=0, atol=2e-3 * float(moved[name]), msg=name)


def test_metrics_are_those_of_all_ranks(several, alone):
    mine, theirs = several.metrics, alone.metrics
    assert mine.keys() == theirs.keys()
    assert {name: mine[name] for name in theirs if name.startswith("val/")} == {
        name: value for name, value in theirs.items() if name.startswith("val/")
    }
    for name, value in theirs.items():
        if not name.startswith("time/"):
            assert mine[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name


@pytest.mark.parametrize("strategy", ["fsdp2", "ddp"])
def test_adapters_train_the_same_on_two_processes(train, strategy):
    alone, several = train("auto", 1, (*KL, *LORA)), train(strategy, 2, (*KL, *LORA))
    assert several.steps().keys() == alone.steps().keys()
    for name, values in alone.weights.items():
        torch.testing.assert_close(several.weights[name], values, rtol=0, atol=1e-5, msg=name)
    full = train("auto", 1).weights
    assert not torch.equal(
        alone.weights["model.layers.0.mlp.up_proj.weight"], full["model.layers.0.mlp.up_proj.weight"]
    )
