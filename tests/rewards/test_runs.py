"""Composed rewards in real runs: what strategies get, what is logged, what results files hold."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace

import lightning as L
import pytest
import torch
import yaml
from helpers.counting import MoreUps
from helpers.scripted import scripted_rollouts
from helpers.scripted_engine import ScriptedEngine

from lit_passk import cli
from lit_passk.advantages import GRPO, DrGRPO, MaxAtK, PassKAnalytic, Schedule
from lit_passk.callbacks import RolloutCallback
from lit_passk.data import PromptDataModule
from lit_passk.modules import PassKRLModule
from lit_passk.modules.advantage import warn_of_unused_rewards
from lit_passk.modules.part_metrics import part_metrics
from lit_passk.results import load_results
from lit_passk.rewards import LengthPenalty, RelativeLength, Verdict
from lit_passk.rollout.parity import ParityCheck
from lit_passk.types import Sampling, Score, ScoredGroup

WEIGHTS = {"verdict": 2.0, "price": 1.0, "relative": 0.5}


def script(prompt, seed):
    """1 to 4 letters, by the seed alone."""
    draw = torch.Generator().manual_seed(seed % 2**31)
    length = int(torch.randint(1, 5, (), generator=draw))
    return [*torch.randint(7, 9, (5,), generator=draw).tolist()[:length], *[5] * 5], [-1.0] * (length + 5)


class Watch(L.Callback):
    """Keeps what the module made of each step."""

    def __init__(self) -> None:
        self.steps: list[tuple] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.steps.append((batch.rollouts, outputs["advantages"], metrics))


def fit(policy, strategy) -> list[tuple]:
    watch = Watch()
    rewards = {
        "verdict": Verdict(weight=WEIGHTS["verdict"]),
        "price": LengthPenalty(per_token=0.25, free_tokens=1),
        "relative": RelativeLength(weight=WEIGHTS["relative"]),
    }
    data = PromptDataModule(policy, train=MoreUps(6), prompts_per_step=3, rewards=rewards)
    rollout = RolloutCallback(
        ScriptedEngine(script), group_size=6, sampling=Sampling(max_tokens=4), parity=ParityCheck(every=0)
    )
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=2,
        log_every_n_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[rollout, watch],
    )
    trainer.fit(PassKRLModule(policy, strategy), datamodule=data)
    return watch.steps


def paid(group: ScoredGroup) -> list[tuple[float, bool, dict[str, float]]]:
    """Reward, correctness and parts of the completions that can be scored, by hand."""
    rows = [
        (len(completion.token_ids), text.count("U") > text.count("D"))
        for completion, text in zip(group.completions, group.texts, strict=True)
        if not text.startswith("R")
    ]
    shortest, longest = min(n for n, _ in rows), max(n for n, _ in rows)
    result = []
    for n, correct in rows:
        lead = 0.5 - (n - shortest) / (longest - shortest) if longest > shortest else 0.0
        parts = {
            "verdict": float(correct),
            "price": -0.25 * max(n - 1, 0),
            "relative": lead if correct else min(lead, 0),
        }
        result.append((sum(WEIGHTS[name] * value for name, value in parts.items()), correct, parts))
    return result


@pytest.mark.parametrize("strategy", [PassKAnalytic(k=2), DrGRPO()])
@pytest.mark.filterwarnings("ignore")
def test_strategies_get_what_is_correct_and_what_is_paid(maze_policy, strategy):
    steps = fit(maze_policy, strategy)
    assert len(steps) == 2
    for rollouts, advantages, metrics in steps:
        expected = [paid(group) for group in rollouts.groups]
        everything = [row for group in expected for row in group]
        assert rollouts.rewards.tolist() == pytest.approx([reward for reward, _, _ in everything])
        assert rollouts.correct.tolist() == [correct for _, correct, _ in everything]
        assert 0 < sum(rollouts.correct.tolist()) < len(everything), "some of each, or nothing is shown"
        looked_at = rollouts.correct.float() if isinstance(strategy, PassKAnalytic) else rollouts.rewards
        groups = looked_at.split([len(group) for group in expected])
        torch.testing.assert_close(advantages, torch.cat([strategy(group[None])[0] for group in groups]))
        assert metrics["train/reward"] == pytest.approx(sum(reward for reward, _, _ in everything) / len(everything))
        for name in WEIGHTS:
            values = [parts[name] for _, _, parts in everything]
            mean = sum(values) / len(values)
            std = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
            assert metrics[f"train/reward/{name}/mean"] == pytest.approx(mean, abs=1e-6)
            assert metrics[f"train/reward/{name}/std"] == pytest.approx(std, abs=1e-6)


def test_a_strategy_that_does_not_look_at_rewards_is_named():
    with pytest.warns(UserWarning, match="PassKAnalytic does not look at what a completion is paid") as found:
        warn_of_unused_rewards(Schedule([PassKAnalytic(k=2), GRPO()], [10]), 8)
    assert len(found) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for strategy in (DrGRPO(), MaxAtK(k=2)):
            warn_of_unused_rewards(strategy, 8)


def test_rewards_without_a_task_to_train_are_refused(maze_policy):
    with pytest.raises(ValueError, match=r"`data.rewards` pay for the completions of `data.train`, which is not set"):
        PromptDataModule(maze_policy, val={"ups": MoreUps(2)}, rewards={"verdict": Verdict()})


def test_parts_far_from_zero_keep_their_spread():
    scores = [Score(reward=0.0, correct=False, parts={"far": 1e9 + offset}) for offset in (0.0, 1.0, 2.0, 3.0)]
    scores.append(Score(reward=0.0, correct=False, error="hung", parts={"far": 5.0}))
    (group,) = scripted_rollouts([[0.0] * len(scores)]).groups
    group = replace(group, scores=scores)
    metrics = part_metrics([group])
    assert metrics == {
        "reward/far/mean": pytest.approx(1e9 + 1.5, abs=1e-6),
        "reward/far/std": pytest.approx(math.sqrt(1.25), abs=1e-6),
    }
    assert part_metrics([]) == {}


# --- from the command line --------------------------------------------------------------------------------------------

FUNCTIONS = """
def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    return {"score": float(len(solution_str)), "source": data_source}

