"""The command line as a stranger uses it: from a cold start to results, with a strategy and a task of one's own."""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lit_passk import cli
from lit_passk.results import load_results

CONFIGS = Path(__file__).parents[2] / "configs"
USER_CODE = '''
import lightning as L
import torch
from lit_passk import AdvantageStrategy, Problem, Score, Task

class HardPromptsOnly(AdvantageStrategy):
    """Mean-centred rewards, silenced on solved prompts.

    Args:
        max_solve_rate: Prompts solved more often than this teach nothing.
    """

    def __init__(self, max_solve_rate: float = 0.5) -> None:
        self.max_solve_rate = max_solve_rate

    def __call__(self, rewards, context=None):
        solve_rate = rewards.mean(dim=1, keepdim=True)
        return torch.where(solve_rate <= self.max_solve_rate, rewards - solve_rate, 0.0)

class StartsWith(Task):
    """Completions must begin with a letter that the prompt names."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index >= 3:
            raise IndexError(index)
        return Problem(id=str(index), prompt="SE*"[index], answer="UDL"[index])

    def score(self, problem, completion):
        correct = completion.startswith(problem.answer)
        return Score(reward=float(correct), correct=correct, answer=completion[:1])

class Broken(StartsWith):
    def score(self, problem, completion):
        return Score(reward=float("nan"), correct=False)

class Forgetful(StartsWith):
    """Some completions of every problem get no verdict, so pass@n of n completions is not defined."""

    def score(self, problem, completion):
        if any(letter in completion for letter in "UDLR"):
            return Score(reward=0.0, correct=False, error="lost")
        return Score(reward=1.0, correct=True)

class Exhausted(L.Callback):
    def __init__(self, hook: str) -> None:
        setattr(self, hook, lambda *args, **kwargs: next(iter(())))

class Crayons(L.Callback):
    """Draws worse than any picture of ours."""

    def setup(self, trainer, pl_module, stage):
        for callback in trainer.callbacks:
            if type(callback).__name__ in ("PassAtKCurve", "CompletionsTable"):
                for logger in trainer.loggers:
                    logger.experiment.add_figure = logger.experiment.add_text = self.draw

    def draw(self, *args):
        next(iter(()))
'''


@pytest.fixture
def user_code(tmp_path, monkeypatch):
    (tmp_path / "my_project.py").write_text(USER_CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(folder: Path, policy: str, **changes) -> str:
    """A small run on the user's own task."""
    task = {"class_path": "my_project.StartsWith"}
    values = {
        "model.policy": policy,
        "model.ks": [1, 2, 4, 8],
        "model.advantage": {"class_path": "PassKAnalytic", "init_args": {"k": 2}},
        "model.optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 3e-3, "weight_decay": 0.0}},
        "rollout.group_size": 8,
        "rollout.sampling.max_tokens": 4,
        "rollout.val_sampling.max_tokens": 4,
        "rollout.val_sampling.n": 8,
        "data.prompts_per_step": 3,
        "data.train": task,
        "data.val": {"letters": task, "again": task},
        "trainer.accelerator": "cpu",
        "trainer.max_steps": 4,
        "trainer.enable_progress_bar": False,
        "trainer.default_root_dir": str(folder / "run"),
        **changes,
    }
    nested: dict = {}
    for key, value in values.items():
        *path, last = key.split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(nested))
    return str(path)


def refusal(capsys, *args: str) -> str:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(args))
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_bytes_that_are_no_utf8_are_refused_before_anything_is_done(capsys, tmp_path, monkeypatch):
    said = refusal(capsys, "fit", "--trainer.default_root_dir", "runs/\udcff")
    assert "'runs/\\udcff' is no UTF-8 text" in said
    monkeypatch.setattr(Path, "cwd", lambda: tmp_path / "\udcff")
    assert "is no UTF-8 text" in refusal(capsys, "sft", "--out", "für_alle")


def test_learns_with_a_strategy_and_a_task_from_a_foreign_folder(user_code, maze_policy):
    path = config(
        user_code, maze_policy, **{"trainer.max_steps": 40, "trainer.val_check_interval": 20, "rollout.group_size": 16}
    )
    cli.main(
        [
            *("fit", "--config", path, "--model.advantage", "my_project.HardPromptsOnly"),
            *("--model.advantage.max_solve_rate", "1.0", "--trainer.callbacks+", "ModelCheckpoint"),
            *("--trainer.callbacks.monitor", "val/pass@8", "--trainer.callbacks.mode", "max"),
            *("--trainer.callbacks.dirpath", str(user_code / "best")),
        ]
    )
    (events,) = (user_code / "run").rglob("events*")
    board = EventAccumulator(str(events.parent))
    board.Reload()
    rewards = [e.value for e in board.Scalars("train/reward")]
    assert len(rewards) == 40
    assert sum(rewards[:3]) / 3 < 0.3
    assert sum(rewards[-3:]) / 3 > 0.9
    assert board.Scalars("val/pass@1")[-1].value > 0.9
    assert {"val/letters/pass@8", "val/again/pass@8/low", "val/pass@8"} <= set(board.Tags()["scalars"])
    assert "val/pass@k" in board.Tags()["images"]
    assert "train/completions/text_summary" in board.Tags()["tensors"]
    assert list((user_code / "best").glob("*.ckpt"))  # ModelCheckpoint found what it monitors


