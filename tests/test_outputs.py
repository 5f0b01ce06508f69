"""What a command prints may get lost; what it does may not."""

import fcntl
import os
import pty
import subprocess
import sys

import pytest

from lit_passk.outputs import outputs_may_fail

PRINT = """
import logging, os, sys
from lit_passk.outputs import open_outputs, outputs_may_fail
open_outputs()
with outputs_may_fail():
    logging.basicConfig(level=logging.INFO)
    for number in range({lines}):
        print("line", number, "\\u2713")
        logging.info("line %d \\u2713", number)
    sys.stdout.flush()
    {then}
"""


def run(then, lines=3, **streams):
    code = PRINT.format(then=then, lines=lines)
    return subprocess.run([sys.executable, "-c", code], text=True, timeout=120, check=False, **streams)


@pytest.fixture
def full():
    with open("/dev/full", "w") as stream:
        yield stream


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_disk_that_is_full_costs_what_is_printed_and_one_warning(full, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    done = run("sys.exit(7)", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 7
    assert done.stderr.count("What is printed to stdout is lost from here on: No space left on device.") == 1
    assert "line 2" in done.stderr
    done = run("sys.exit(7)", stdout=subprocess.PIPE, stderr=full)
    assert (done.returncode, done.stdout.count("line")) == (7, 3)
    assert run("sys.exit(7)", stdout=full, stderr=full).returncode == 7


def test_a_pipe_that_nobody_reads_stays_an_error():
    read, write = os.pipe()
    os.close(read)
    done = run("pass", stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert "BrokenPipeError" in done.stderr
    assert done.returncode == 1


def test_a_pipe_that_was_set_not_to_wait_gets_everything():
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETFL, os.O_NONBLOCK)
    code = PRINT.format(then="", lines=20_000)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=write, stderr=subprocess.DEVNULL)
    os.close(write)
    with open(read, encoding="utf-8") as stream:
        assert len(stream.readlines()) == 20_000
    assert process.wait() == 0


def test_closed_streams_do_not_leave_their_numbers_to_files(tmp_path):
    then = f"print(); file = open({str(tmp_path / 'file')!r}, 'w'); file.write(str(file.fileno()))"
    command = [sys.executable, "-c", PRINT.format(then=then, lines=1)]
    assert subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], check=True).returncode == 0
    assert int((tmp_path / "file").read_text()) > 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_a_terminal_lacks_are_numbers(encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = run("", lines=1, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    assert done.stdout == "line 0 \\u2713\n"
    assert done.returncode == 0


def test_a_terminal_that_is_gone():
    """Its session's leader has ended, and the signal that says so was ignored, as under ``nohup``."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.readline()\n" + PRINT.format(then="sys.exit(7)", lines=3)],
        **{"stdin": subprocess.PIPE, "stdout": theirs, "stderr": theirs},
    )
    os.close(theirs)
    os.close(ours)
    process.communicate(b"\n")
    assert process.returncode == 7


def test_streams_that_others_put_there_stay():
    before = sys.stdout, sys.stderr
    with outputs_may_fail():
        assert (sys.stdout, sys.stderr) == before
    assert (sys.stdout, sys.stderr) == before