def starts(prompts, completions, start, **kwargs):
    return [float(c.startswith(s)) for c, s in zip(completions, start, strict=True)]
"""


def parts_in_yaml(folder):
    def function(name, **more):
        return {"class_path": "FunctionReward", "init_args": {"function": f"{folder}/mine.py:{name}", **more}}

    return {
        "verdict": {"class_path": "Verdict"},
        "form": {"class_path": "Format", "init_args": {"pattern": "^[UDLR]+$", "weight": 0.5}},
        "overlong": {"class_path": "SoftOverlong", "init_args": {"max_tokens": 4, "buffer": 2}},
        "words": {"class_path": "Repetition", "init_args": {"ngram": 1, "unit": "words"}},
        "relative": {"class_path": "RelativeLength"},
        "length": function("compute_score", weight=0.0),
        "up": function("starts", kwargs={"start": ["U"] * 4}),
    }


@pytest.mark.seconds
def test_a_run_whose_rewards_are_composed_in_yaml(tmp_path, maze_policy, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    mazes = {"class_path": "MazeTask", "init_args": {"sizes": [5], "num_problems": 6, "template": "{maze}\n"}}
    rewards = parts_in_yaml(tmp_path)
    tasks = {
        "small": {"task": mazes},
        "ups": {"task": {"class_path": "helpers.counting.MoreUps", "init_args": {"num_problems": 6}}},
    }
    config = {
        "model": {"policy": maze_policy, "advantage": {"class_path": "GRPO"}, "ks": [1, 2]},
        "rollout": {"group_size": 4, "sampling": {"max_tokens": 4}, "val_sampling": {"max_tokens": 4}},
        "data": {
            "prompts_per_step": 4,
            "train": {"class_path": "Mixture", "init_args": {"tasks": tasks}},
            "rewards": rewards,
            "val": {"mazes": {"class_path": "RewardedTask", "init_args": {"task": mazes, "rewards": rewards}}},
        },
        "trainer": {
            "accelerator": "cpu",
            "max_steps": 2,
            "enable_progress_bar": False,
            "enable_checkpointing": False,
            "limit_val_batches": 0,
            "default_root_dir": str(tmp_path / "run"),
            "logger": {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": str(tmp_path)}},
        },
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    cli.main(["fit", "--config", "config.yaml"])
    (metrics,) = tmp_path.glob("lightning_logs/*/metrics.csv")
    header = set(metrics.read_text().splitlines()[0].split(","))
    wanted = {f"reward/{name}/{what}" for name in rewards for what in ("mean", "std")}
    assert {f"train/{prefix}{name}" for prefix in ("", "small/", "ups/") for name in wanted} <= header

    cli.main(
        ["validate", "--config", "config.yaml", "--rollout.results", "run.jsonl", "--trainer.limit_val_batches", "1"]
    )
    records = load_results("run.jsonl").records
    assert len(records) == 24
    for record in records:
        parts = record.parts
        assert parts.keys() == rewards.keys()
        assert parts["length"] == len(record.completion)
        assert parts["up"] == record.completion.startswith("U")
        weighted = (
            parts["verdict"] + 0.5 * parts["form"] + sum(parts[n] for n in ("overlong", "words", "relative", "up"))
        )
        assert record.reward == pytest.approx(weighted)
    assert len({json.dumps(record.parts) for record in records}) > 3

    cli.main(["rescore", "run.jsonl", "--config", "config.yaml"])
    again = load_results("run.rescored.jsonl").records
    assert [record.parts for record in again] == [pytest.approx(record.parts) for record in records]
    assert [record.reward for record in again] == pytest.approx([record.reward for record in records])