def test_finds_a_class_in_the_folder_it_is_called_from(tmp_path, monkeypatch, capsys):
    (tmp_path / "idea_of_mine").mkdir()
    (tmp_path / "idea_of_mine" / "advantages.py").write_text(USER_CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # an installed command does not have the working folder on it
    with pytest.raises(SystemExit) as stop:
        cli.main(
            [
                *("fit", "--config", str(CONFIGS / "maze_cpu.yaml"), "--print_config"),
                *("--model.advantage", "idea_of_mine.advantages.HardPromptsOnly"),
                *("--model.advantage.max_solve_rate", "0.25"),
            ]
        )
    assert stop.value.code in (None, 0)
    assert "class_path: idea_of_mine.advantages.HardPromptsOnly" in capsys.readouterr().out


def test_a_maze_policy_from_the_cold_start_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ["--data.train.init_args.num_problems", "64", "--trainer.enable_progress_bar", "false"]
    sft = ["sft", "--config", str(CONFIGS / "maze_sft_cpu.yaml"), *small, "--data.batch_size", "8"]
    cli.main([*sft, "--trainer.max_steps", "3", "--out", "runs/maze_sft"])
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {p.name for p in Path("runs/maze_sft").iterdir()}
    common = ["--config", str(CONFIGS / "maze_cpu.yaml"), *small, "--trainer.logger", "false"]
    common += ["--data.val.maze.init_args.num_problems", "4", "--rollout.val_sampling.n", "4", "--model.ks", "[1, 4]"]
    cli.main(["fit", *common, "--trainer.max_steps", "2", "--data.prompts_per_step", "4"])
    checkpoint = "runs/maze/checkpoints/step=2.ckpt"
    cli.main(["predict", *common, "--ckpt_path", checkpoint])
    results = load_results("completions.jsonl")
    assert len(results.records) == 16
    assert {r.benchmark for r in results.records} == {"maze"}
    assert results.settings["policy"] == f"runs/maze_sft @ {checkpoint}"  # however it was written
    assert "was started with other settings" in refusal(capsys, "predict", *common)  # not those of the checkpoint
    assert len(load_results("completions.jsonl").records) == 16
    cli.main(["test", *common, "--ckpt_path", checkpoint])
    assert "test/maze/pass@4" in capsys.readouterr().out


def test_an_evaluation_samples_nothing_twice(user_code, maze_policy, monkeypatch):
    path = config(user_code, maze_policy)
    sampled = []
    from lit_passk.engines.transformers_engine import TransformersEngine

    original = TransformersEngine.generate
    monkeypatch.setattr(
        TransformersEngine,
        "generate",
        lambda self, ids, how, seeds: sampled.append(len(ids) * how.n) or original(self, ids, how, seeds),
    )
    common = ["--config", path, "--trainer.logger", "false", "--rollout.parity.every", "0"]
    common += ["--rollout.results", "r.jsonl"]
    cli.main(["validate", *common, "--rollout.val_sampling.n", "8"])
    assert sum(sampled) == 2 * 3 * 8
    lines = Path("r.jsonl").read_text().splitlines()
    Path("r.jsonl").write_text("\n".join(lines[:20]) + "\n" + lines[20][:30])  # killed while it wrote
    sampled.clear()
    cli.main(["validate", *common, "--rollout.val_sampling.n", "16"])
    assert sum(sampled) == 2 * 3 * 16 - 19
    records = {(r.benchmark, r.problem_id, r.sample): r for r in load_results("r.jsonl").records}
    assert len(records) == 2 * 3 * 16
    cli.main(["validate", *common[:-1], "whole.jsonl", "--rollout.val_sampling.n", "16"])
    for r in load_results("whole.jsonl").records:  # the same completions as in one go
        assert records[r.benchmark, r.problem_id, r.sample].completion == r.completion
        assert records[r.benchmark, r.problem_id, r.sample].seed == r.seed


def test_fewer_samples_leave_out_what_they_cannot_measure(user_code, maze_policy, capsys):
    path = config(user_code, maze_policy)
    common = ["--config", path, "--trainer.logger", "false", "--rollout.val_sampling.n", "2", "--model.ks", "[1, 2, 4]"]
    cli.main(["validate", *common])
    printed = capsys.readouterr().out
    assert "pass@2" in printed
    assert "pass@4" not in printed
    assert "pass@4" in refusal(capsys, "fit", *common), "training may choose its checkpoints by it"


def test_lost_completions_cost_neither_the_numbers_nor_the_checkpoints(user_code, maze_policy, capsys):
    forgetful = {"class_path": "my_project.Forgetful"}
    changes = {"data.val": {"letters": forgetful}, "trainer.val_check_interval": 2, "checkpoint.every": 2}
    path = config(user_code, maze_policy, **changes, **{"checkpoint.keep": None})
    cli.main(["validate", "--config", path])
    printed = capsys.readouterr().out
    assert "val/letters/pass@8" in printed
    assert "nan" in printed
    cli.main(["fit", "--config", path])
    saved = {path.name for path in (user_code / "run" / "checkpoints").glob("*.ckpt")}
    assert saved == {"step=2.ckpt", "step=4.ckpt"}
    events = max((user_code / "run").rglob("events*"), key=lambda path: path.stat().st_mtime)
    board = EventAccumulator(str(events.parent))
    board.Reload()
    assert len(board.Images("val/pass@k")) == 2


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_validation_batch_start", "on_validation_end"])
def test_a_callback_that_runs_out_of_something_fails_the_run(user_code, maze_policy, hook):
    path = config(user_code, maze_policy, **{"trainer.val_check_interval": 2, "trainer.logger": False})
    callback = ["--trainer.callbacks+=my_project.Exhausted", f"--trainer.callbacks.hook={hook}"]
    with pytest.raises(RuntimeError, match=rf"{hook} raised StopIteration"):
        cli.main(["fit", "--config", path, *callback])


def test_pictures_and_tables_that_fail_cost_a_warning_each(user_code, maze_policy):
    path = config(user_code, maze_policy, **{"trainer.val_check_interval": 2, "completions_table.every": 2})
    args = ["fit", "--config", path, "--trainer.callbacks+=my_project.Crayons"]
    with pytest.warns(UserWarning, match="The picture of pass@k failed") as caught:
        cli.main(args)
    texts = [str(warning.message) for warning in caught]
    assert any("The table of completions failed" in text and "in draw" in text for text in texts)
    assert [path.name for path in (user_code / "run" / "checkpoints").glob("*.ckpt")] == ["step=4.ckpt"]


@pytest.mark.parametrize("command", ["export", "sft"])
def test_a_folder_that_is_not_a_models_is_never_replaced(maze_policy, tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    Path("mine.txt").write_text("kept")
    checkpoint = {"policy": maze_policy, "lora": None, "state_dict": {"policy.model.x": torch.zeros(1)}}
    torch.save(checkpoint, "a.ckpt")
    options = {
        "export": ["--ckpt_path", "a.ckpt"],
        "sft": ["--config", str(CONFIGS / "maze_sft_cpu.yaml"), "--data.train.init_args.num_problems", "128"],
    }[command]
    for out in (".", "../" + tmp_path.name, "mine.txt"):
        assert "is not the folder of a model" in refusal(capsys, command, *options, "--out", out)
    assert {p.name for p in tmp_path.iterdir()} == {"mine.txt", "a.ckpt"}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"config.json": "{}", "src/main.js": ""}, "is not the folder of a model"),
        ({"config.json": "[" * 9999}, "is not the folder of a model"),
        ({"adapter_config.json": '{"name": 1}'}, "is not the folder of a model"),
        ({"config.json": '{"model_type": "gpt2"}', "checkpoints/a.ckpt": ""}, "holds 'checkpoints' beside a model"),
        ({"config.json": '{"model_type": "gpt2"}', "thesis.tex": "", "notes.md": ""}, "holds 'notes.md', 'thesis.tex'"),
    ],
)
def test_what_lies_beside_a_model_is_never_replaced(maze_policy, tmp_path, capsys, files, said):
    for name, text in files.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(text)
    checkpoint = {"policy": maze_policy, "lora": None, "state_dict": {"policy.model.x": torch.zeros(1)}}
    torch.save(checkpoint, tmp_path / "a.ckpt")
    args = ["export", "--ckpt_path", str(tmp_path / "a.ckpt"), "--out", str(tmp_path / "out")]
    assert said in refusal(capsys, *args)
    for name, text in files.items():
        assert (tmp_path / "out" / name).read_text() == text


