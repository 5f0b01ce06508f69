"""``lit-passk signal`` on files as evaluations write them."""

from __future__ import annotations

import pytest
from helpers.result_files import SETTINGS, record

from lit_passk import cli
from lit_passk.results import ResultWriter


@pytest.fixture
def result(tmp_path):
    """Ten problems of eight completions: p0 is never correct, p9 eight times; one completion of p5 was not scored."""
    path = tmp_path / "math.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        for problem in range(10):
            rows = [record(f"p{problem}", sample, correct=sample < problem - (problem > 7)) for sample in range(8)]
            if problem == 5:
                rows[7] = record("p5", 7, error="hung")
            writer.write(rows)
        writer.write([record("p10", 0, error="hung")])
    return path


def test_table_suggestion_and_picture(result, capsys):
    cli.main(["signal", str(result), "--k", "1", "2", "4", "--group-size", "4", "8", "16"])
    shown = capsys.readouterr().out
    assert "times: 10 problems with 7 to 8 scored completions" in shown
    assert "never solved 10.0 %, always 10.0 %. 1 problems without a scored completion are left out" in shown
    assert "0 to 0.05" in shown
    assert [line.split()[0] for line in shown.splitlines() if line.endswith(tuple("0123456789")) and "%" in line] == [
        "4",
        "4",
        *["8*"] * 3,
        *["16*"] * 3,
    ]
    assert "Suggested: k = " in shown
    assert (result.parent / "math.signal.png").read_bytes().startswith(b"\x89PNG")


def test_files_are_taken_together(result, tmp_path, capsys):
    other = tmp_path / "later.jsonl"
    with ResultWriter(other, SETTINGS) as writer:
        writer.write([record("p1", sample, correct=True) for sample in range(8)])
    picture = tmp_path / "both.svg"
    cli.main(["signal", str(result), str(other), "--picture", str(picture)])
    assert "times: 11 problems" in capsys.readouterr().out
    assert "<svg" in picture.read_text()


def test_nothing_solved_says_so(tmp_path, capsys):
    path = tmp_path / "hard.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write([record("p1", sample) for sample in range(8)])
    cli.main(["signal", str(path), "--k", "1", "--group-size", "8"])
    assert "No suggestion" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--k", "8", "--group-size", "8"], r"No k of \[8\] is below"),
        (["--picture", "nowhere/x.png"], "--picture needs"),
        (["--picture", "x.txt"], "--picture needs"),
        (["--groups", "0"], "at least 1 group"),
    ],
)
def test_mistakes_are_named(result, args, message, capsys):
    with pytest.raises(SystemExit):
        cli.main(["signal", str(result), *args])
    assert __import__("re").search(message, capsys.readouterr().err)
