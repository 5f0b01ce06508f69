"""Data sets are read whole or refused with one sentence that says where."""

from __future__ import annotations

import builtins
import gzip
import json
import sys
import warnings
from decimal import Decimal

import pytest

from lit_passk.tasks.files import load_records
from lit_passk.tasks.records import Record, check_problem
from lit_passk.types import Problem


def write(path, *lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(path)


def test_a_file_is_read_in_order(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"q": "é", "a": 1}', '{"q": "two", "a": [1, 2.0, "x"]}')
    records = load_records(path)
    assert [record.fields["q"] for record in records] == ["é", "two"]
    assert [record.where for record in records] == [f"{path} line 1", f"{path} line 2"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"q": "two"', "is not valid JSON: Expecting ',' delimiter"),
        ("", "is empty"),
        ("   ", "is empty"),
        ("[1, 2]", "must hold a JSON object, but got list"),
        ('"text"', "must hold a JSON object, but got str: 'text'"),
        ("[" * 100_000, "is not valid JSON: .* It begins "),
        ('{"q": ' + "1" * 5000 + "}", "is not valid JSON: .* It begins "),
    ],
)
def test_a_bad_line_is_named(tmp_path, bad, message):
    path = write(tmp_path / "a.jsonl", '{"q": "one"}', bad, '{"q": "three"}')
    with pytest.raises(ValueError, match=message) as refusal:
        load_records(path)
    assert str(refusal.value).startswith(f"{path} line 2 ")


def test_bytes_that_are_no_text_are_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"q": "one"}\n{"q": "\xff"}\n')
    with pytest.raises(ValueError, match="line 2 is not valid JSON"):
        load_records(str(path))


LINES = '{"q": "one"}\n{"q": "two"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINES.encode("utf-16"), "line 1 is not valid JSON"),
        (gzip.compress(LINES.encode()), "line 1 is not valid JSON"),
        (LINES.encode() + b"\0" * 8, "line 3 is not valid JSON"),
        (LINES.encode()[:-5], "line 2 is not valid JSON"),
        (LINES.encode() + b'{"q": "' + b"x" * 10_000_000, r"line 3 is not valid JSON: .{,80} It begins .{,120}$"),
    ],
    ids=["utf-16", "gzip", "nul", "torn", "10 MB torn"],
)
def test_a_file_that_is_damaged_or_encoded_otherwise_is_named(tmp_path, content, message):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_records(str(path))


def test_compressed_lines_and_arrays_are_read(tmp_path):
    rows = [{"q": "1"}, {"q": "2"}]
    files = {
        "a.jsonl.gz": gzip.compress("\n".join(map(json.dumps, rows)).encode()),
        "b.json": b"\xef\xbb\xbf  " + json.dumps(rows, indent=1).encode(),
        "c.json": "\n".join(map(json.dumps, rows)).encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        assert [record.fields for record in load_records(str(tmp_path / name))] == rows
    (tmp_path / "d.json").write_text(json.dumps([[{"from": "human", "value": "p"}, {"from": "assistant"}]]))
    assert list(load_records(str(tmp_path / "d.json"))[0].fields) == ["0", "1"]
    assert len(load_records(str(tmp_path))) == 2, "a folder's .json files say something about it"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"[1, 2]", "row 1 must hold a JSON object, but got int"),
        ("a.json", b'[{"q": 1}', "a.json is not valid JSON"),
        ("a.json", b"[[]]", "row 1 must hold a JSON object, but got list"),
        ("a.jsonl.gz", gzip.compress(b'{"q": 1}\n' * 99, mtime=0)[:-9], "a.jsonl.gz is torn or no gzip file"),
        ("a.jsonl.gz", b'{"q": 1}', "a.jsonl.gz is torn or no gzip file"),
    ],
)
def test_damaged_arrays_and_compressed_lines_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_records(str(tmp_path / name))