@pytest.mark.parametrize("command", ["validate", "predict"])
def test_an_evaluation_needs_a_task(user_code, maze_policy, capsys, command):
    path = config(user_code, maze_policy, **{"data.val": None})
    assert "nothing to evaluate" in refusal(capsys, command, "--config", path, "--trainer.logger", "false")


def test_results_go_to_a_file(user_code, maze_policy, capsys):
    args = ["predict", "--config", config(user_code, maze_policy), "--trainer.logger", "false"]
    assert "Name a file in it" in refusal(capsys, *args, "--rollout.results", str(user_code))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--data.batch_size", "9"], "from 1 to the 8 demonstrations"),
        (["--data.batch_size", "0"], "but got 0"),
        (["--data.batch_size", "4", "--model.vocabulary", "[S, E, U, D]"], "lacks characters of the demonstration"),
    ],
)
def test_a_cold_start_that_would_learn_nothing_writes_nothing(tmp_path, capsys, change, message):
    args = ["sft", "--config", str(CONFIGS / "maze_sft_cpu.yaml"), "--data.train.init_args.num_problems", "8"]
    args += ["--trainer.max_steps", "1", "--trainer.enable_progress_bar", "false", "--out", str(tmp_path / "out")]
    assert message in refusal(capsys, *args, *change).splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_checkpoint(user_code, maze_policy, capsys):
    path = config(user_code, maze_policy)
    Path("text.ckpt").write_text("hello")
    torch.save({"state_dict": {}}, "foreign.ckpt")
    for name, message in {
        "text.ckpt": "or no checkpoint at all",
        "foreign.ckpt": "is not a checkpoint of `lit-passk fit`",
        maze_policy: "holds no checkpoint",
        "nowhere.ckpt": "There is no checkpoint at 'nowhere.ckpt'",
    }.items():
        error = refusal(capsys, "fit", "--config", path, "--trainer.logger", "false", "--ckpt_path", name)
        assert message in error.splitlines()[-1]


