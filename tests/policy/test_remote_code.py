"""Program code in a model's folder is not run, and nobody is asked whether it may be."""

from __future__ import annotations

import json
import shutil

import pytest

from lit_passk.data.module import load_tokenizer
from lit_passk.errors import Refusal
from lit_passk.policy.model import load_policy

CODE = """
from pathlib import Path
from transformers import PretrainedConfig, PreTrainedTokenizerFast
Path(__file__).with_name("was_run").touch()
Path({mark!r}).touch()

class OwnConfig(PretrainedConfig):
    model_type = "own"

class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""


@pytest.fixture
def hostile(tmp_path, maze_policy, monkeypatch):
    """A folder with code that its configuration and its tokenizer name, before somebody who says yes to all."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    folder = shutil.copytree(maze_policy, tmp_path / "policy")
    (folder / "own.py").write_text(CODE.format(mark=str(tmp_path / "was_run")))
    for name, entry in (
        ("config.json", {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}}),
        (
            "tokenizer_config.json",
            {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": [None, "own.OwnTokenizer"]}},
        ),
    ):
        (folder / name).write_text(json.dumps(json.loads((folder / name).read_text()) | entry))
    yield folder
    assert not (tmp_path / "was_run").exists()


def test_a_model_that_needs_it_is_refused(hostile):
    with pytest.raises(Refusal, match=r"brings program code of its own .*, which is never run"):
        load_policy(hostile)


def test_a_tokenizer_that_brings_it_is_one_of_transformers(hostile, maze_policy):
    shutil.copy(f"{maze_policy}/config.json", hostile / "config.json")
    load_tokenizer(str(hostile))  # transformers' own reads the files just as well
