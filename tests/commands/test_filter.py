"""`lit-passk filter`: which rows are kept, byte for byte, and what is refused."""

from __future__ import annotations

import json

import pytest
from helpers.result_files import SETTINGS, record

from lit_passk import cli
from lit_passk.results import ResultWriter
from lit_passk.tasks import MathTask

RATES = [(0, 8), (1, 10), (4, 8), (9, 10), (8, 8), (0, 0), None, (1, 8)]  # correct of scored; nothing scored; absent


def row(number: int) -> dict:
    return {"problem": f"What is {number} times seven, precisely?", "answer": str(7 * number), "name": f"row-{number}"}


@pytest.fixture
def data(tmp_path):
    """Rows as somebody wrote them: odd spaces, other line ends, no line end at the end."""
    lines = [json.dumps(row(number)).encode() for number in range(len(RATES))]
    lines[2] = b'{ "problem":"What is 2 times seven,  precisely?", "answer": 14, "name": "row-2" }\r'
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"\n".join(lines))
    return path


def write_results(path, data, ids: str | None = None, benchmark: str = "math"):
    task = MathTask(str(data), id_column=ids)
    with ResultWriter(path, SETTINGS) as writer:
        for number, rate in enumerate(RATES):
            if rate is None:
                continue
            problem = task[number]
            changes = {"benchmark": benchmark, "prompt": problem.text, "reference": problem.answer}
            correct, scored = rate
            samples = [record(problem.id, i, correct=i < correct, **changes) for i in range(scored)]
            samples += [record(problem.id, scored + i, error="timeout", **changes) for i in range(2)]
            writer.write(samples)
    return path


@pytest.fixture
def results(tmp_path, data):
    return write_results(tmp_path / "results.jsonl", data)


def run(results, data, out, *more: str) -> None:
    cli.main(["filter", str(results), "--data", str(data), "--out", str(out), *more])


def refused(capsys, *args) -> str:
    with pytest.raises(SystemExit) as stop:
        run(*args)
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_rows_within_the_bounds_are_kept_as_they_are(results, data, tmp_path, capsys):
    out = tmp_path / "new" / "medium.jsonl"
    run(results, data, out)
    lines = data.read_bytes().split(b"\n")
    assert out.read_bytes() == b"\n".join([lines[1], lines[2], lines[3], lines[7]])
    assert len(MathTask(str(out))) == 4
    said = capsys.readouterr().out
    assert "4 of 8 rows, with a pass rate from 0.1 to 0.9" in said
    assert "1 below, 1 above, 1 without a completion that could be scored, 1 that the result file does not have" in said
    assert [line.split()[-2] for line in said.splitlines() if "#" in line] == ["1", "2", "1", "1", "1"]
    assert sorted(p.name for p in out.parent.iterdir()) == ["medium.jsonl"]


@pytest.mark.parametrize(
    ("bounds", "rows"),
    [(("0", "0"), [0]), (("0.5", "1"), [2, 3, 4]), (("0.125", "0.125"), [7]), (("0", "1"), [0, 1, 2, 3, 4, 7])],
)
def test_bounds_are_included(results, data, tmp_path, bounds, rows):
    run(results, data, tmp_path / "out.jsonl", "--min", bounds[0], "--max", bounds[1])
    assert [json.loads(line)["name"] for line in (tmp_path / "out.jsonl").open()] == [f"row-{n}" for n in rows]


def test_by_a_column_of_ids_in_another_order(data, tmp_path):
    results = write_results(tmp_path / "named.jsonl", data, ids="name", benchmark="other")
    shuffled = tmp_path / "shuffled.jsonl"
    shuffled.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in reversed(data.read_bytes().split(b"\n"))))
    run(results, shuffled, tmp_path / "out.jsonl", "--id_column", "name")
    part = tmp_path / "part.jsonl"
    part.write_bytes(b"\n".join(data.read_bytes().split(b"\n")[:3]))
    run(results, part, tmp_path / "part.out.jsonl", "--id_column", "name")
    assert len((tmp_path / "part.out.jsonl").read_bytes().splitlines()) == 2
    assert [json.loads(line)["name"] for line in (tmp_path / "out.jsonl").open()] == [
        "row-7",
        "row-3",
        "row-2",
        "row-1",
    ]


def test_parquet_stays_parquet_with_its_columns(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [
        {
            "data_source": "a",
            "prompt": [{"role": "user", "content": row(n)["problem"]}],
            "reward_model": {"ground_truth": str(7 * n)},
        }
        for n in range(len(RATES))
    ]
    table = pyarrow.Table.from_pylist(rows)
    parquet.write_table(table, tmp_path / "data.parquet")
    results = write_results(tmp_path / "results.jsonl", tmp_path / "data.parquet")
    run(results, tmp_path / "data.parquet", tmp_path / "out.parquet")
    kept = parquet.read_table(tmp_path / "out.parquet")
    assert kept.schema == table.schema
    assert kept.to_pylist() == [rows[n] for n in (1, 2, 3, 7)]


def test_refuses_what_makes_no_sense(results, data, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    assert "0 <= min <= max <= 1" in refused(capsys, results, data, out, "--min", "0.9", "--max", "0.1")
    assert "0 <= min <= max <= 1" in refused(capsys, results, data, out, "--max", "8")
    assert "No row of" in (said := refused(capsys, results, data, out, "--min", "0.2", "--max", "0.4"))
    assert "3 are below, 3 above, 2 have none" in said
    assert "let it end in .jsonl" in refused(capsys, results, data, tmp_path / "out.parquet")
    assert "exists: name a new file" in refused(capsys, results, data, data)
    assert "no result file" in refused(capsys, tmp_path / "none.jsonl", data, out)
    assert ".jsonl or .parquet file" in refused(capsys, results, tmp_path, out)
    assert "but of math" in refused(capsys, results, data, out, "--benchmark", "aime")
    assert "8 of 8" not in (said := refused(capsys, results, data, out, "--id_column", "name"))
    assert "7 of 7, such as '0', while the rows are 'row-0' to 'row-7'" in said
    assert not out.exists()


def test_refuses_another_data_set(results, tmp_path, capsys):
    other = tmp_path / "other.jsonl"
    other.write_text(
        "".join(json.dumps({"problem": f"Who wrote book number {n}?", "answer": "x"}) + "\n" for n in range(8))
    )
    assert "of 7 rows with completions, 7 have no text" in refused(capsys, results, other, tmp_path / "out.jsonl")


def test_a_part_of_the_rows_cannot_go_by_position(results, data, tmp_path, capsys):
    part = tmp_path / "part.jsonl"
    part.write_bytes(b"\n".join(data.read_bytes().split(b"\n")[:3]))
    said = refused(capsys, results, part, tmp_path / "out.jsonl")
    assert "no rows of" in said
    assert "4 of 7, such as '3', while the rows are '0' to '2'" in said


def test_asks_which_of_several_tasks(results, data, tmp_path, capsys):
    with ResultWriter(results, SETTINGS) as writer:
        writer.write([record("0", benchmark="aime")])
    assert "has the tasks math, aime: say which by `--benchmark`" in refused(
        capsys, results, data, tmp_path / "o.jsonl"
    )
    run(results, data, tmp_path / "o.jsonl", "--benchmark", "math")