def test_a_checkpoint_whose_entries_cannot_be_given_back(user_code, capsys, maze_policy):
    """What Lightning and torch keep in a checkpoint has no form of ours: whatever they make of it is a sentence."""
    path = config(user_code, maze_policy, **{"trainer.max_steps": 1, "data.val": {}})
    cli.main(["fit", "--config", path])
    [whole] = (user_code / "run" / "checkpoints").iterdir()
    content = torch.load(whole, weights_only=True)
    changes = [("loops", {}), ("loops", {"fit_loop": {"epoch_loop.batch_progress": {}}}), ("lr_schedulers", [{}])]
    for name, value in [*changes, ("pytorch-lightning_version", "x")]:
        torch.save(content | {name: value}, user_code / "given.ckpt")
        capsys.readouterr()
        new = ["--trainer.default_root_dir", str(user_code / "other"), "--trainer.max_steps", "2"]
        said = refusal(capsys, "fit", "--config", path, *new, "--ckpt_path", str(user_code / "given.ckpt"))
        assert "What the checkpoint holds cannot be given back to this run (" in said, name
        assert "Traceback" not in said


def test_missing_cold_start_prints_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    error = refusal(capsys, "fit", "--config", str(CONFIGS / "maze_cpu.yaml"))
    assert "lit-passk sft --config maze_sft_cpu --out ./runs/maze_sft" in error
    assert list(tmp_path.iterdir()) == []


SCHEDULE = {
    "class_path": "Schedule",
    "init_args": {"strategies": [{"class_path": "PassKAnalytic"}, {"class_path": "GRPO"}], "boundaries": [0.5]},
}


def test_an_rl_step_that_max_steps_cuts_through_is_counted(user_code, maze_policy):
    changes = {"model.num_minibatches": 2, "model.num_epochs": 2, "trainer.max_steps": 5, "model.advantage": SCHEDULE}
    changes |= {"data.val": {}, "trainer.logger": False}
    path = config(user_code, maze_policy, **changes)
    cli.main(["fit", "--config", path])
    assert [p.name for p in (user_code / "run" / "checkpoints").iterdir()] == ["step=2.ckpt"]
    anew = ["--trainer.default_root_dir", str(user_code / "anew")]
    cli.main(["fit", "--config", path, "--trainer.max_steps", "3", *anew])  # one RL step: its length is known


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (path,) = (folder / "checkpoints").glob("*.ckpt")
    return torch.load(path, weights_only=True)["state_dict"]


def test_a_second_run_never_replaces_the_first(user_code, maze_policy, capsys):
    path = config(user_code, maze_policy, **{"data.val": {}, "trainer.logger": False, "trainer.max_steps": 2})
    cli.main(["fit", "--config", path])
    run = user_code / "run"
    before = {path.name: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for change in ([], ["--seed_everything", "1"], ["--model.advantage", "GRPO"], ["--trainer.max_steps", "3"]):
        error = refusal(capsys, "fit", "--config", path, *change).splitlines()[-1]
        assert "'step=2.ckpt', which this run would replace" in error
        assert "--ckpt_path last" in error
    assert {path.name: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    cli.main(["fit", "--config", path, "--ckpt_path", "last", "--trainer.max_steps", "3"])
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step=3.ckpt"]
    whole = ["--trainer.max_steps", "3", "--trainer.default_root_dir", str(user_code / "whole")]
    cli.main(["fit", "--config", path, *whole])
    ours, theirs = weights(run), weights(user_code / "whole")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_copied_run_goes_on_from_its_last_step_and_cleans_up(user_code, maze_policy):
    path = config(user_code, maze_policy, **{"data.val": {}, "trainer.logger": False, "trainer.max_steps": 12})
    keep = ["--config", path, "--checkpoint.every", "1", "--checkpoint.keep", "4"]
    cli.main(["fit", *keep])
    copy = user_code / "copy"
    (copy / "checkpoints").mkdir(parents=True)
    for step in (12, 9, 11, 10):  # the order of time is not that of steps
        name = f"checkpoints/step={step}.ckpt"
        (copy / name).write_bytes((user_code / "run" / name).read_bytes())
    more = ["--trainer.default_root_dir", str(copy), "--ckpt_path", "last", "--trainer.max_steps", "13"]
    cli.main(["fit", *keep, *more])
    assert {p.name for p in (copy / "checkpoints").iterdir()} == {f"step={step}.ckpt" for step in (10, 11, 12, 13)}


def test_two_runs_at_once_are_refused(user_code, maze_policy, capsys):
    from lit_passk.checkpointing.run_folder import FolderLock

    path = config(user_code, maze_policy, **{"data.val": {}, "trainer.logger": False})
    other = FolderLock(user_code / "run" / "run.lock", "The folder")
    assert "is in use by a run that has not ended" in refusal(capsys, "fit", "--config", path).splitlines()[-1]
    assert {p.name for p in (user_code / "run").rglob("*")} == {"run.lock"}
    other.release()
    cli.main(["fit", "--config", path, "--trainer.max_steps", "1"])


def test_an_evaluation_leaves_the_configuration_of_the_training_alone(user_code, maze_policy):
    path = config(user_code, maze_policy, **{"trainer.logger": False, "trainer.max_steps": 1})
    cli.main(["fit", "--config", path])
    before = (user_code / "run" / "config.yaml").read_text()
    cli.main(["validate", "--config", path, "--ckpt_path", "last", "--seed_everything", "5"])
    assert (user_code / "run" / "config.yaml").read_text() == before


def test_a_cold_start_replaces_no_policy(maze_policy, tmp_path, capsys):
    before = {path.name: path.read_bytes() for path in Path(maze_policy).iterdir()}
    args = ["sft", "--config", str(CONFIGS / "maze_sft_cpu.yaml"), "--data.train.init_args.num_problems", "8"]
    args += ["--data.batch_size", "4", "--trainer.max_steps", "1", "--trainer.logger", "false"]
    args += ["--trainer.default_root_dir", str(tmp_path)]
    assert "holds a model already" in refusal(capsys, *args, "--out", maze_policy)
    assert {path.name: path.read_bytes() for path in Path(maze_policy).iterdir()} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.advantage": {"class_path": "PassKAnalytic", "init_args": {"k": 9}}}, "group_size >= 9, but got 8"),
        ({"rollout.sampling.top_p": 0.9}, "top_p=1"),
        ({"rollout.sampling.temperature": 0.0}, "greedy"),
        ({"rollout.sampling.n": 3}, "contradicts"),
        ({"rollout.source": "DynamicSampling", "model.advantage.init_args": {"k": 8}}, "Raise it to 9 or more"),
        ({"model.advantage": SCHEDULE, "trainer.max_steps": -1}, "run of unknown length"),
        (
            {"rollout.source": {"class_path": "DynamicSampling", "init_args": {"max_rounds": 0}}},
            "of at least 1, but got 0",
        ),
        ({"rollout.parity": {"every": -3}}, "every >= 0"),
        ({"model.ks": [1, 16]}, "pass@16"),
        ({"model.ks": []}, "at least 1"),
        ({"model.kl_coef": -0.1}, "at least 0, but got -0.1"),
        ({"model.max_grad_norm": -1.0}, "at least 0, but got -1.0"),
        ({"model.compute.token_budget": 0}, "but got 0 and 256"),
        ({"trainer.max_steps": -5}, "You passed in -5"),
        ({"data.train": {"class_path": "my_project.Broken"}}, "its reward is nan"),
        ({"data.max_prompt_tokens": 0}, "No prompt"),
        ({"model.kl_coef": float("nan")}, "`model.kl_coef` is NaN"),
        (
            {"model.optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": -1.0}}},
            "Invalid learning rate: -1",
        ),
        ({"seed_everything": 2**32}, "between 0 and 4294967295"),
        ({"seed_everything": -1}, "but got -1"),
        ({"data.chat_template": True}, "no chat template"),
        ({"model.policy": "./nowhere"}, "no such folder"),
        ({"data.val": {"a/b": {"class_path": "my_project.StartsWith"}}}, "may not"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_input_costs_one_sentence(user_code, maze_policy, capsys, change, message):
    error = refusal(capsys, "fit", "--config", config(user_code, maze_policy, **change)).splitlines()[-1]
    assert error.startswith("lit-passk: error: ")
    assert message in error


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--model.advantage", "PassKAnalytical"], "PassKAnalytical"),
        (["--model.advantage.kk", "3"], "kk"),
        (["--modle.policy", "x"], "modle"),
        (["--model.num_epochs", "two"], "two"),
    ],
)
def test_unknown_names_are_named(user_code, maze_policy, capsys, args, message):
    assert message in refusal(capsys, "fit", "--config", config(user_code, maze_policy), *args)


def test_overview_and_unknown_command(capsys):
    cli.main([])
    overview = capsys.readouterr().out
    assert all(f"\n  {command}" in overview for command in [*cli.LIGHTNING, *cli.OTHERS])
    with pytest.raises(SystemExit, match="no command 'fti'"):
        cli.main(["fti"])


