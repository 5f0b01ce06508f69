"""The configurations of the migration pages parse as they stand, and what the pages name exists."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import lightning as L
import pytest
import yaml

from lit_passk import cli
from lit_passk.callbacks import ResumeCheckpoint, RolloutCallback
from lit_passk.data import PromptDataModule
from lit_passk.modules import PassKRLModule
from lit_passk.modules.policies import Compute

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / name).read_text() for name in ("from_verl.md", "from_trl.md")}
HOMES = [
    importlib.import_module(name)
    for name in (
        "lightning.pytorch.callbacks",
        "lightning.pytorch.strategies",
        "lit_passk",
        "lit_passk.advantages",
        "lit_passk.data.samplers",
        "lit_passk.engines.transformers_engine",
        "lit_passk.engines.vllm_engine",
        "lit_passk.engines.vllm_server_engine",
        "lit_passk.losses",
        "lit_passk.losses.correction",
        "lit_passk.policy.lora",
        "lit_passk.results.save_rollouts",
        "lit_passk.rewards",
        "lit_passk.rollout.dynamic_sampling",
        "lit_passk.tasks",
    )
]


@pytest.fixture(params=PAGES)
def page(request):
    return PAGES[request.param]


def test_the_configuration_parses_as_it_stands(page, tmp_path, capsys):
    (text,) = re.findall(r"```yaml\n(# run.yaml\n.*?)```", page, flags=re.S)
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(SystemExit) as stop:
        cli.main(["fit", "--config", str(tmp_path / "run.yaml"), "--print_config"])
    assert stop.value.code == 0
    written, read = yaml.safe_load(text), yaml.safe_load(capsys.readouterr().out)
    assert read["model"]["advantage"]["init_args"]["k"] == written["model"]["advantage"]["init_args"]["k"]
    assert read["data"]["prompts_per_step"] == written["data"]["prompts_per_step"]


OPTIONS = {
    "model": PassKRLModule,
    "model.compute": Compute,
    "rollout": RolloutCallback,
    "data": PromptDataModule,
    "checkpoint": ResumeCheckpoint,
    "trainer": L.Trainer,
}
PEERS = {"GRPOConfig", "GRPOTrainer", "RLOOTrainer", "LoraConfig", "DeepSpeed", "Megatron"}


def test_parts_of_configurations_parse_too(page, tmp_path, capsys):
    parts = [text for text in re.findall(r"```yaml\n(.*?)```", page, flags=re.S) if not text.startswith("# run.yaml")]
    assert parts
    for text in parts:
        (tmp_path / "part.yaml").write_text(text)
        with pytest.raises(SystemExit) as stop:
            cli.main(["fit", "--config", str(tmp_path / "part.yaml"), "--model.policy", "x", "--print_config"])
        assert stop.value.code == 0, capsys.readouterr().err


def test_every_option_and_class_of_this_project_exists(page):
    ours = "\n".join(line.rpartition("|")[0].rpartition("|")[2] for line in page.splitlines() if line.startswith("|"))
    found = re.findall(r"`((?:model|rollout|data|trainer|checkpoint)(?:\.compute)?)\.(\w+)", ours)
    assert len(set(found)) > 15
    for part, option in found:
        assert option in inspect.signature(OPTIONS[part]).parameters or f"{part}.{option}" in OPTIONS, (part, option)
    classes = set(re.findall(r"\b[A-Z]\w*[a-z]\w*[A-Z]\w*\b", ours)) - PEERS
    assert len(classes) > 8
    assert {name for name in classes if not any(hasattr(home, name) for home in HOMES)} == set()


def test_every_link_leads_somewhere(page):
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", page) if "://" not in link]
    assert links
    assert [link for link in links if not (DOCS / link).exists()] == []
