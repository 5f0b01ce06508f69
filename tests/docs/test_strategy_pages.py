"""docs/strategies is what `scripts/make_strategy_pages.py` writes, and its YAML lines can be used."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser

from lit_passk import AdvantageStrategy, advantages

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "strategies"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.stem != "README")


@pytest.mark.seconds
def test_pages_are_up_to_date():
    command = [sys.executable, str(ROOT / "scripts" / "make_strategy_pages.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_yaml_line_of_a_page_makes_the_strategy(path):
    line = re.search(r"```yaml\n(advantage: \{.*)\n```", path.read_text())
    if line is None:
        assert path.stem in ("Blend", "Schedule", "Switch"), "a strategy of its own has a line of its own"
        return
    parser = ArgumentParser()
    parser.add_argument("--advantage", type=AdvantageStrategy)
    made = parser.instantiate_classes(parser.parse_object(yaml.safe_load(line[1]))).advantage
    assert type(made) is getattr(advantages, path.stem)


def test_every_link_and_picture_leads_somewhere():
    for path in [*PAGES, FOLDER / "README.md", ROOT / "docs" / "bridges.md", ROOT / "docs" / "write_a_strategy.md"]:
        prose = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
        links = [link for link in re.findall(r"\]\(([^)#]+)\)", prose) if "://" not in link]
        assert links
        assert [link for link in links if not (path.parent / link).exists()] == []