def test_help_comes_from_the_docstrings(capsys):
    with pytest.raises(SystemExit):
        cli.main(["fit", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "Weight of the KL penalty towards the initial policy" in text
    assert "Completions per prompt in training." in text


def test_weights_move_only_where_there_is_signal(user_code, maze_policy):
    """A step in which every advantage is 0 leaves the policy as it was."""
    path = config(user_code, maze_policy, **{"trainer.max_steps": 1})
    cli.main(
        [
            *("fit", "--config", path, "--model.advantage", "my_project.HardPromptsOnly"),
            *("--model.advantage.max_solve_rate", "-1.0", "--trainer.logger", "false"),
        ]
    )
    from safetensors.torch import load_file

    saved = torch.load(user_code / "run" / "checkpoints" / "step=1.ckpt", weights_only=False)["state_dict"]
    for name, tensor in load_file(Path(maze_policy) / "model.safetensors").items():
        key = f"policy.model.{name}"
        assert torch.equal(saved[key], tensor)


def steps_of(run: Path) -> dict[str, list[int]]:
    """At which steps a logger has each scalar, picture and text."""
    events = max(run.rglob("events*"), key=lambda path: path.stat().st_mtime)
    board = EventAccumulator(str(events.parent))
    board.Reload()
    tags = board.Tags()
    found = {tag: [event.step for event in board.Scalars(tag)] for tag in tags["scalars"]}
    found |= {tag: [event.step for event in board.Images(tag)] for tag in tags["images"]}
    return found | {tag: [event.step for event in board.Tensors(tag)] for tag in tags["tensors"]}


def test_everything_stands_at_its_rl_step(user_code, maze_policy):
    changes = {"model.num_minibatches": 3, "trainer.max_steps": 12, "trainer.val_check_interval": 2}
    path = config(user_code, maze_policy, **changes, **{"completions_table.every": 1})
    cli.main(["fit", "--config", path])
    steps = steps_of(user_code / "run")
    assert steps["train/reward"] == steps["time/rollout"] == steps["train/completions/text_summary"] == [1, 2, 3, 4]
    assert steps["val/pass@8"] == steps["val/letters/pass@1"] == steps["val/pass@k"] == [2, 4]
    cli.main(["fit", "--config", path, "--ckpt_path", "last", "--trainer.max_steps", "15"])
    assert steps_of(user_code / "run")["train/reward"] == [5]


def test_a_run_may_log_nothing(user_code, maze_policy):
    path = config(user_code, maze_policy, **{"trainer.log_every_n_steps": 0, "trainer.max_steps": 1, "data.val": {}})
    cli.main(["fit", "--config", path])
    assert [p.name for p in (user_code / "run" / "checkpoints").iterdir()] == ["step=1.ckpt"]


def test_a_resumed_run_has_the_settings_and_the_time_of_its_configuration(user_code, maze_policy, caplog):
    changes = {"data.val": {}, "trainer.max_steps": 1, "trainer.max_time": "00:01:00:00"}
    path = config(user_code, maze_policy, **changes)
    cli.main(["fit", "--config", path])
    checkpoint = user_code / "run" / "checkpoints" / "step=1.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    content["callbacks"]["Timer"]["time_elapsed"]["train"] = 7200.0  # as if it had trained for two hours
    torch.save(content, checkpoint)
    more = ["--ckpt_path", "last", "--trainer.max_steps", "2", "--model.optimizer.init_args.lr", "0.5"]
    caplog.set_level("INFO")
    cli.main(["fit", "--config", path, *more, "--rollout.sampling.temperature", "0.5", "--seed_everything", "3"])
    said = [text for text in caplog.messages if text.startswith(("Settings", "The optimizer"))]
    assert said == [
        "Settings differ from the checkpoint's: seed_everything: 0 in the checkpoint, 3 in this run; "
        "rollout.sampling.temperature: 1.0 in the checkpoint, 0.5 in this run.",
        "The optimizer goes on with lr = 0.5; the checkpoint had 0.003.",
    ]
    group = torch.load(checkpoint.with_name("step=2.ckpt"), weights_only=True)["optimizer_states"][0]["param_groups"][0]
    assert group["initial_lr"] == 0.5
    assert group["lr"] == pytest.approx(0.5 * 3 / 10)  # warming up over ten steps


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--ckpt_path", "best"], "name the file"),
        (["--ckpt_path", "hpc"], "no HPC checkpoint was found"),
        (["--trainer.strategy", "nosuch"], "invalid strategy name"),
        (["--trainer.val_check_interval", "1.5"], "val_check_interval"),
        (["--trainer.val_check_interval", "0"], "`trainer.val_check_interval` must be above 0, but got 0."),
        (["--trainer.val_check_interval", "0.0"], "set `trainer.limit_val_batches: 0`"),
        (["--trainer.check_val_every_n_epoch", "0"], "`trainer.check_val_every_n_epoch` must be above 0, but got 0."),
        (["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor", "nosuch"], "nosuch"),
        (["--model.lr_scheduler", "torch.optim.lr_scheduler.ReduceLROnPlateau"], "Use WarmupLR"),
        (["--model.advantage", "GRPO", "--rollout.group_size", "1", "--model.ks", "[1]"], "Raise it to 2 or more"),
    ],
)
def test_what_the_trainer_refuses_costs_one_sentence(user_code, maze_policy, capsys, args, message):
    error = refusal(capsys, "fit", "--config", config(user_code, maze_policy), *args).splitlines()
    assert message in " ".join(error)
    assert not any(line.startswith("Traceback") for line in error)


