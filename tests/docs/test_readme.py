"""The Python of README and of docs/python.md runs as it stands, and the files the README points to exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from lit_passk import AdvantageStrategy

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README + (ROOT / "docs/python.md").read_text(), flags=re.S)


def block(marker: str) -> str:
    (found,) = [text for text in BLOCKS if marker in text]
    return found


@pytest.mark.filterwarnings("ignore")
def test_the_pieces_composed_in_python(maze_policy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    Path("runs/maze_sft").symlink_to(maze_policy)
    code = block("L.Trainer(").replace("max_steps=20", "max_steps=2").replace("group_size=16", "group_size=6")
    scope: dict = {}
    exec(
        code.replace("num_problems=1000", "num_problems=20").replace("prompts_per_step=16", "prompts_per_step=3"), scope
    )
    assert scope["module"].rl_step == 2
    assert "train/reward" in scope["trainer"].callback_metrics


def test_the_strategy_of_ones_own():
    scope: dict = {}
    exec(block("class HardPromptsOnly"), scope)
    strategy = scope["HardPromptsOnly"]()
    assert isinstance(strategy, AdvantageStrategy)
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]])
    assert strategy(rewards).tolist() == [[0.75, -0.25, -0.25, -0.25], [0.0] * 4]


def test_every_link_leads_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []
