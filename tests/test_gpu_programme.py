"""The steps of ``scripts/gpu`` go on where they stopped, and nothing that they started outlives them."""

import argparse
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "gpu" / "programme.py"
WELL = [sys.executable, "-c", "import json; print('x'); print(json.dumps({'seconds': [1.5]})); print('end')"]
BADLY = [sys.executable, "-c", "raise SystemExit('no memory')"]


@pytest.fixture
def start(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("programme", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)  # this process keeps its own handlers

    def start(retry=False, minutes=60.0):
        return module.Results(
            argparse.Namespace(out=tmp_path, device="cpu", retry=retry, minutes=minutes), "step.jsonl"
        )

    return start


def names(results):
    return [json.loads(line)["name"] for line in results.path.read_text().splitlines()]


def test_what_ended_is_not_done_again(start):
    results = start()
    assert results.run("well", WELL, seconds=100)
    assert not results.run("badly", BADLY, seconds=100)
    assert results.lines["well"]["values"] == {"seconds": [1.5]}
    assert "no memory" in results.lines["badly"]["tail"]
    again = start()
    assert again.run("well", BADLY, seconds=100)
    assert not again.run("badly", WELL, seconds=100)
    assert names(again) == ["machine", "well", "badly"]
    assert start(retry=True).run("badly", WELL, seconds=100)
    assert names(again) == ["machine", "well", "badly", "badly"]


def test_half_a_line_is_a_measurement_that_was_not_made(start):
    results = start()
    results.add("whole")
    with results.path.open("a") as file:
        file.write('{"name": "half", "o')
    again = start()
    assert again.has("whole")
    assert not again.has("half")
    again.add("half")
    assert names(again) == ["machine", "whole", "half"]


def test_what_was_skipped_or_had_no_time_comes_at_the_next_start(start):
    results = start(minutes=0)
    results.skip("peer", "it is not installed")
    assert not results.run("late", WELL, seconds=100)
    assert names(results) == ["machine", "peer"]
    again = start()
    assert again.run("peer", WELL, seconds=100)
    assert again.run("late", WELL, seconds=100)


@pytest.mark.seconds
def test_a_measurement_that_is_stopped_leaves_no_child(start, tmp_path):
    file = tmp_path / "child"
    results = start()
    command = ["bash", "-c", f"sleep 1000 & echo $! > {file}; wait"]
    assert not results.run("endless", command, seconds=5)
    assert results.lines["endless"]["stopped_after"] == 5
    assert results.has("endless")  # it had the time it may take
    child = Path("/proc", file.read_text().strip(), "stat")
    for _ in range(1000):  # a killed process is gone as soon as its new parent looks
        if not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)
    os.kill(int(file.read_text()), 9)
    pytest.fail("the child of a stopped measurement still runs")
