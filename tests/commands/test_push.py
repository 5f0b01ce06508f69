"""`lit-passk export --push` against a stand-in for the hub, and what the model card says."""

import json

import pytest
import torch
import yaml
from helpers.result_files import SETTINGS, group
from helpers.standin_hub import StandinHub
from helpers.tiny_families import tiny_model
from huggingface_hub import constants
from safetensors.torch import load
from transformers import AutoTokenizer

from lit_passk import __version__, hub
from lit_passk.cli import main
from lit_passk.commands.model_card import HIDDEN, described, without_secrets
from lit_passk.results import ResultWriter

TOKEN = "hf_" + "a" * 30
OTHER_TOKEN = "hf_" + "b" * 30
CONFIG = {
    "model": {
        "policy": "org/base",
        "advantage": {"class_path": "lit_passk.advantages.PassKAnalytic", "init_args": {"k": 8, "std": "population"}},
        "lora": {"rank": 4, "alpha": 8},
    },
    "rollout": {
        "group_size": 32,
        "engine": {
            "class_path": "VLLMServerEngine",
            "init_args": {"api_key": "open sesame", "url": "http://u:p@host:1"},
        },
    },
    "data": {
        "prompts_per_step": 16,
        "train": {"class_path": "lit_passk.tasks.MathTask", "init_args": {"path": "openai/gsm8k", "split": "train"}},
    },
    "trainer": {"logger": {"class_path": "WandbLogger", "init_args": {"notes": f"with {OTHER_TOKEN}"}}},
}


@pytest.fixture
def ckpt(maze_policy, tmp_path):
    model = tiny_model("llama")
    model.save_pretrained(tmp_path / "policy")
    AutoTokenizer.from_pretrained(maze_policy).save_pretrained(tmp_path / "policy")
    record = {"policy": str(tmp_path / "policy"), "lora": None, "dtype": "float32", "rl_step": 60}
    record |= {"metrics": {"val/pass@8": 0.5}, "config": yaml.safe_dump(CONFIG)}
    record["state_dict"] = {f"policy.model.{name}": values for name, values in model.state_dict().items()}
    torch.save(record, tmp_path / "a.ckpt")
    return tmp_path / "a.ckpt"


@pytest.fixture
def standin(monkeypatch):
    """A hub to which one is logged in."""
    with StandinHub(TOKEN) as server:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        hub.silence.cache_clear()
        yield server
        hub.silence.cache_clear()
        server.shutdown()


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "aime.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        for problem in ("p1", "p2"):
            writer.write(group(problem, range(4)))
    return path


def export(ckpt, *options):
    main(["export", "--ckpt_path", str(ckpt), "--out", str(ckpt.parent / "out"), *map(str, options)])


def test_the_whole_folder_arrives_private_with_its_card(ckpt, standin, results, capsys):
    export(ckpt, "--push", "me/trained", "--results", results)
    shown = capsys.readouterr()
    assert f"pushed to {standin.url}/me/trained" in shown.out
    assert "Writing model shards" not in shown.err  # transformers' bar
    assert standin.repositories == {"me/trained": True}
    written = {path.name: path.read_bytes() for path in (ckpt.parent / "out").iterdir()}
    assert {name: standin.files[name] for name in written} == written
    expected = torch.load(ckpt, weights_only=True)["state_dict"]["policy.model.model.embed_tokens.weight"]
    assert torch.equal(load(standin.files["model.safetensors"])["model.embed_tokens.weight"], expected)
    card = standin.files["README.md"].decode()
    for fact in (
        "PassKAnalytic(k=8, std=population)",
        "| completions of a prompt (G) | 32 |",
        "| RL steps | 60 |",
        "MathTask(path=openai/gsm8k, split=train)",
        f"lit-passk {__version__}",
        "LoRA, rank 4, alpha 8",
        "## What it scores",
        "pass@4",
        "val/pass@8 | 0.5",
    ):
        assert fact in card.replace("\\", "")
    for secret in (TOKEN, OTHER_TOKEN, "open sesame", "u:p@", str(ckpt.parent)):
        assert secret not in card
    assert card.count(HIDDEN) == 3
    assert yaml.safe_load(card.split("---")[1])["library_name"] == "transformers"


def test_a_second_push_goes_to_the_same_repository_and_public_is_asked_for(ckpt, standin):
    export(ckpt, "--push", "me/open", "--public")
    export(ckpt, "--push", "me/open")
    assert standin.repositories == {"me/open": False}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--push", "just a name"], "owner/name"),
        (["--push", "name"], "owner/name"),
        (["--public"], "give both"),
    ],
)
def test_what_cannot_be_pushed_is_refused_before_it_is_written(options, message, ckpt, standin, capsys):
    with pytest.raises(SystemExit):
        export(ckpt, *options)
    assert message in capsys.readouterr().err
    assert not (ckpt.parent / "out").exists()
    assert standin.asked == []


def test_without_a_token_or_a_hub_nothing_is_written(ckpt, standin, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SystemExit):
        export(ckpt, "--push", "me/trained")
    assert "HF_HUB_OFFLINE is set" in capsys.readouterr().err
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit):
        export(ckpt, "--push", "me/trained")
    assert "hf auth login" in capsys.readouterr().err
    assert not (ckpt.parent / "out").exists()


def test_a_token_that_the_hub_refuses_leaves_what_was_written(ckpt, standin, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", OTHER_TOKEN)
    with pytest.raises(SystemExit):
        export(ckpt, "--push", "me/trained")
    error = capsys.readouterr().err
    assert "was written, but the hub did not take it" in error
    assert OTHER_TOKEN not in error
    assert json.loads((ckpt.parent / "out" / "config.json").read_text())["model_type"] == "llama"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("API_KEY", "x", HIDDEN),
        ("wandb_token", "x", HIDDEN),
        ("password", "x", HIDDEN),
        ("header", f"Bearer {TOKEN}", f"Bearer {HIDDEN}"),
        ("paths", [OTHER_TOKEN, "a"], [HIDDEN, "a"]),
        ("max_tokens", 64, 64),
        ("token_budget", "9", "9"),
        ("monitor", "val/pass@8", "val/pass@8"),
        ("api_key", None, None),
    ],
)
def test_secrets_are_hidden_by_name_and_by_look(name, value, shown):
    assert without_secrets({name: value}) == {name: shown}


def test_nested_choices_read_as_calls():
    inner = {"class_path": "a.PassKAnalytic", "init_args": {"k": 4}}
    assert described({"class_path": "a.Blend", "init_args": {"first": inner}}) == "Blend(first=PassKAnalytic(k=4))"
    assert described(None) is None
