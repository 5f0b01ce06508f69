"""docs/write_your_own.md as a reader follows it: its files in a folder, its command, what each piece leaves behind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from helpers.blocks import ROOT, blocks, files_of

from lit_passk import cli

PAGE = (ROOT / "docs/write_your_own.md").read_text()


@pytest.mark.seconds
@pytest.mark.filterwarnings("ignore")
def test_the_four_pieces_make_one_run(tmp_path, monkeypatch, maze_policy):
    for name, text in files_of(PAGE).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/maze_sft").symlink_to(maze_policy)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (command,) = blocks(PAGE, "bash")
    logger = ["--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", "logs"]
    with torch.random.fork_rng():
        cli.main([*command.split()[1:], *logger, "--trainer.enable_progress_bar", "false"])
    lengths = [json.loads(line) for line in Path("requests.jsonl").read_text().splitlines()]
    assert {line["version"] for line in lengths} == {0, 1, 2, 3}
    assert len(lengths) == 4 * 4
    assert {len(line["tokens"]) for line in lengths} == {8}
    (csv,) = Path("logs").rglob("metrics.csv")
    header, *rows = csv.read_text().splitlines()
    assert {"train/loss/left_alone", "hardest_first/kept", "train/reward"} <= set(header.split(","))
    kept = [row.split(",")[header.split(",").index("hardest_first/kept")] for row in rows]
    assert {float(value) for value in kept if value} == {2.0}


def test_the_task_judges_what_it_says():
    scope: dict = {}
    exec(files_of(PAGE)["my_project/tasks.py"], scope)
    task = scope["MoreUps"](num_problems=3)
    assert [task.score(task[0], text).correct for text in ("UUD", "UD", "")] == [True, False, False]
    assert len({task[i].prompt for i in range(3)}) == 3


def test_a_source_that_cannot_work_is_refused():
    scope: dict = {}
    exec(files_of(PAGE)["my_project/sources.py"], scope)
    with pytest.raises(ValueError, match=re.escape("needs a share in (0, 1], but got 0")):
        scope["HardestFirst"](share=0).check(None)
