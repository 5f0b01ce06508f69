"""Every code block of every page: commands are understood, configurations parse, Python compiles and imports."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from helpers.blocks import ROOT, blocks, check_python, check_shell, check_yaml, files_of, only_parse

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
OUTPUT = {"text", "console", "", "latex", "json", "diff", "html"}
"""Languages of blocks that show what comes out, or what others wrote."""

OF_A_DOCTEST = {
    "my_project/groups.py": "from lit_passk.advantages import GroupReward\n\n\n"
    "class AtLeast(GroupReward):\n    def __init__(self, wanted: int) -> None:\n        self.wanted = wanted\n\n"
    "    def __call__(self, rewards):\n        return ((rewards > 0.5).sum(dim=-1) >= self.wanted).double()\n"
}
"""The class that the example of `GroupAdvantage` defines, in the file that its YAML takes it from."""


@pytest.fixture(params=[page for page in PAGES if "```" in page.read_text()], ids=lambda p: str(p.relative_to(ROOT)))
def page(request, tmp_path, monkeypatch):
    """The text of a page, in a folder that holds the files it prints."""
    text = request.param.read_text()
    for name, content in (OF_A_DOCTEST | files_of(text)).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    for name in re.findall(r"^lit-passk init (\S+\.yaml)", text, flags=re.M):  # the command writes it
        (tmp_path / name).write_text("model: {policy: x}\n")
    for name in ("configs", "scripts"):
        if not (tmp_path / name).exists():
            (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield text
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.seconds
def test_the_blocks_of_a_page(page, monkeypatch, capsys):
    only_parse(monkeypatch)
    languages = set(re.findall(r"^ *```(\w*)[^\n]*\n.*?^ *```", page, flags=re.M | re.S))
    assert languages <= {"python", "yaml", "bash"} | OUTPUT
    failures = []
    checks = {"bash": check_shell, "python": check_python}
    for language, check in checks.items():
        for block in blocks(page, language):
            if not block.startswith(">>>"):
                failures += outcome(check, block, capsys)
    for block in blocks(page, "yaml"):
        failures += outcome(lambda text: check_yaml(text, Path("checked.yaml")), block, capsys)
    assert failures == []


def outcome(check, block, capsys):
    try:
        check(block)
    except (AssertionError, SyntaxError, ImportError, ValueError) as error:
        return [(str(error), capsys.readouterr().err[-400:], block[:300])]
    return []
