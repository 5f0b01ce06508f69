import pytest

from lit_passk.commands.report import main, report


def test_prints_the_table_and_writes_four_files(two_runs, tmp_path, capsys):
    out = tmp_path / "deep" / "out"
    assert main([*map(str, two_runs), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "pass@1" in printed
    assert "better" in printed
    assert sorted(path.name for path in out.iterdir()) == ["report.csv", "report.html", "report.md", "report.png"]
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")
    markdown = (out / "report.md").read_text()
    assert "| better | minerva | 1 | 2 |" in markdown
    assert "policy `org/base`" in markdown


def test_comparison_is_printed_with_the_settings_that_differ(two_runs, capsys):
    assert main([*map(str, two_runs), "--compare", "--k", "1", "--confidence", "0.9"]) == 0
    printed = capsys.readouterr().out
    assert "better against base" in printed
    assert "90 % intervals of a paired bootstrap" in printed
    assert "seed: 0 in base, 1 in better" in printed


def test_problems_are_told_with_status_2(two_runs, tmp_path, capsys):
    bad = tmp_path / "bad.jsonl"
    bad.write_text("nonsense\n")
    assert main([str(bad)]) == 2
    assert f"{bad}:1: not a JSON line" in capsys.readouterr().err
    assert main([str(tmp_path / "absent.jsonl")]) == 2
    assert "absent.jsonl" in capsys.readouterr().err
    assert main([str(two_runs[0]), "--out", str(bad)]) == 2
    assert "--out needs a folder" in capsys.readouterr().err
    assert main([str(two_runs[0]), "--compare"]) == 2
    assert "two result files or more" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(two_runs[0]), "--k", "0"])
    with pytest.raises(SystemExit):
        main([str(two_runs[0]), "--confidence", "95"])
    assert "must be between 0 and 1, but is 95.0" in capsys.readouterr().err
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(two_runs[0].read_bytes().split(b"\n", 1)[0] + b"\n")
    with pytest.raises(ValueError, match="holds no completions yet"):
        report([empty])