def test_a_byte_order_mark_other_line_ends_and_10_mb_are_taken(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + LINES.replace("\n", "\r\n").encode() + b'{"q": "' + b"x" * 10_000_000 + b'"}')
    assert [len(record.fields["q"]) for record in load_records(str(path))] == [3, 3, 10_000_000]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x^2", "x^2"),
        (27, "27"),
        (27.0, "27"),
        (0.5, "0.5"),
        (["1", "2"], "1, 2"),
        (["$3$"], "$3$"),
        (True, "True"),
        (False, "False"),
        (Decimal("2.50"), "2.50"),
        (Decimal("3.0"), "3"),
        (10**30, "1" + "0" * 30),
    ],
)
def test_numbers_and_lists_are_read_as_text(value, text):
    assert Record("here", {"a": value}).text("a", "the answer") == text


@pytest.mark.parametrize(
    "value", ["", "  ", None, {"x": 1}, [], [None], float("nan"), float("inf"), [1, float("nan")], Decimal("NaN"), b"x"]
)
def test_an_empty_value_is_refused(value):
    with pytest.raises(ValueError, match="here needs the answer in column 'a', but got"):
        Record("here", {"a": value}).text("a", "the answer")


def test_the_first_column_that_exists_is_taken():
    record = Record("here", {"question": "Q", "answer": "A"})
    assert record.text(("problem", "question"), "the question") == "Q"
    with pytest.raises(ValueError, match=r"here has no column 'x' or 'y' for z. Its columns are 'question', 'answer'."):
        record.text(["x", "y"], "z")
    with pytest.raises(ValueError, match="Its columns are none: the row is empty"):
        Record("here", {}).text("x", "z")


def test_a_column_that_holds_nothing_gives_way_to_the_next():
    record = Record("here", {"answer": float("nan"), "final_answer": 5})
    assert record.text(("answer", "final_answer"), "the answer") == "5"
    assert not record.lacks(("answer", "final_answer"), "the answer")
    assert record.lacks("answer", "the answer")


@pytest.mark.parametrize("text", ["\\ud83d", "a\\udc00b", "\\udc00\\ud800", "x" * 500 + "\\ud800"])
def test_half_a_surrogate_pair_is_named(tmp_path, text):
    path = write(tmp_path / "a.jsonl", '{"q": "one"}', '{"q": "\\ud83d\\ude00"}', f'{{"q": "{text}"}}')
    records = load_records(path)
    assert records[1].text("q", "the question") == "\N{GRINNING FACE}"
    with pytest.raises(ValueError, match=r"half of a surrogate pair .* in column 'q'") as refusal:
        records[2].text("q", "the question")
    message = str(refusal.value)
    assert message.startswith(f"{path} line 3 ")
    assert message.encode()
    assert len(message) < len(path) + 300


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(ValueError, match="but got ") as refusal:
        Record("here", {"a": {"x": "y" * 10_000}}).text("a", "the answer")
    assert len(str(refusal.value)) < 300


def test_a_folder_is_read_by_split(tmp_path):
    write(tmp_path / "test-0.jsonl", '{"q": 1}')
    write(tmp_path / "test-1.jsonl", '{"q": 2}')
    write(tmp_path / "train.jsonl", '{"q": 3}')
    write(tmp_path / "notes.txt", "no data")
    assert [record.fields["q"] for record in load_records(str(tmp_path), split="test")] == [1, 2]
    assert [record.fields["q"] for record in load_records(str(tmp_path))] == [1, 2, 3]
    with pytest.raises(ValueError, match=r"no .*split='val'. Found: test-0.jsonl, test-1.jsonl, train.jsonl"):
        load_records(str(tmp_path), split="val")


@pytest.mark.parametrize("path", ["no/such/file.jsonl", "nowhere", "a/b/c", "./owner/name.parquet"])
def test_a_path_that_does_not_exist_is_named(path):
    with pytest.raises(ValueError, match=f"No data set at '{path}'"):
        load_records(path)