def test_a_strategy_is_chosen_by_its_name_alone(user_code, maze_policy, capsys):
    """As docs/scaling.md writes it; on this one process sharding changes nothing, so it only has to be understood."""
    path = config(
        user_code, maze_policy, **{"trainer.strategy": "ModelParallelStrategy", "trainer.precision": "16-mixed"}
    )
    error = refusal(capsys, "fit", "--config", path).splitlines()[-1]
    assert "precision" in error
    assert "strategy name" not in error


def test_an_error_of_ours_shows_its_trace(user_code, maze_policy, monkeypatch):
    from lit_passk.modules import PassKRLModule

    def bug(self, batch, batch_idx):
        return list(zip([1], [1, 2], strict=True))

    monkeypatch.setattr(PassKRLModule, "training_step", bug)
    with pytest.raises(ValueError, match="longer than argument 1"):
        cli.main(["fit", "--config", config(user_code, maze_policy, **{"trainer.logger": False})])


@pytest.mark.parametrize("name", ["items", "type", "keys", "half", "pop", "training", "a b", "ünïcode", "$x^2$", "1"])
def test_a_validation_task_may_have_any_name(user_code, maze_policy, capsys, name):
    path = config(user_code, maze_policy, **{"data.val": {name: {"class_path": "my_project.StartsWith"}}})
    cli.main(["validate", "--config", path])
    assert f"val/{name}/pass@8" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["a/b", "a.b", "train"])
def test_a_validation_task_whose_numbers_could_not_be_told_apart(user_code, maze_policy, capsys, name):
    path = config(user_code, maze_policy, **{"data.val": {name: {"class_path": "my_project.StartsWith"}}})
    assert f"but got {name!r}" in refusal(capsys, "validate", "--config", path).splitlines()[-1]


def test_a_changed_checkpoint_does_not_continue_a_results_file(user_code, maze_policy, capsys):
    path = config(user_code, maze_policy, **{"trainer.logger": False, "trainer.max_steps": 1})
    cli.main(["fit", "--config", path])
    checkpoint = user_code / "run" / "checkpoints" / "step=1.ckpt"
    args = ["validate", "--config", path, "--ckpt_path", str(checkpoint), "--rollout.results", "r.jsonl"]
    cli.main(args)
    cli.main(args)  # nothing changed: it goes on
    content = torch.load(checkpoint, weights_only=True)
    for tensor in content["state_dict"].values():
        tensor += 0.1
    torch.save(content, checkpoint)
    assert "weights" in refusal(capsys, *args).splitlines()[-1]
    assert "precision" in refusal(capsys, *args, "--trainer.precision", "bf16-mixed").splitlines()[-1]


@pytest.mark.parametrize("change", ["template", "tokens"])
def test_another_tokenizer_does_not_continue_a_results_file(user_code, maze_policy, capsys, change):
    """Its prompts, or the tokens that they are made of, are others."""
    policy = user_code / "policy"
    shutil.copytree(maze_policy, policy)
    template = policy / "chat_template.jinja"
    template.write_text("{{ messages[0].content }}U")
    args = ["validate", "--config", config(user_code, str(policy)), "--rollout.results", "r.jsonl"]
    cli.main(args)
    cli.main([*args, "--model.policy", f"{policy}/"])  # nothing changed: it goes on
    if change == "template":
        template.write_text("{{ messages[0].content }}D")
    else:
        file = policy / "tokenizer.json"
        file.write_text(file.read_text().replace('"U"', '"X"'))
    assert "(tokenizer: " in refusal(capsys, *args).splitlines()[-1]


@pytest.mark.parametrize("change", [{"prompt": "R"}, {"answer": "R"}], ids=str)
def test_changed_rows_do_not_continue_a_results_file(user_code, maze_policy, monkeypatch, capsys, change):
    """Not one that is complete either: nothing would be sampled, and the metrics be those of the rows before."""
    args = ["validate", "--config", config(user_code, maze_policy), "--rollout.results", "r.jsonl"]
    cli.main(args)
    before = Path("r.jsonl").read_bytes()
    task = importlib.import_module("my_project").StartsWith
    original = task.__getitem__
    monkeypatch.setattr(task, "__getitem__", lambda self, index: replace(original(self, index), **change))
    assert "with another prompt or reference answer" in refusal(capsys, *args).splitlines()[-1]
    assert Path("r.jsonl").read_bytes() == before


def test_weights_without_a_trainer(user_code, maze_policy):
    from lit_passk import PassKRLModule

    path = config(user_code, maze_policy, **{"trainer.logger": False, "trainer.max_steps": 1, "data.val": {}})
    cli.main(["fit", "--config", path])
    checkpoint = user_code / "run" / "checkpoints" / "step=1.ckpt"
    module = PassKRLModule.load_from_checkpoint(checkpoint)
    assert module.rl_step == 1
    saved = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert all(torch.equal(module.state_dict()[name], values) for name, values in saved.items())
    with pytest.raises(ValueError, match="no checkpoint at"):
        PassKRLModule.load_from_checkpoint(user_code / "nowhere.ckpt")


