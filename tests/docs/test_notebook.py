"""The notebook runs from its first cell to its last, and is stored without outputs."""

import json
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "first_steps.ipynb"
CELLS = json.loads(NOTEBOOK.read_text())["cells"]
SMALL = "COLD_START_STEPS, RL_STEPS, PROMPTS, GROUP_SIZE, VAL_MAZES, VAL_SAMPLES = 4, 2, 4, 8, 4, 4"


@pytest.mark.seconds
def test_it_runs_with_small_sizes(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shown = []
    monkeypatch.setattr(
        plt, "show", lambda: shown.append([line.get_label() for line in plt.gca().lines]) or plt.close()
    )
    names = {"__name__": "notebook"}
    with warnings.catch_warnings():  # those that it silences stay silent here alone
        for cell in CELLS:
            if cell["cell_type"] == "code":
                source = SMALL if "sizes" in cell["metadata"].get("tags", []) else "".join(cell["source"])
                exec(compile(source, f"{NOTEBOOK.name} {cell['id']}", "exec"), names)
    assert [len(lines) for lines in shown] == [2, 3]
    assert set(shown[1]) == set(names["curves"])
    assert all(0 <= value <= 1 for curve in names["curves"].values() for value in curve)


def test_it_is_stored_without_outputs_and_needs_no_clone():
    code = [cell for cell in CELLS if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    text = "".join("".join(cell["source"]) for cell in code)
    assert not any(word in text for word in ("configs/", "../", "%", "!pip"))
