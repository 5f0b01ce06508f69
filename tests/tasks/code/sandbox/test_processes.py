"""Asleep means that no thread of no descendant runs or waits for a processor."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import psutil
import pytest

from lit_passk.tasks.code.sandbox.processes import asleep

SLEEPS = "time.sleep(1000)"
WORKS = "\nwhile True: pass"


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("print('up', flush=True); " + SLEEPS, True),
        ("print('up', flush=True)" + WORKS, False),
        (f"threading.Thread(target=exec, args=({WORKS!r},)).start(); print('up', flush=True); {SLEEPS}", False),
        (
            f"threading.Thread(target=exec, args=({SLEEPS!r}, globals())).start(); print('up', flush=True); {SLEEPS}",
            True,
        ),
        (f"if os.fork() == 0: exec({WORKS!r})\nprint('up', flush=True); {SLEEPS}", False),
        (
            f"if os.fork() == 0:\n if os.fork() == 0: exec({WORKS!r})\n {SLEEPS}\nprint('up', flush=True); {SLEEPS}",
            False,
        ),
        (f"if os.fork() == 0:\n os._exit(0)\nprint('up', flush=True); {SLEEPS}", True),  # a child nobody waits for
    ],
)
def test_threads_and_descendants_count(program, expected):
    source = "import os, threading, time\n" + textwrap.dedent(program)
    process = subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout.readline() == "up\n"
        # Until a sleeper sleeps; a worker never does.
        assert any(asleep(process.pid) for _ in range(40)) is expected
    finally:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            one.kill()
        process.communicate()


def test_a_process_that_is_gone_sleeps():
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    assert asleep(process.pid)
