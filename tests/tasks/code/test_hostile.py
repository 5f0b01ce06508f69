"""Programs that attack: each scores 0, as an ordinary wrong answer, and leaves the machine as it was."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from helpers.hostile import BEFORE, ESCAPES, PRINTED, RETURNED
from helpers.sandbox import adopt_orphans, descendants, left_over, require_sandbox

from lit_passk.tasks.code import CodeTask
from lit_passk.tasks.code.sandbox.sandbox import Limits

pytestmark = pytest.mark.seconds

require_sandbox()

NUMBERS = (3, 5, 7)
ROWS = {  # the same problem in every style: square a number
    "stdio": {"type": "stdio", "cases": [{"input": f"{x}\n", "output": f"{x * x}\n"} for x in NUMBERS]},
    "functional": {
        "type": "functional",
        "entry_point": "f",
        "in_class": None,
        "cases": [{"args": [x], "expected": x * x} for x in NUMBERS],
    },
    "assert": {
        "type": "assert",
        "entry_point": "f",
        "code": "def check(candidate):\n" + "".join(f"    assert candidate({x}) == {x * x}\n" for x in NUMBERS),
        "call": "check(f)",
    },
}
HONEST = {"stdio": "print(int(input()) ** 2)"} | dict.fromkeys(("functional", "assert"), "def f(x): return x * x")
WRONG = {"stdio": "print(0)"} | dict.fromkeys(("functional", "assert"), "def f(x): return 0")
FAST = Limits(seconds=1, total_seconds=5, memory_mb=256, output_mb=1, files_mb=4)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    made = {}
    for style, tests in ROWS.items():
        question = "def f(x):\n    '''Square.'''\n" if style == "assert" else "Square."
        path = folder / f"{style}.jsonl"
        path.write_text(json.dumps({"id": style, "problem": question, "tests": tests}))
        made[style] = CodeTask(str(path), limits=FAST)
    return made


def traces():
    """What an attack could leave behind besides processes; other programs of the machine may change the rest."""
    folders = ("/tmp", "/dev/shm", os.getcwd(), os.path.expanduser("~"))
    files = [path for folder in folders for path in Path(folder).glob("*hostile*")]
    segments = [line for line in Path("/proc/sysvipc/shm").read_text().splitlines() if line.split()[0] == str(0x4711)]
    mounts = Path("/proc/self/mountinfo").read_text()
    library = [Path(module.__file__).read_text() for module in (os, json)]
    return files, segments, mounts, library


@pytest.fixture
def unchanged():
    adopt_orphans()
    processes, before = descendants(), traces()
    yield
    assert left_over(processes) == {}
    assert traces() == before


def score(tasks, style, program):
    result = tasks[style].score(tasks[style][0], f"```python\n{program}\n```")
    assert result.error is None
    return result.correct


@pytest.mark.parametrize("style", ROWS)
def test_an_honest_program_passes(tasks, style, unchanged):
    assert score(tasks, style, HONEST[style])
    assert not score(tasks, style, WRONG[style])


@pytest.mark.parametrize("style", ["stdio", "assert"])  # functions run the same way in both of their styles
@pytest.mark.parametrize("attack", BEFORE)
def test_attack(tasks, style, attack, unchanged):
    assert not score(tasks, style, f"{BEFORE[attack]}\n{WRONG[style]}")


@pytest.mark.parametrize("style", ["functional", "assert"])
@pytest.mark.parametrize("attack", RETURNED)
def test_attack_by_the_function(tasks, style, attack, unchanged):
    assert not score(tasks, style, RETURNED[attack])


@pytest.mark.parametrize("attack", PRINTED)
def test_attack_by_the_output(tasks, attack, unchanged):
    assert not score(tasks, "stdio", PRINTED[attack])


SOLVED = {"stdio": "print(int(input()) ** 2 if escaped else 0)", "assert": "def f(x): return x * x if escaped else 0"}


@pytest.mark.parametrize("style", SOLVED)
@pytest.mark.parametrize("escape", ESCAPES)
def test_no_way_out(tasks, style, escape, unchanged):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        with contextlib.suppress(OSError):  # of another test beside this one
            listener.bind("\0lit-passk-hostile")
        assert not score(tasks, style, f"escaped = False\n{ESCAPES[escape]}\n{SOLVED[style]}")


@pytest.mark.parametrize("style", SOLVED)
def test_a_way_out_would_show(tasks, style):
    assert score(tasks, style, f"escaped = True\n{SOLVED[style]}")


@pytest.mark.parametrize("style", ["stdio", "assert"])
def test_no_expected_value_is_in_a_program_s_memory(tmp_path, style):
    secret = 5571  # its square is no number that Python's own modules hold
    made = json.loads(json.dumps(ROWS[style]).replace("7", str(secret)).replace("49", str(secret**2)))
    (tmp_path / "row.jsonl").write_text(json.dumps({"id": style, "problem": "def f(x):\n    ...\n", "tests": made}))
    task = CodeTask(str(tmp_path / "row.jsonl"), limits=FAST)
    look = f"""
