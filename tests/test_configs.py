"""Every shipped configuration parses, and is instantiated up to the weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from lit_passk import cli
from lit_passk.advantages import GRPO, PassKAnalytic, Schedule
from lit_passk.commands.train import LitPassKCLI
from lit_passk.data import PromptDataModule
from lit_passk.losses import ClippedLoss
from lit_passk.modules import PassKRLModule

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
LAID_OVER = {  # configurations that hold only a change to another one
    "math_k_then_1.yaml": "math_fsdp.yaml",
    "maze_released.yaml": "maze_qwen7b_fsdp.yaml",
    "maze_test_cpu.yaml": "maze_cpu.yaml",
    "32b_32gpus.yaml": "math_fsdp.yaml",
    "70b_128gpus.yaml": "math_fsdp.yaml",
}
SFT = {"maze_sft_cpu.yaml"}


def arguments(path: Path) -> list[str]:
    base = LAID_OVER.get(path.name)
    return [*(["--config", str(CONFIGS / base)] if base else []), "--config", str(path)]


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda p: p.stem)
def test_parses(path, capsys):
    if path.name in SFT:
        command = ["sft", *arguments(path), "--out", "x"]
    else:
        command = ["validate" if path.parent.name == "benchmarks" else "fit", *arguments(path)]
        if "policy" not in (yaml.safe_load(path.read_text()).get("model") or {}) and path.name not in LAID_OVER:
            command += ["--model.policy", "org/model"]
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, "--print_config"])
    assert stop.value.code == 0
    assert yaml.safe_load(capsys.readouterr().out)["seed_everything"] == 0


@pytest.fixture
def problems(tmp_path):
    rows = [{"id": str(i), "problem": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(8)]
    path = tmp_path / "problems.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


def instantiate(maze_policy, *args: str) -> LitPassKCLI:
    return LitPassKCLI(
        PassKRLModule,
        PromptDataModule,
        run=False,
        seed_everything_default=0,
        save_config_callback=None,
        args=[*args, "--model.policy", maze_policy, "--trainer.accelerator", "cpu", "--trainer.devices", "1"],
    )


def test_math_fsdp_up_to_the_weights(maze_policy, problems, tmp_path):
    """Only what needs a hub or eight GPUs is replaced: policy, data, devices and the precision plugin's device."""
    config = yaml.safe_load((CONFIGS / "math_fsdp.yaml").read_text())
    config["data"]["train"]["init_args"] = {"path": problems}
    config["data"]["val"] = {
        name: {"class_path": "MathTask", "init_args": {"path": problems}} for name in ("aime24", "aime25")
    }
    del config["trainer"]["strategy"]
    path = tmp_path / "math.yaml"
    path.write_text(yaml.safe_dump(config))
    parts = instantiate(maze_policy, "--config", str(path))
    module = parts.model
    assert isinstance(module.advantage, PassKAnalytic)
    assert module.advantage.k == 4
    assert isinstance(module.objective.loss, ClippedLoss)
    assert (module.objective.loss.clip_low, module.objective.loss.clip_high) == (0.2, 0.28)
    optimizer = module.optimization.make_optimizer([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.param_groups[0]["lr"] == 1e-6
    assert parts.datamodule.prompts_per_step == 128
    assert set(parts.datamodule.tasks) == {"train", "aime24", "aime25"}
    rollout = next(c for c in parts.trainer.callbacks if type(c).__name__ == "RolloutCallback")
    assert type(rollout.engine).__name__ == "VLLMEngine"
    assert rollout.group_size == 32


def test_k_then_1_is_a_schedule(maze_policy, problems, tmp_path):
    overrides = tmp_path / "local.yaml"
    task = {"class_path": "MathTask", "init_args": {"path": problems}}
    overrides.write_text(yaml.safe_dump({"data": {"train": task, "val": {"math": task}}}))
    configs = [CONFIGS / "math_fsdp.yaml", CONFIGS / "math_k_then_1.yaml", overrides]
    args = [part for path in configs for part in ("--config", str(path))]
    parts = instantiate(maze_policy, *args, "--trainer.strategy", "auto")
    schedule = parts.model.advantage
    assert isinstance(schedule, Schedule)
    assert [type(s) for s in schedule.strategies] == [PassKAnalytic, GRPO]


def test_the_released_mazes_replace_the_generated_ones(maze_policy, tmp_path):
    """From files with the released set's columns and splits, in place of the hub's."""
    maze = "*****\n*E..*\n*.*.*\n*S*.*\n*****"
    chat = [{"role": "user", "content": f"From S to E:\n{maze}"}]
    row = {"data_source": "maze", "prompt": chat, "ability": "maze", "extra_info": {"index": 0}}
    for split, rows in {"train": 3, "test": 2}.items():
        lines = [json.dumps({**row, "reward_model": {"style": "rule", "ground_truth": maze}})] * rows
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    config = yaml.safe_load((CONFIGS / "maze_released.yaml").read_text())
    tasks = [config["data"]["train"], config["data"]["val"]["maze"]]
    for task in tasks:
        task["init_args"]["path"] = str(tmp_path)
    (tmp_path / "released.yaml").write_text(yaml.safe_dump(config))
    configs = [CONFIGS / "maze_qwen7b_fsdp.yaml", tmp_path / "released.yaml"]
    args = [part for path in configs for part in ("--config", str(path))]
    parts = instantiate(maze_policy, *args, "--trainer.strategy", "auto")
    tasks = parts.datamodule.tasks
    assert {name: len(task) for name, task in tasks.items()} == {"train": 3, "maze": 2}
    assert tasks["train"].score(tasks["train"][0], "\\boxed{UU}").correct


def test_overriding_the_class_keeps_values_of_the_same_name(maze_policy):
    parts = instantiate(maze_policy, "--config", str(CONFIGS / "maze_cpu.yaml"), "--model.advantage", "Combination")
    assert type(parts.model.advantage).__name__ == "Combination"
    assert parts.model.advantage.k == 4
