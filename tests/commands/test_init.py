"""What `lit-passk init` writes loads, holds what was chosen, and trains."""

import json
import sys

import pytest
import yaml

from lit_passk.cli import main
from lit_passk.commands import plan
from lit_passk.commands.init import answers
from lit_passk.commands.init.choices import MAZE_POLICY, Choices
from lit_passk.commands.init.text import configuration, scale
from lit_passk.errors import Refusal

VERL = {"prompt": [{"role": "user", "content": "1 + 1?"}], "reward_model": {"ground_truth": "2"}, "data_source": "sums"}
NOTHING_GIVEN = dict.fromkeys(Choices.__dataclass_fields__)


def choices(**given):
    return Choices(**answers(NOTHING_GIVEN | given, lambda question, default: default))


@pytest.fixture
def rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gsm8k.jsonl").write_text(
        "".join(
            json.dumps({"question": f"What is {i} + 1?", "answer": f"Easy. #### {i + 1}"}) + "\n" for i in range(10)
        )
    )
    (tmp_path / "verl.jsonl").write_text(json.dumps(VERL) + "\n")
    (tmp_path / "code.jsonl").write_text(json.dumps({"text": "Add.", "test_list": ["assert add(1, 2) == 3"]}) + "\n")
    (tmp_path / "rewards.py").write_text(
        "def score(data_source, solution_str, ground_truth, extra_info):\n    return 1.0\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"model.policy": MAZE_POLICY, "trainer.accelerator": "cpu", "rollout.engine": None}),
        ({"task": "maze", "policy": "org/model", "gpus": 8}, {"trainer.strategy.init_args.data_parallel_size": 8}),
        (
            {"path": "openai/gsm8k", "subset": "main", "val_split": "test", "gpus": 1, "vllm": True, "lora": True},
            {"data.val.held_out.init_args.split": "test", "model.lora.rank": 16, "trainer.devices": 1},
        ),
        ({"path": "a: b.jsonl", "k": 12, "gpus": 0}, {"model.advantage.init_args.k": 12, "rollout.group_size": 32}),
        ({"task": "code", "path": "code.jsonl", "gpus": 2}, {"rollout.sampling.max_tokens": 2048}),
        ({"task": "function", "path": "rows", "function": "f.py:g", "vllm": True, "gpus": 0}, {"data.val": {}}),
    ],
)
def test_every_combination_loads_and_holds_what_was_chosen(given, expected):
    config = plan.read(["--config", configuration(choices(**given), "run.yaml")])
    found = {name: config[name] for name in expected}
    found = {name: dict(value) if isinstance(value, dict) else value for name, value in found.items()}
    assert found == {name: value if value != {} else None for name, value in expected.items()}
    if "path" in given:
        assert config.data.train.init_args.path == given["path"]


def test_nothing_is_written_that_is_the_default():
    text = configuration(choices(path="rows.jsonl", gpus=1), "run.yaml")
    written = yaml.safe_load(text)
    assert "seed_everything" not in written
    assert set(written["trainer"]) == {"accelerator", "devices", "precision", "max_steps", "default_root_dir"}
    assert text.count("#") > 15  # it says why


@pytest.mark.parametrize("gpus", [0, 1, 3, 8])
@pytest.mark.parametrize("rows", [1, 5, 100, None])
def test_a_step_asks_for_no_more_prompts_than_there_are_rows(gpus, rows):
    prompts = scale(choices(path="rows.jsonl", gpus=gpus), rows).prompts
    assert 1 <= prompts <= max(rows or 1000, gpus, 1)