import gc
def seen():
    root = {secret}
    text = str(root * root)
    gc.unfreeze()
    parts = (part for held in gc.get_objects() for part in gc.get_referents(held))
    return any(isinstance(part, (int, str, bytes)) and part is not text and text in str(part) for part in parts)
"""
    solved = (
        "print(int(input()) ** 2 if seen() else 0)" if style == "stdio" else "def f(x): return x * x if seen() else 0"
    )
    assert not task.score(task[0], f"```python\n{look}{solved}\n```").correct
    kept = f"kept = [{', '.join(str(x * x) for x in (3, 5, secret))}]\n"
    assert task.score(task[0], f"```python\n{look}{kept}{solved}\n```").correct, "it would have been found"


@pytest.mark.parametrize("style", ROWS)
def test_no_other_file_is_seen(tasks, style, tmp_path, unchanged):
    path = tmp_path / "tests.jsonl"
    path.write_text("secret")
    attack = f"""
import os
seen = 0
for path in ({str(path)!r}, {__file__!r}, '/etc/passwd', '/proc/self/environ', '/proc/1/root{path}'):
    for mode in ('r', 'a'):
        try:
            with open(path, mode) as file:
                seen = file.read() if mode == 'r' else file.write('hostile')
        except OSError:
            pass
for folder in ('/work', '/home', '/etc', '/proc', '/sys', '/run', '/var', {str(tmp_path)!r}):
    seen = seen or os.path.exists(folder)
"""
    solved = "print(int(input()) ** 2 if seen else 0)" if style == "stdio" else "def f(x): return x * x if seen else 0"
    assert not score(tasks, style, attack + solved)
    assert path.read_text() == "secret"


@pytest.mark.parametrize("style", ROWS)
def test_no_network(tasks, style, unchanged):
    visits = []

    class Visited(BaseHTTPRequestHandler):
        def do_GET(self):
            visits.append(self.path)

    with HTTPServer(("127.0.0.1", 0), Visited) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        attack = f"""
import socket
reached = 0
for address in (('127.0.0.1', {server.server_port}), ('1.1.1.1', 53)):
    try: socket.create_connection(address, timeout=1); reached = 1
    except OSError: pass
for family in (socket.AF_UNIX, socket.AF_NETLINK, socket.AF_VSOCK):
    try: socket.socket(family, socket.SOCK_STREAM); reached = 1
    except OSError: pass
"""
        solved = "print(int(input()) ** 2 * reached)" if style == "stdio" else "def f(x): return x * x * reached"
        correct = score(tasks, style, attack + solved)
        server.shutdown()
        thread.join()
    assert not correct
    assert visits == []


def test_nothing_runs_on_into_the_next_test(tasks, unchanged):
    program = """
import os, time
x = int(input())
if x == 3 and os.fork() == 0:
    time.sleep(60)
alive = 0
for pid in range(3, 200):  # 2 is the thread of the first process that watches files
    try: os.kill(pid, 0); alive += pid != os.getpid()
    except OSError: pass
print(x * x if x == 3 or not alive else 0)
"""
    assert score(tasks, "stdio", program)