def test_loaders_alone_are_refused(maze_policy):
    import lightning as L

    from lit_passk import PassKRLModule
    from lit_passk.callbacks import RolloutCallback

    trainer = L.Trainer(accelerator="cpu", logger=False, callbacks=[RolloutCallback()], enable_checkpointing=False)
    with pytest.raises(ValueError, match=r"datamodule=PromptDataModule"):
        trainer.fit(PassKRLModule(maze_policy), train_dataloaders=[1])


def test_a_tilde_is_the_home_folder(user_code, maze_policy, monkeypatch):
    home = user_code / "home"
    home.mkdir()
    (home / "policy").symlink_to(maze_policy)
    monkeypatch.setenv("HOME", str(home))
    path = config(user_code, "~/policy", **{"trainer.default_root_dir": "~/run", "trainer.max_steps": 1})
    cli.main(["fit", "--config", path])
    (checkpoint,) = home.glob("run/checkpoints/*.ckpt")
    cli.main(
        [
            *("validate", "--config", path, "--trainer.logger", "false"),
            *("--ckpt_path", f"~/run/checkpoints/{checkpoint.name}", "--rollout.results", "~/answers.jsonl"),
        ]
    )
    assert len(load_results(home / "answers.jsonl").records) == 2 * 3 * 8
    cli.main(["report", "~/answers.jsonl", "--out", "~/report"])
    assert (home / "report" / "report.md").exists()
    assert not (user_code / "~").exists()


def test_errors_of_the_machine_cost_a_sentence(monkeypatch, capsys):
    assert "x' could not be used: File name too long." in refusal(capsys, "contamination", "x" * 300, "x" * 300)
    monkeypatch.setattr("lit_passk.commands.report.main", lambda options: os.stat(options[0]))
    with pytest.raises(FileNotFoundError):  # out of code that is not the library's, whose author wants to see the line
        cli.main(["report", "nowhere"])
    made = {"os": os}
    exec("def main(options): os.stat(options[0])", made)  # as the constructor of a dataclass is made
    monkeypatch.setattr("lit_passk.commands.report.main", made["main"])
    assert "'nowhere' could not be used: " in refusal(capsys, "report", "nowhere")

    def full(options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lit_passk.commands.report.main", full)
    assert refusal(capsys, "report").endswith("error: A file could not be used: No space left on device.\n")
    monkeypatch.setattr("lit_passk.commands.report.main", lambda options: os.kill(2**22 + 1, 0))
    with pytest.raises(ProcessLookupError):
        cli.main(["report"])


def test_python_without_docstrings_is_not_the_policys_fault():
    ran = subprocess.run([sys.executable, "-OO", "-m", "lit_passk.cli", "doctor"], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.endswith("as it builds a model: run without PYTHONOPTIMIZE=2 and -OO.\n")


def test_a_folder_that_was_removed(monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SystemExit, match="the folder you work in has been removed"):
        cli.main(["benchmarks"])


SLOW = "import time\nopen('reached', 'w').close()\n"
WRAPPED = """
try:
    time.sleep(1000)
except KeyboardInterrupt:
    raise ImportError("as packages make of whatever stops them")
"""


@pytest.mark.parametrize(
    ("command", "module", "waits", "said"),
    [
        (["validate"], "lightning", WRAPPED, ""),
        (["rescore", "a.jsonl"], "my_project", "time.sleep(1000)", "\nlit-passk: interrupted\n"),
    ],
    ids=["while the command is loaded", "later"],
)
def test_ctrl_c_ends_a_command_without_a_trace(user_code, maze_policy, command, module, waits, said):
    arguments = [*command, "--config", config(user_code, maze_policy)]
    (user_code / "a.jsonl").write_text("")
    (user_code / f"{module}.py").write_text(SLOW + waits)
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from lit_passk.cli import main; "
    )
    program += f"main({arguments!r})"
    environment = os.environ | {"PYTHONPATH": f"{user_code}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    with subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        while not (user_code / "reached").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=120)[1].endswith(said)
    assert process.returncode == -signal.SIGINT


def test_output_that_nobody_reads_any_more_is_no_error(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "lit_passk.cli", "benchmarks"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()  # before a line was written
    assert process.stderr.read() == ""
    assert process.wait() == 141


def test_the_terminal_holds_nothing_that_says_nothing(user_code, maze_policy, caplog, capfd):
    path = config(user_code, maze_policy)
    with caplog.at_level("INFO"):
        cli.main(["fit", "--config", path, "--trainer.max_steps", "1"])
    said = caplog.text + "".join(capfd.readouterr())
    assert "max_steps=1" in said
    assert not [line for line in said.splitlines() if "litlogger" in line or "weights_only" in line or "TPU" in line]


@pytest.mark.parametrize(
    "command", [["sft", "--config=configs/maze_sft_cpu.yaml", "--out=x"], ["fit", "--config=configs/maze_cpu.yaml"]]
)
def test_short_names_are_known_in_a_process_of_its_own(command):
    """Here other tests have imported what a command must import by itself."""
    asked = [sys.executable, "-m", "lit_passk.cli", *command, "--print_config"]
    done = subprocess.run(asked, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "class_path: lit_passk.tasks.MazeTask" in done.stdout
