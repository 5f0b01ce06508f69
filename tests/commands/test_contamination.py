"""Any training task is compared with any benchmark, and any file with any other."""

from __future__ import annotations

import json

import pytest

from lit_passk import cli

SHARED = "A train leaves at noon and another one follows it an hour later on the same track"


@pytest.fixture
def files(tmp_path):
    train = [{"problem": f"What is {i} + {i}?", "answer": str(2 * i)} for i in range(20)]
    train.append({"problem": f"{SHARED}: when do they meet?", "answer": "3"})
    val = [
        {"question": "What is 7 + 7?", "options": ["14", "7"], "answer": "A"},
        {"question": f"At which speed? {SHARED}.", "options": ["1", "2"], "answer": "B"},
        {"question": "What is 70 + 70?", "options": ["140", "7"], "answer": "A"},
    ]
    for name, rows in (("train", train), ("val", val)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    chats = [{"prompt": [{"role": "user", "content": "What is 7 + 7?"}], "answer": "14"}]
    turns = [{"from": "human", "value": "What is 7 + 7?"}, {"from": "gpt", "value": "What is 70 + 70? 140."}]
    (tmp_path / "conversations.jsonl").write_text(json.dumps({"conversations": turns}))
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chats))
    return tmp_path


def run(capsys, *args: str) -> tuple[int, str, str]:
    try:
        cli.main(["contamination", *map(str, args)])
        status = 0
    except SystemExit as stop:
        status = stop.code
    out = capsys.readouterr()
    return status, out.out, out.err


def test_tasks_of_configurations_are_compared(files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    (files / "train.yaml").write_text("data: {train: {class_path: MathTask, init_args: {path: train.jsonl}}}")
    choice = "{class_path: MultipleChoice, init_args: {path: val.jsonl}}"
    (files / "val.yaml").write_text(f"data: {{val: {{options: {choice}, maze: {{class_path: MazeTask}}}}}}")
    status, out, _ = run(capsys, "--config", "train.yaml", "--config", "val.yaml", "--data.val.maze.num_problems", "3")
    lines = out.splitlines()
    assert status == 1
    assert lines[0] == "options: 1 of 3 problems occur in the 21 of data.train (0 whole, 1 in part)"
    assert lines[1].startswith("  options [1], data.train [20]: ")
    assert lines[2] == "maze: 0 of 3 problems occur in the 21 of data.train (0 whole, 0 in part)"
    status, out, _ = run(capsys, "--config", "train.yaml", "--config", "val.yaml", "--n", "30")
    assert (status, "0 of 3" in out) == (0, True)
    status, _, err = run(capsys, "--config", "train.yaml")
    assert (status, "`data.val` is not set: give a configuration of a training and one of a benchmark" in err) == (
        2,
        True,
    )


def test_files_are_compared_by_their_questions(files, capsys):
    status, out, _ = run(capsys, files / "train.jsonl", files / "val.jsonl", "--shown", "1")
    assert status == 1
    assert "2 of 3 problems occur in the 21" in out
    assert "(1 whole, 1 in part)" in out
    assert "the same text, such as 'what is 7 + 7'" in out
    assert out.endswith("  and 1 more\n")
    assert "1 of 1 problems" in run(capsys, files / "train.jsonl", files / "chats.jsonl")[1]
    assert "1 of 1 problems" in run(capsys, files / "conversations.jsonl", files / "chats.jsonl")[1]
    assert "1 of 3 problems" in run(capsys, files / "conversations.jsonl", files / "val.jsonl")[1]
    status, _, err = run(capsys, files / "train.jsonl", files / "nothing.jsonl")
    assert (status, "No data set at" in err) == (2, True)
