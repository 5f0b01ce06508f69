import csv
import re

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


def test_seeds_suites_and_many_runs(two_runs, write_run, tmp_path, capsys):
    third = write_run(tmp_path / "step=3.jsonl", {"times": ["1111", "1101", "0000", "0100"], "minerva": ["11"]}, seed=2)
    better = two_runs[1]
    args = [f"ours={better}+{third}", str(third), str(better), "--suite", "both=times,minerva", "--k", "1"]
    out = tmp_path / "out"
    assert main([*args, "--baseline", "better", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^ours +both +5 +2 +2-4 .* ± ", printed, re.M)
    assert re.search(r"^step=3 +both +5 +1 ", printed, re.M), "a name that exists is a file, whatever is in it"
    assert "both: the unweighted mean of times, minerva." in printed
    assert "Against better" in printed
    compared = printed.partition("Against better")[2].splitlines()[4:10]
    labels = ["ours", "times"], ["ours", "minerva"], ["ours", "both"], ["step=3", "times"], ["step=3", "minerva"]
    assert [line.split()[:2] for line in compared] == [*labels, ["step=3", "both"]]
    assert "of these 6 would leave out 0 by luck" in printed
    rows = list(csv.DictReader((out / "report.csv").open()))
    (row,) = [row for row in rows if (row["run"], row["benchmark"], row["metric"]) == ("ours", "both", "pass@1")]
    assert (row["seeds"], float(row["seed_sd"]) > 0) == ("2", True)
    assert "ours: better" in (out / "report.html").read_text()


@pytest.mark.parametrize("style", ["latex", "markdown"])
def test_a_table_is_printed_alone_and_lies_in_the_folder(two_runs, tmp_path, capsys, style):
    assert main([*map(str, two_runs), "--table", style, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    file = {"latex": "table.tex", "markdown": "table.md"}[style]
    assert printed == (tmp_path / "out" / file).read_text()
    assert printed.startswith({"latex": "% pass@k in percent", "markdown": "| run | times pass@1 |"}[style])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--baseline", "nosuch"], "the runs are base, better"),
        (["x=absent.jsonl"], "There is no file 'x=absent.jsonl'"),
        (["base={0}"], "Two runs are called 'base'"),
        (["--suite", "math=aime24"], "No run has all benchmarks"),
        (["--suite", "absent.yaml"], "There is no configuration 'absent.yaml'"),
        (["--suite", "benchmarks/math_suite"], "No run has all benchmarks of the suite 'math_suite'"),
    ],
)
def test_wrong_options(two_runs, capsys, options, message):
    assert main([*map(str, two_runs), *(option.format(two_runs[1]) for option in options)]) == 2
    assert message in capsys.readouterr().err