def test_other_formats_and_empty_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must be a .jsonl, .jsonl.gz, .parquet or .json file"):
        load_records(write(tmp_path / "a.csv", "q,a"))
    with pytest.raises(ValueError, match="has no rows"):
        load_records(write(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("expected", [2, [1, 2], None])
def test_the_published_number_of_rows_is_no_news(tmp_path, expected):
    path = write(tmp_path / "a.jsonl", '{"q": 1}', '{"q": 2}')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load_records(path, expected_rows=expected)) == 2


@pytest.mark.parametrize(("expected", "published"), [(3, "3"), ([3, 4], "3 or 4")])
def test_another_number_of_rows_warns(tmp_path, expected, published):
    path = write(tmp_path / "a.jsonl", '{"q": 1}', '{"q": 2}')
    with pytest.warns(UserWarning, match=f"has 2 rows, but the published data set has {published}:"):
        load_records(path, expected_rows=expected)


@pytest.mark.parametrize(("package", "path"), [("pyarrow", "{folder}/a.parquet"), ("datasets", "owner/name")])
def test_a_missing_package_is_named(tmp_path, monkeypatch, package, path):
    (tmp_path / "a.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, package, None)  # what `import` finds when there is none
    with pytest.raises(RuntimeError, match=f"not installed: pip install {package}"):
        load_records(path.format(folder=tmp_path), split="test")


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"q": "one", "a": ["1", "2"]}, {"q": "two", "a": ["3"]}]
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    records = load_records(str(path))
    assert [record.fields for record in records] == rows
    assert records[1].where == f"{path} row 2"
    assert records[0].text("a", "the answer") == "1, 2"
    whole = path.read_bytes()
    for broken in (b"not parquet", whole[: len(whole) // 2], whole[:4] + bytes(len(whole) - 12) + whole[-8:]):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="is not a valid Parquet file"):
            load_records(str(path))


def test_a_hub_data_set_that_does_not_load_is_one_sentence():
    pytest.importorskip("datasets", reason="the datasets package is not installed")
    with pytest.raises(ValueError, match="needs a split"):
        load_records("lit-passk-tests/no-such-data-set")
    with pytest.raises(ValueError, match=r"No dataset 'lit-passk-tests/no-such-data-set': .*--repo-type dataset"):
        load_records("lit-passk-tests/no-such-data-set", split="test", subset="main")


def test_reading_does_not_import_what_it_does_not_need(tmp_path, monkeypatch):
    path = write(tmp_path / "a.jsonl", json.dumps({"q": 1}))
    imported = []
    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", lambda name, *rest: imported.append(name) or original(name, *rest))
    load_records(path)
    assert not {"pyarrow", "datasets"} & {name.partition(".")[0] for name in imported}


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ({"prompt": "?"}, "must be a Problem"),
        (None, "must be a Problem"),
        (Problem(id="1", prompt=3, answer=""), "needs a text or a list of turns as its prompt, but has 3"),
        (Problem(id="1", prompt=None, answer=""), "needs a text or a list of turns as its prompt, but has None"),
        (Problem(id="1", prompt=["a"], answer=""), "needs a text or a list of turns as its prompt, but has"),
        (Problem(id="1", prompt=[{"role": "user", "content": "\ud800"}], answer=""), "has half of a surrogate pair"),
        (Problem(id="1", prompt="a\udc00", answer=""), r"has half of a surrogate pair \(.udc00 at character 2\)"),
    ],
)
def test_a_problem_that_cannot_be_tokenized_is_named(problem, message):
    for prompt in ("?", [{"role": "user", "content": "?"}]):
        check_problem(Problem(id="1", prompt=prompt, answer=""), "MyTask 'train', problem 3,")
    with pytest.raises(ValueError, match=f"^MyTask 'train', problem 3, {message}"):
        check_problem(problem, "MyTask 'train', problem 3,")
