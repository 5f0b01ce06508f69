"""What is no file where one belongs, and YAML that grows as it is read: refused before anything waits for it."""

import gzip
import os
import pwd
import socket
import tracemalloc
from pathlib import Path

import pytest

from lit_passk import cli, inputs
from lit_passk.checkpointing.files import CheckpointFiles
from lit_passk.checkpointing.run_folder import find_last
from lit_passk.commands.configurations import find
from lit_passk.commands.rescore import load_tasks
from lit_passk.errors import Refusal
from lit_passk.inputs import parse_yaml
from lit_passk.policy.source import resolve_policy
from lit_passk.report.runs import open_runs
from lit_passk.report.suites import read_suites
from lit_passk.results import load_results
from lit_passk.tasks.files import load_records
from lit_passk.tasks.puzzles import ARCAGITask


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))  # a whole path may be longer than an address


KINDS = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "socket": a_socket,
    "folder": Path.mkdir,
}


def shards(path):
    (path.parent / "files.json").write_text("{}")
    return CheckpointFiles().load_checkpoint(path.parent)


READERS = {
    "rows.jsonl": lambda path: load_records(str(path.parent)),
    "rows.jsonl.gz": lambda path: load_records(str(path.parent)),
    "rows.parquet": lambda path: load_records(str(path.parent)),
    "task.json": lambda path: ARCAGITask(str(path.parent)),
    "results.jsonl": load_results,
    "step_000001.jsonl.gz": lambda path: open_runs([str(path.parent)]),
    "step=1.ckpt": lambda path: CheckpointFiles().load_checkpoint(path),
    "files.json": lambda path: CheckpointFiles().load_checkpoint(path.parent),
    ".metadata": shards,
    "own.yaml": lambda path: find(str(path)),
    "val.yaml": load_tasks,
    "suite.yaml": lambda path: read_suites([str(path)]),
    "config.json": lambda path: resolve_policy(path.parent),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_refused_at_once(tmp_path, monkeypatch, name, kind):
    monkeypatch.chdir(tmp_path)
    KINDS[kind](tmp_path / name)
    if (name, kind) == ("config.json", "folder"):  # which nothing waits for: transformers says what it lacks
        return
    with pytest.raises(Refusal) as refused:
        READERS[name](tmp_path / name)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize("path", ["~no-such-user/rows.jsonl", "~/rows.jsonl"])
def test_a_home_that_nobody_has_is_an_ordinary_name(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda user: pwd.getpwnam("no-such-user"))  # as in a container
    for read in (load_records, find, lambda name: open_runs([name])):
        with pytest.raises(Refusal, match=r"~"):
            read(path)
    with pytest.raises(FileNotFoundError):
        load_results(path)


def test_every_path_is_expanded_by_one_function():
    raising = [file.name for file in Path(inputs.__file__).parent.rglob("*.py") if ".expanduser()" in file.read_text()]
    assert raising == [], "use `inputs.expanded`, which raises nothing where there is no home"


def test_a_pipe_among_checkpoints_is_passed_over(tmp_path, caplog):
    os.mkfifo(tmp_path / "step=1.ckpt")
    assert find_last(tmp_path) is None
    assert "is not a whole checkpoint" in caplog.text


@pytest.mark.parametrize("target", ["rows.jsonl", "nowhere"])
def test_links_that_lead_nowhere_cost_a_sentence(tmp_path, capsys, target):
    (tmp_path / "rows.jsonl").symlink_to(target)
    with pytest.raises(SystemExit):
        cli.main(["contamination", str(tmp_path), str(tmp_path)])
    assert f"'{tmp_path / 'rows.jsonl'}' could not be used: " in capsys.readouterr().err


LAUGHS = "\n".join(
    ["a0: &a0 [ha, ha]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)), "data: {val: *a39}"]
)
MERGES = "\n".join(
    ["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 40)), "data: {val: *a39}"]
)
SELF = "data: &a {val: *a}"


@pytest.mark.parametrize("text", [LAUGHS, MERGES, SELF], ids=["laughs", "merges", "itself"])
def test_yaml_that_grows_without_end_is_refused(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    for read in (lambda: find(str(path)), lambda: load_tasks(path), lambda: read_suites([str(path)])):
        with pytest.raises(Refusal, match=r"own\.yaml'? repeats values by aliases"):
            read()


def test_aliases_and_long_lists_are_taken(monkeypatch):
    monkeypatch.setattr(inputs, "MOST_VALUES", 50)
    assert parse_yaml("a: &a {b: [1]}\nc: [*a, *a]", "own.yaml") == {"a": {"b": [1]}, "c": [{"b": [1]}] * 2}
    assert parse_yaml("[" + "1," * 60 + "]", "own.yaml") == [1] * 60


@pytest.mark.parametrize("read", [load_results, lambda path: load_records(str(path))], ids=["results", "rows"])
def test_a_line_without_end_is_not_read_whole(tmp_path, monkeypatch, read):
    """200 MB of spaces in 200 kB of gzip; the header line of a result file passes as a row too."""
    monkeypatch.setattr(inputs, "MOST_LINE_BYTES", 1 << 20)
    with gzip.open(tmp_path / "bomb.jsonl.gz", "wb") as file:
        file.write(b'{"format": "lit-passk-results", "version": 1, "settings": {}, "versions": {}}\n')
        for _ in range(200):
            file.write(b" " * 1_000_000)
    tracemalloc.start()
    with pytest.raises(Refusal, match=r"bomb.jsonl.gz:2: longer than 1,048,576 bytes"):
        read(tmp_path / "bomb.jsonl.gz")
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("text", ["a: [", "a: 2020-13-45", "[" * 1000, "a: \0"])
def test_what_is_no_yaml(text):
    with pytest.raises(Refusal, match=r"^own\.yaml is not valid YAML: "):
        parse_yaml(text, "own.yaml")
