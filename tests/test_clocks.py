"""A wall clock that jumps changes nothing: whatever is a duration goes by a clock that only runs forwards."""

import ast
import time
from itertools import count
from pathlib import Path

import torch
from helpers.small_runs import STEPS, run

import lit_passk

PACKAGE = Path(lit_passk.__file__).parent
WALL = {f"time.{name}" for name in ("time", "time_ns", "localtime", "gmtime")} | {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
}
DAY = 86400.0


def wall_clocks(tree):
    """Names by which a file asks what time it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ".".join(ast.unparse(node).split(".")[-2:]) in WALL:
            yield ast.unparse(node)
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"time.{name.name}" for name in node.names if f"time.{name.name}" in WALL)


def test_nothing_asks_the_wall_clock():
    assert list(wall_clocks(ast.parse("import time\nt = time.time()"))) == ["time.time"], "it would be found"
    found = {path.name: [*wall_clocks(ast.parse(path.read_text()))] for path in PACKAGE.rglob("*.py")}
    assert not {name: names for name, names in found.items() if names}, "a duration wants time.monotonic"


def test_a_clock_that_jumps_a_day_back_and_forward_at_every_look(maze_policy, tmp_path, monkeypatch):
    _, undisturbed = run(maze_policy, tmp_path / "undisturbed", every=1)
    now, looks = time.time, count()
    monkeypatch.setattr(time, "time", lambda: now() + DAY * (next(looks) % 3 - 1))
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * time.time()))  # what logs ask from Python 3.13 on
    trainer, module = run(maze_policy, tmp_path / "run", every=1)
    assert next(looks) > 0, "somebody looked"
    run(maze_policy, tmp_path / "run", resume=True, every=1)
    ours, theirs = module.state_dict(), undisturbed.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)  # exact: the same arithmetic
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == [f"step={STEPS}.ckpt"]
    durations = [value for name, value in trainer.callback_metrics.items() if name.startswith("time/")]
    assert durations
    assert all(0 <= value < DAY / 2 for value in durations)
