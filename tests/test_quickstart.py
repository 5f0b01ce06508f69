"""The quickstart without its trainings: its commands parse, and its report says what the result files hold."""

import re
import sys
from pathlib import Path

import msgspec
import pytest
from helpers.result_files import SETTINGS, record

from lit_passk.results import ResultWriter

ROOT = Path(__file__).parents[1]


@pytest.fixture
def quickstart(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import quickstart

    yield quickstart
    del sys.modules["quickstart"]


def solved(path, correct):
    """A result file of 64 samples a maze, so many of each correct."""
    with ResultWriter(path, SETTINGS) as writer:
        for maze, number in enumerate(correct):
            samples = [record(f"m{maze}", sample, benchmark="maze", correct=sample < number) for sample in range(64)]
            writer.write([msgspec.structs.replace(one, reward=float(one.correct)) for one in samples])


def test_the_report_says_what_the_files_hold(quickstart, tmp_path, capsys):
    mazes = 12
    solved(tmp_path / "cold_start.jsonl", [8] * mazes)
    solved(tmp_path / "pass1.jsonl", [48] * (mazes // 2) + [0] * (mazes // 2))  # pass@64 is 1/2
    solved(tmp_path / "passk.jsonl", [16] * mazes)
    solved(tmp_path / "passk_then_pass1.jsonl", [32] * mazes)
    quickstart.report(tmp_path)
    said = capsys.readouterr().out
    table = {line[:34].strip(): [float(x) for x in line[34:].split()] for line in said.splitlines()[2:6]}
    assert [table[label][0] for label in quickstart.ARMS.values()] == pytest.approx([0.125, 0.375, 0.25, 0.5])
    assert table["Pass@1 training"][6] == pytest.approx(0.5)
    assert table["Pass@1 training"][7] == pytest.approx(0.5)  # entropy: the records' mean log-probability is -0.5
    assert re.search(r"Pass@4 training +- Pass@1 training +pass@1 +-0\.125 ", said)
    assert re.search(r"Pass@4 then Pass@1 +- Pass@1 training +pass@64 +\+0\.500 ", said)
    assert "not below Pass@1 training at pass@1: yes; above it at pass@64: yes" in said
    assert (tmp_path / "pass_at_k.png").stat().st_size > 5000


@pytest.mark.seconds
def test_its_commands_parse(quickstart, tmp_path, monkeypatch, capsys):
    from lit_passk.cli import main

    monkeypatch.chdir(ROOT)
    steps = [step for queues in quickstart.plan(tmp_path, 8, seed=3) for queue in queues for step in queue]
    assert [step.name for step in steps[:3]] == ["cold start", "Pass@1 training", "Pass@4 training"]
    assert {Path(step.command[0]).name for step in steps} == {"lit-passk"}
    for step in (steps[0], steps[1], steps[3], steps[5]):  # each way that a command is put together
        with pytest.raises(SystemExit) as end:
            main([*step.command[1:], "--print_config"])
        assert end.value.code in (None, 0), capsys.readouterr().err
        assert "seed_everything: 3" in capsys.readouterr().out or step.command[1] == "validate"
