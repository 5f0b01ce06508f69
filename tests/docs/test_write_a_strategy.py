"""docs/write_a_strategy.md and docs/bridges.md as a reader follows them: the files they print, in a foreign folder."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from lit_passk import cli

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The page's Python blocks under the names that their first lines give them."""
    for text in re.findall(r"```python\n(.*?)```", (DOCS / "write_a_strategy.md").read_text(), flags=re.S):
        path = tmp_path / text.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_strategy_and_its_tests(folder):
    tests = importlib.import_module("my_project.test_mercy")
    names = [name for name in vars(tests) if name.startswith("test_")]
    assert len(names) == 3
    for name in names:
        getattr(tests, name)()


@pytest.mark.seconds
def test_its_command_line(folder, configs, capsys):
    """The configuration in force holds the strategy and its argument."""
    options = ["--model.advantage", "my_project.mercy.Mercy", "--model.advantage.alpha", "2"]
    with pytest.raises(SystemExit) as end:
        cli.main(["fit", "--config", str(configs / "maze_cpu.yaml"), *options, "--print_config"])
    assert end.value.code in (0, None)
    printed = capsys.readouterr().out
    assert "class_path: my_project.mercy.Mercy" in printed
    assert "alpha: 2" in printed


def test_the_functions_of_the_bridges_page():
    first = re.findall(r"```python\n(.*?)```", (DOCS / "bridges.md").read_text(), flags=re.S)[0]
    calls = re.sub(r"^(group_advantages\(.*?\))( *#.*)?$", r"results.append(\1)", first, flags=re.M)
    scope: dict = {"results": []}
    exec(calls, scope)
    analytic, ucpo = scope["results"]
    assert isinstance(analytic, np.ndarray)
    right = 0.5**0.5  # one of three correct, k = 2: q = 1/3, sqrt(q / (1 - q))
    np.testing.assert_allclose(analytic, [right, *[-right / 2] * 4, right], rtol=1e-6)
    assert ucpo.shape == (6,)
