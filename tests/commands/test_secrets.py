"""Credentials stay where they are: a training with canaries in its environment, and all that it leaves behind."""

from __future__ import annotations

import gzip
import json
import os
import socket

import pytest
import yaml

from lit_passk import cli
from lit_passk.credentials import without_credentials

CANARY = "c4n4ry-5ecret"
SECRETS = (
    "VLLM_API_KEY", "HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "GITHUB_PAT", "SSH_AUTH_SOCK",
    "GOOGLE_APPLICATION_CREDENTIALS", "NEPTUNE_API_TOKEN", "OPENAI_API_KEY", "npm_config__authToken", "DATABASE_URL",
)  # fmt: skip
JUDGE = """
import glob, json, os

def judge(completion):
    links = [os.readlink(entry) for entry in glob.glob("/proc/self/fd/*") if os.path.lexists(entry)]
    with open("seen.jsonl", "a") as file:
        file.write(json.dumps({"environ": dict(os.environ), "files": links}) + "\\n")
    if "U" in completion:
        raise ValueError("could not judge it: " + os.environ.get("HF_TOKEN", "no token"))
    return float("D" in completion)
"""


def fit(folder, policy, *more):
    part = {"class_path": "FunctionReward", "init_args": {"function": "mine.py:judge", "secrets": ["OPENAI_API_KEY"]}}
    config = {
        "model": {"policy": policy, "advantage": {"class_path": "GRPO"}},
        "rollout": {"group_size": 4, "sampling": {"max_tokens": 4}, "save": {"class_path": "SaveRollouts"}},
        "data": {
            "prompts_per_step": 2,
            "train": {"class_path": "MazeTask", "init_args": {"sizes": [5], "num_problems": 6, "template": "{maze}\n"}},
            "rewards": {"judge": part},
        },
        "trainer": {
            "accelerator": "cpu",
            "max_steps": 2,
            "enable_progress_bar": False,
            "default_root_dir": str(folder / "run"),
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    cli.main(["fit", "--config", str(folder / "config.yaml"), *more])


def everything_written(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            yield path, gzip.decompress(data) if path.suffix == ".gz" else data


@pytest.mark.seconds
def test_a_training_leaves_no_credential_behind(tmp_path, maze_policy, monkeypatch, capfd, caplog):
    monkeypatch.chdir(tmp_path)
    for name in SECRETS:
        monkeypatch.setenv(name, f"postgres://me:{CANARY}@host/x" if name == "DATABASE_URL" else f"{CANARY}-{name}")
    (tmp_path / "mine.py").write_text(JUDGE)
    with socket.socket() as listening, open(tmp_path / "config.yaml", "w") as file:
        os.set_inheritable(listening.fileno(), True)
        os.set_inheritable(file.fileno(), True)  # as a careless library leaves them
        fit(tmp_path, maze_policy)
    seen = [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines()]
    (tmp_path / "seen.jsonl").unlink()
    assert len(seen) == 16
    for worker in seen:
        found = {name for name, value in worker["environ"].items() if CANARY in value}
        assert found == {"OPENAI_API_KEY"}, "the one that was asked for"
        assert sum(link.startswith("socket:") for link in worker["files"]) == 1, "its own to the trainer"
        assert not [link for link in worker["files"] if "config.yaml" in link]
    written = dict(everything_written(tmp_path))
    assert {".ckpt", ".gz", ".yaml"} <= {path.suffix for path in written}
    assert not [path for path, data in written.items() if CANARY.encode() in data]
    said = "".join(capfd.readouterr()) + caplog.text
    assert CANARY not in said
    assert "could not judge it: no token" in said


@pytest.mark.parametrize(
    ("options", "path"),
    [
        (("--trainer.logger.class_path", "MLFlowLogger", "--trainer.logger.init_args.tracking_uri", "https://me:pw@host"),
         "trainer.logger.init_args.tracking_uri"),
        (("--data.rewards.judge.init_args.kwargs", '{"api_key": "sk-1"}'),
         "data.rewards.judge.init_args.kwargs.api_key"),
        (("--rollout.engine", "VLLMEngine", "--rollout.engine.engine_args", '{"hf_token": "hf_1"}'),
         "rollout.engine.init_args.engine_args.hf_token"),
    ],
)  # fmt: skip
def test_a_credential_in_a_configuration_is_refused(tmp_path, maze_policy, monkeypatch, capsys, options, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def judge(completion): return 1.0")
    with pytest.raises(SystemExit):
        fit(tmp_path, maze_policy, *options)
    printed = capsys.readouterr().err
    assert f"`{path}` holds a credential" in printed
    assert not any(secret in printed for secret in ("me:pw", "sk-1", "hf_1"))
    assert not (tmp_path / "run").exists()


def test_what_is_a_credential():
    harmless = {
        "PATH": "/bin", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "KEYBOARD": "us", "AUTHOR": "me",
        "MASTER_ADDR": "host", "HTTPS_PROXY": "http://proxy:80", "PYTHONPATH": "/a:/b@c", "MONKEY": "x",
    }  # fmt: skip
    assert without_credentials(harmless) == harmless
    assert without_credentials(dict.fromkeys(SECRETS[:-2], "x") | {"DATABASE_URL": "postgres://a:b@c/d"}) == {}
