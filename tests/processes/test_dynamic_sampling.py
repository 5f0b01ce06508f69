"""Dynamic sampling: the same prompts on one and on several processes, after a resume, and what they cost is logged."""

import pytest
import torch
from helpers.ranks import Ranks
from helpers.runs import KL, STEPS, Run, arguments

FEW_PROMPTS = ("--data.train.init_args.num_problems", "30", "--data.prompts_per_step", "5")
SCARCE = (*FEW_PROMPTS, "--model.advantage.k", "4")
DYNAMIC = (*KL, *SCARCE, "--rollout.source", "DynamicSampling", "--rollout.source.max_rounds", "2")
WAYS = {"fsdp2 on 2": ("fsdp2", 2), "ddp on 2": ("ddp", 2), "fsdp2 on 4": ("fsdp2", 4)}


@pytest.fixture(scope="module")
def alone(train):
    return train("auto", 1, DYNAMIC)


def test_more_groups_carry_signal(alone, train):
    steps, without = alone.steps(), train("auto", 1, (*KL, *SCARCE)).steps()
    assert [len(steps[s]) for s in range(STEPS)] == [len(without[s]) for s in range(STEPS)] == [5] * STEPS

    def share(step):
        return sum(any(advantages) for _, advantages in step.values())

    assert share(steps[0]) > share(without[0]), "both start from the same weights"
    assert sum(map(share, steps.values())) > sum(map(share, without.values()))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_several_processes_keep_and_train_the_same(way, train, alone):
    several = train(*way, DYNAMIC)
    several.assert_same_rollouts(alone)
    several.assert_same_saved(alone)
    for name, values in alone.weights.items():
        torch.testing.assert_close(several.weights[name], values, rtol=0, atol=1e-5, msg=name)
    for name, value in alone.metrics.items():
        if not name.startswith("time/"):
            assert several.metrics[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name
    fed = [torch.load(several.folder / f"fed-{rank}.pt") for rank in range(way[1])]
    assert len({len(batches) for batches in fed}) == 1
    totals = [sum(batches) for batches in fed]
    assert max(totals) < 1.15 * sum(totals) / way[1], "no rank trains on more than its share"


def test_a_rank_without_a_prompt(train):
    one = (*DYNAMIC, "--data.prompts_per_step", "1")
    several, alone = train("ddp", 2, one), train("auto", 1, one)
    several.assert_same_rollouts(alone)
    several.assert_same_saved(alone)
    for name, values in alone.weights.items():
        torch.testing.assert_close(several.weights[name], values, rtol=0, atol=1e-5, msg=name)


def test_groups_that_were_not_trained_on_are_saved_too(alone):
    for step, records in alone.saved().items():
        trained, others = [{r.problem_id for r in records if r.trained is flag} for flag in (True, False)]
        assert len(trained) == 5 == len(alone.steps()[step - 1])
        assert not trained & others
        assert {r.problem_id for r in records if r.advantage is not None} == trained
    assert len(records) == alone.metrics["dynamic_sampling/completions"]


def test_what_it_cost_is_logged(alone):
    metrics = alone.metrics
    assert metrics["dynamic_sampling/completions"] == 6 * metrics["dynamic_sampling/prompts"]
    assert 1 <= metrics["dynamic_sampling/rounds"] <= 2
    assert 5 < metrics["dynamic_sampling/prompts"] <= 15
    assert metrics["dynamic_sampling/share"] < 1
    assert metrics["time/rollout"] >= metrics["time/further_rollouts"] > 0
    kept = round(metrics["train/with_advantage"] * 5)
    assert metrics["dynamic_sampling/share"] * metrics["dynamic_sampling/prompts"] == pytest.approx(
        kept + metrics["dynamic_sampling/surplus"]
    )


@pytest.mark.parametrize("way", [("auto", 1), ("fsdp2", 2)], ids=["one process", "two shards"])
def test_a_resumed_run_draws_the_same(way, train, policy, tmp_path):
    whole = train(*way, DYNAMIC)
    args = arguments(policy, tmp_path, *way, *DYNAMIC, "--ckpt_path", str(whole.checkpoint(3)))
    resumed = Run(tmp_path, Ranks(args, way[1], tmp_path).succeed().output(), way[1])
    assert resumed.steps() == {step: prompts for step, prompts in whole.steps().items() if step >= 3}
    assert all(torch.equal(resumed.weights[name], values) for name, values in whole.weights.items())


def test_each_strategy_of_a_schedule_asks_for_its_own_groups(policy, tmp_path):
    yaml = tmp_path / "schedule.yaml"
    yaml.write_text(
        """
model:
  advantage:
    class_path: Schedule
    init_args:
      strategies: [{class_path: PassKAnalytic, init_args: {k: 4}}, {class_path: GRPO}]
      boundaries: [0.4]
rollout:
  source: {class_path: DynamicSampling, init_args: {max_rounds: 5}}
"""
    )
    strategy = ("model.advantage", "model.advantage.k")
    args = arguments(policy, tmp_path, "auto", 1, *FEW_PROMPTS, "--config", str(yaml), without=strategy)
    run = Run(tmp_path, Ranks(args, 1, tmp_path).succeed().output(), 1)
    for step, prompts in run.steps().items():
        assert all(any(advantages) for _, advantages in prompts.values()), step
        for _, advantages in prompts.values():
            right, wrong = sum(a > 0 for a in advantages), sum(a < 0 for a in advantages)
            assert right >= 1
            assert wrong >= (4 if step < 2 else 1)
    few_wrong = [sum(a < 0 for a in advantages) < 4 for s in (2, 3, 4) for _, advantages in run.steps()[s].values()]
    assert any(few_wrong), "later steps keep groups that Pass@4 has no use for"
