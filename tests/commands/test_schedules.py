"""Each kind of schedule as a user writes it: a block of YAML, a short training by the command line, going on."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
import yaml

from lit_passk import cli

TASK = """
from lit_passk import Problem, Score, Task

class HoldsAnUp(Task):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        if index >= 16:
            raise IndexError(index)
        return Problem(id=str(index), prompt="SE*."[index % 4] * (1 + index // 4), answer="U")

    def score(self, problem, completion):
        correct = problem.answer in completion
        return Score(reward=float(correct), correct=correct)
"""
BLOCKS = {
    "k over time": """
        class_path: Schedule
        init_args:
          strategies:
            - {class_path: PKPO, init_args: {k: 3}}
            - {class_path: PKPO, init_args: {k: 2}}
            - {class_path: PKPO, init_args: {k: 1}}
          boundaries: [1, 0.75]
    """,
    "Pass@k then Pass@1, twice": """
        class_path: Schedule
        init_args:
          strategies:
            - {class_path: PassKAnalytic, init_args: {k: 2}}
            - GRPO
            - {class_path: PassKAnalytic, init_args: {k: 2}}
            - GRPO
          boundaries: [1, 2, 3]
    """,
    "from one to the other": """
        class_path: Blend
        init_args: {first: {class_path: PassKAnalytic, init_args: {k: 2}}, second: GRPO, end: 3}
    """,
    "by a logged quantity": """
        class_path: Switch
        init_args:
          first: GRPO
          second: {class_path: PassKAnalytic, init_args: {k: 2}}
          metric: train/tokens
          above: 0.0
          steps: 3
    """,
}


GROWING = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text().split("```python")[1].split("```")[0]


@pytest.fixture
def fit(tmp_path, monkeypatch, maze_policy):
    """Trains for some RL steps in a folder of its own; returns its last checkpoint."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "task_of_letters.py").write_text(TASK)
    task = {"class_path": "task_of_letters.HoldsAnUp"}

    def run(block: str, folder: str, steps: int, *args: str):
        config = {
            "model": {
                "policy": maze_policy,
                "advantage": yaml.safe_load(block),
                "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}},
                "ks": [1],
            },
            "rollout": {"group_size": 4, "sampling": {"max_tokens": 6}},
            "data": {"prompts_per_step": 4, "train": task},
            "trainer": {
                "accelerator": "cpu",
                "max_steps": steps,
                "logger": False,
                "enable_progress_bar": False,
                "default_root_dir": folder,
            },
        }
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        cli.main(["fit", "--config", "config.yaml", *args])
        return torch.load(tmp_path / folder / "checkpoints" / f"step={steps}.ckpt", weights_only=False)

    return run


@pytest.mark.seconds
@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_trains_and_goes_on_to_the_bit(fit, block, caplog):
    caplog.set_level(logging.INFO, logger="lit_passk.advantages.switch")
    whole = fit(block, "whole", 4)
    fit(block.replace("0.75", "3"), "parts", 2)  # a fraction is of the whole run
    resumed = fit(block.replace("0.75", "3"), "parts", 4, "--ckpt_path", "last")
    assert resumed["advantage"] == whole["advantage"]
    assert all(torch.equal(value, resumed["state_dict"][name]) for name, value in whole["state_dict"].items())
    if "Switch" in block:
        assert whole["advantage"][0] == {"class": "Switch", "state": {"switched": True, "in_a_row": 0}}
        assert "train/tokens is" in caplog.text


@pytest.mark.seconds
def test_one_of_a_users_own_remembers_what_it_saw(fit, tmp_path):
    (tmp_path / "my_schedules.py").write_text(GROWING)
    block = "{class_path: my_schedules.GrowingK, init_args: {most: 3, solved: -1.0}}"
    whole = fit(block, "whole", 3)
    assert whole["advantage"] == [{"class": "GrowingK", "state": {"k": 3}}]
    assert fit(block, "parts", 1)["advantage"] == [{"class": "GrowingK", "state": {"k": 2}}]
    resumed = fit(block, "parts", 3, "--ckpt_path", "last")
    assert resumed["advantage"] == whole["advantage"]
    assert all(torch.equal(value, resumed["state_dict"][name]) for name, value in whole["state_dict"].items())


def test_a_quantity_that_nobody_logs_stops_the_run(fit, capsys):
    with pytest.raises(SystemExit):
        fit(BLOCKS["by a logged quantity"].replace("train/tokens", "train/entrpy"), "typo", 2)
    assert "'train/entrpy', which training does not log. It logs train/entropy" in capsys.readouterr().err
