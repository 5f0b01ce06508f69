"""A loss, a rollout source, an engine and a per-token mask from a foreign folder, a file each, named in a YAML."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import yaml

from lit_passk import cli

DOCS = Path(__file__).parents[2] / "docs"
FILES = {
    "my_loss.py": '''
from lit_passk import PolicyLoss

class TowardsTheEngine(PolicyLoss):
    """REINFORCE with a penalty on leaving the engine's and the initial policy's log-probabilities.

    Args:
        weight: Of the penalty.
    """

    def __init__(self, weight: float = 0.1) -> None:
        self.weight = weight

    def __call__(self, inputs):
        assert inputs.prompt_index.shape == inputs.logprobs.shape
        far = (inputs.logprobs - inputs.rollout_logprobs) ** 2 + (inputs.logprobs - inputs.ref_logprobs) ** 2
        return self.reduce(self.weight * far - inputs.advantages * inputs.logprobs, inputs, {"far": far})
''',
    "my_source.py": '''
import json
from pathlib import Path
from lit_passk import RolloutSource

class Journal(RolloutSource):
    """On-policy, and writes down the correct completions of every step.

    Args:
        path: JSON-lines file.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def rollouts(self, step, sampler):
        rollouts = sampler.rollouts(step, step.batch)
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step.number, "correct": int(rollouts.correct.sum())}) + "\\n")
        return rollouts

    def check(self, settings):
        if settings.group_size < 3:
            raise ValueError(f"Journal needs groups of 3, but got {settings.group_size}.")
''',
    "my_engine.py": '''
from dataclasses import replace
from lit_passk.engines.transformers_engine import TransformersEngine

class FirstTokenIsTheirs(TransformersEngine):
    """The first token of a completion counts as context, as if an environment had written it."""

    def generate(self, prompt_ids, sampling, seeds):
        for p, group in super().generate(prompt_ids, sampling, seeds):
            yield p, [replace(c, trained=[False] + [True] * (len(c.token_ids) - 1)) for c in group]
''',
    "my_task.py": """
from lit_passk import Problem, Score, Task

class StartsWith(Task):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index >= 3:
            raise IndexError(index)
        return Problem(id=str(index), prompt="SE*"[index], answer="UDL"[index])

    def score(self, problem, completion):
        correct = completion.startswith(problem.answer)
        return Score(reward=float(correct), correct=correct)
""",
}


@pytest.fixture
def folder(tmp_path, monkeypatch, maze_policy):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)  # the command line looks for a `class_path` in the folder one works in
    task = {"class_path": "my_task.StartsWith"}
    config = {
        "model": {
            "policy": maze_policy,
            "advantage": {"class_path": "DrGRPO"},
            "loss": {"class_path": "my_loss.TowardsTheEngine", "init_args": {"weight": 0.5}},
            "kl_coef": 0.01,
            "ks": [1, 2],
            "val_metrics": [{"class_path": "lit_passk.metrics.MaxRewardAtK", "init_args": {"ks": [2]}}],
        },
        "rollout": {
            "engine": {"class_path": "my_engine.FirstTokenIsTheirs"},
            "source": {"class_path": "my_source.Journal", "init_args": {"path": str(tmp_path / "journal")}},
            "group_size": 6,
            "sampling": {"max_tokens": 4},
            "val_sampling": {"max_tokens": 4},
        },
        "data": {"prompts_per_step": 3, "train": task, "val": {"letters": task}},
        "trainer": {
            "accelerator": "cpu",
            "max_steps": 3,
            "enable_progress_bar": False,
            "val_check_interval": 3,
            "default_root_dir": str(tmp_path / "run"),
            "logger": {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": str(tmp_path)}},
        },
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def test_every_piece_of_a_users_own(folder):
    cli.main(["fit", "--config", "config.yaml"])
    journal = [json.loads(line) for line in (folder / "journal").read_text().splitlines()]
    assert [row["step"] for row in journal] == [0, 1, 2]
    (metrics,) = folder.glob("lightning_logs/*/metrics.csv")
    header = metrics.read_text().splitlines()[0].split(",")
    assert {"train/loss/far", "train/loss/kl", "val/letters/pass@1", "val/letters/max@2"} <= set(header)


@pytest.mark.parametrize(
    ("options", "logged"),
    [
        (["--model.advantage", "my_project.halving.HalvingK", "--model.advantage.k", "4"], "train/with_advantage"),
        (["--model.advantage", "Surrogate", "--model.advantage.derivative", "my_project.slope.slope"], "train/reward"),
        (["--model.loss", "my_project.hinge.Hinge", "--model.loss.low", "-3"], "train/loss/decided"),
    ],
    ids=["a schedule over k", "the derivative of an objective", "a loss"],
)
def test_what_the_docs_tell_to_write(folder, options, logged):
    """The schedule and the loss of docs/write_a_strategy.md, and a function for `Surrogate`."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "write_a_strategy.md").read_text(), flags=re.S)
    for text in [*blocks, "# my_project/slope.py\ndef slope(p):\n    return 4 * (1 - p) ** 3\n"]:
        path = folder / text.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    cli.main(["fit", "--config", "config.yaml", *options])
    (metrics,) = folder.glob("lightning_logs/*/metrics.csv")
    rows = list(csv.DictReader(metrics.read_text().splitlines()))
    assert len([row for row in rows if row[logged]]) == 3


def test_what_a_users_source_refuses_is_said_before_anything_is_sampled(folder):
    with pytest.raises(ValueError, match="Journal needs groups of 3, but got 2"):
        cli.main(["fit", "--config", "config.yaml", "--rollout.group_size", "2"])
    assert not (folder / "journal").exists()