def test_local_rows_are_looked_at_and_nothing_is_overwritten(rows, capsys):
    main(["init", "math/run.yaml", "--path", "gsm8k.jsonl", "--gpus", "0"])
    assert "10 rows to train on; the first asks 'What is 0 + 1?" in capsys.readouterr().out
    main(["init", "function.yaml", "--task", "function", "--path", "verl.jsonl", "--function", "rewards.py:score"])
    assert "'1 + 1?'" in capsys.readouterr().out
    before = (rows / "function.yaml").read_text()
    with pytest.raises(SystemExit):
        main(["init", "function.yaml"])
    assert "'function.yaml' exists" in capsys.readouterr().err
    assert (rows / "function.yaml").read_text() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "math"], "needs rows"),
        (["--path", "nowhere/at/all.jsonl"], "No data set at"),
        (["--path", "code.jsonl"], "has no column"),
        (["--path", "gsm8k.jsonl", "--gpus", "-1"], "0 for a CPU"),
        (["--task", "maze", "--path", "gsm8k.jsonl"], "Mazes are generated"),
        (["--task", "function", "--path", "gsm8k.jsonl"], "FILE:NAME"),
        (["--path", "gsm8k.jsonl", "--val_path", "org/rows"], "--val_split"),
        (["--k", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(rows, options, message, capsys):
    with pytest.raises(SystemExit):
        main(["init", "run.yaml", *options])
    assert message in capsys.readouterr().err
    assert not (rows / "run.yaml").exists()


def test_on_a_terminal_it_asks_for_what_was_not_given(rows, monkeypatch, capsys):
    asked = []
    replies = {"What is to be": "math", "Rows to train": "gsm8k.jsonl", "Which model": "org/model", "How many": "0"}

    def reply(question):
        asked.append(question)
        return next((answer for start, answer in replies.items() if question.startswith(start)), "")

    monkeypatch.setattr("builtins.input", reply)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    main(["init", "--k", "8"])
    assert "wrote run.yaml" in capsys.readouterr().out
    written = yaml.safe_load((rows / "run.yaml").read_text())
    assert written["model"]["policy"] == "org/model"
    assert written["model"]["advantage"]["init_args"]["k"] == 8
    assert not any("groups that are paid" in question for question in asked)
    assert any(question.startswith("Train low-rank adapters") for question in asked)


def test_no_number_where_one_is_asked_for(monkeypatch):
    with pytest.raises(Refusal, match="whole number"):
        answers(NOTHING_GIVEN, lambda question, default: "many" if "GPUs" in question else default)
    with pytest.raises(Refusal, match="Yes or no"):
        answers(NOTHING_GIVEN, lambda question, default: "maybe" if "vLLM" in question else default)


def test_a_plan_that_does_not_fit_is_said(rows, maze_policy, capsys, monkeypatch):
    main(["init", "fits.yaml", "--path", "gsm8k.jsonl", "--policy", maze_policy, "--gpus", "1"])
    assert "On GPUs of 80 GB: It fits." in capsys.readouterr().out
    monkeypatch.setattr(plan, "problems", lambda estimate, machine: ["Training does not fit: 99 GB."])
    main(["init", "large.yaml", "--path", "gsm8k.jsonl", "--policy", maze_policy, "--gpus", "1"])
    assert "It does not fit:\nTraining does not fit: 99 GB." in capsys.readouterr().out
    main(["init", "hub.yaml", "--path", "gsm8k.jsonl", "--policy", "org/model", "--gpus", "1"])
    assert "Whether it fits was not computed: No model 'org/model'" in capsys.readouterr().out


@pytest.mark.seconds
def test_what_it_writes_trains(tmp_path, monkeypatch, maze_policy):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / MAZE_POLICY).symlink_to(maze_policy)
    main(["init"])
    small = ["--data.prompts_per_step", "2", "--rollout.group_size", "8", "--rollout.val_sampling.n", "64"]
    few = [
        "--data.val.maze.init_args.num_problems",
        "2",
        "--trainer.max_steps",
        "1",
        "--trainer.val_check_interval",
        "1",
    ]
    main(["fit", "--config", "run.yaml", *small, *few])
    assert list((tmp_path / "runs/maze_k4").rglob("*.ckpt"))
