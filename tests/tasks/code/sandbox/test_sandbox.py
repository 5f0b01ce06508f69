"""The walls hold, for root too; nothing outlives a sandbox; a broken sandbox is an error and never a wrong answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.sandbox import adopt_orphans, descendants, left_over, require_sandbox

from lit_passk.tasks.code.judge import judge
from lit_passk.tasks.code.sandbox.sandbox import Limits, Sandbox

pytestmark = pytest.mark.seconds

require_sandbox()

FAST = Limits(seconds=1, total_seconds=10, memory_mb=256)
LONG = Limits(seconds=30)
SLEEPER = {"style": "stdio", "cases": [{"input": "", "output": ""}], "tolerance": None}


def stdio(*cases):
    return {"style": "stdio", "cases": [{"input": a, "output": b} for a, b in cases], "tolerance": None}


def passes(source, *cases, limits=FAST, unsafe=False):
    return judge(stdio(*cases), [("program", textwrap.dedent(source))], limits, unsafe)


def python(code, **env):
    """Run code in an interpreter of its own, which has its own environment and caches."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **env}
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=env, capture_output=True, text=True)


def test_inside_there_is_next_to_nothing():
    verdict = passes(
        """
        import os, sys
        assert os.getuid() == 1000 and os.getgroups() == []
        assert os.getppid() == 1 and os.getcwd() == '/tmp' and os.listdir('/tmp') == []
        assert set(os.listdir('/dev')) == {'null', 'urandom'}
        assert not {'proc', 'sys', 'etc', 'home', 'var', 'run', 'work'} & set(os.listdir('/'))
        assert os.uname().nodename == 'sandbox'
        assert not {'PYTHONPATH', 'USER', 'LOGNAME'} & set(os.environ)
        for name in ('numpy', 'torch', 'pip', 'pytest', 'lit_passk.types'):
            try: __import__(name)
            except ImportError: continue
            raise AssertionError(name)
        open_fds = []
        for fd in range(3, 1024):
            try: os.fstat(fd); open_fds.append(fd)
            except OSError: pass
        assert open_fds == []
        """,
        ("", ""),
    )
    assert verdict.passed, verdict


def test_programs_see_a_python_like_any_other():
    verdict = passes(
        """
        import dataclasses, sys, threading, atexit, pickle
        @dataclasses.dataclass
        class Point:
            x: int
        assert pickle.loads(pickle.dumps(Point(1))) == Point(1)
        assert __name__ == '__main__' and sys.argv[1:] == []
        atexit.register(lambda: print('last'))
        threading.Thread(target=lambda: print(input(), len(str(3 ** 20000)))).start()
        exit()
        """,
        ("é\n", "é 9543 last"),
    )
    assert verdict.passed, verdict


@pytest.mark.parametrize(("packages", "passed"), [(("numpy",), True), ((), False)])
def test_packages_are_shown_when_asked_for(packages, passed):
    program = """
    import os, numpy
    assert os.listdir('/packages') and not {'torch', 'pip'} & set(os.listdir('/packages'))
    print(numpy.linalg.inv(numpy.eye(2))[0, 0])
    """
    assert passes(program, ("", "1.0"), limits=Limits(packages=packages)).passed is passed
    assert passes("import numpy", ("", ""), limits=Limits(packages=("numpy",)), unsafe=True).passed


def test_numbers_of_numpy_are_numbers():
    tests = {"style": "functional", "names": ["f"], "owner": "Solution", "cases": [([2], [4]), ([2.5], [6.25])]}
    program = "import numpy\ndef f(x): return numpy.square(numpy.asarray(x))[()]"
    verdict = judge(tests, [("program", program)], Limits(packages=("numpy",)))
    assert verdict.passed, verdict


def test_packages_must_be_installed():
    with pytest.raises(ValueError, match="the package 'missing_package': it is not installed"):
        Limits(packages=("missing_package",))


def test_input_larger_than_any_buffer_arrives():
    text = "x" * 5_000_000
    assert passes("import sys; print(len(sys.stdin.read()))", (text, str(len(text))), ("", "0")).passed


def test_output_larger_than_any_buffer_arrives():
    assert passes("print('x' * 5_000_000)", ("", "x" * 5_000_000)).passed


@pytest.mark.parametrize(("limit", "passed"), [(3, True), (2, False)])
def test_processes_and_threads_are_counted(limit, passed):
    program = """
    import os, threading, time
    if os.fork() == 0: time.sleep(60)
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    os._exit(0)
    """
    assert passes(program, ("", ""), limits=Limits(seconds=1, processes=limit)).passed is passed


@pytest.mark.parametrize(("size", "passed"), [(128, True), (512, False)])
def test_memory_is_limited(size, passed):
    assert passes(f"x = bytearray({size} << 20)", ("", "")).passed is passed


@pytest.mark.parametrize(("size", "passed"), [(1, True), (6, False)])
def test_the_disk_is_limited(size, passed):
    program = f"for i in range({size}): open(f'/tmp/{{i}}', 'wb').write(bytes(1 << 20))"
    assert passes(program, ("", ""), limits=Limits(files_mb=4)).passed is passed


@pytest.mark.parametrize(("number", "passed"), [(5_000, True), (150_000, False)])
def test_files_are_counted(number, passed):
    """Empty ones, which the size of the disk does not limit; whoever judges, in either style."""
    program = f"""
    import os
    def f(x):
        for i in range({number}): os.close(os.open('/tmp/' + str(i), os.O_CREAT))
        return 'made'
    """
    assert passes(program + "\n    print(f(0))", ("", "made"), limits=LONG).passed is passed
    tests = {"style": "functional", "names": ["f"], "owner": "Solution", "cases": [([0], ["made"])]}
    assert judge(tests, [("program", textwrap.dedent(program))], LONG).passed is passed


def test_what_a_program_leaves_in_its_tmp_is_gone_for_the_next():
    program = "import os; print(os.listdir('/tmp')); open('/tmp/left', 'w').close(); os.mkdir('/tmp/hostile')"
    assert passes(program, ("", "[]")).passed
    assert passes(program, ("", "[]")).passed


def test_cpu_time_is_a_limit_of_each_test():
    """Three tests of 0.6 s each pass a limit of one second."""
    program = "import time\nwhile time.process_time() < 0.6: pass\nprint(1)"
    assert passes(program, *[("", "1")] * 3, limits=Limits(seconds=1)).passed  # on a busy machine too
    busy = passes("while True: pass", ("", ""))
    assert busy.reason == "test 0: out of CPU time"


def test_a_sleeper_is_given_up():
    assert passes("import time; time.sleep(1000)", ("", "")).reason == "test 0: out of time"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has anything to drop")
def test_root_is_left_behind():
    with Sandbox(FAST, ("confine", "stdio")) as sandbox:
        sandbox.start({"isolated": True, "modules": [], "units": [], "limits": FAST.for_process(), "stdout": 2})
        sandbox.ready()
        inside = [int(pid) for pid in descendants(sandbox.process.pid)]
        assert inside
        for pid in [*inside, sandbox.process.pid]:
            status = Path(f"/proc/{pid}/status").read_text()
            ids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
            assert "0" not in ids


def test_nothing_is_left_open_or_running():
    adopt_orphans()
    passes("print(1)", ("", "1"))
    before, files = descendants(), sorted(os.listdir("/proc/self/fd"))
    for _ in range(5):
        assert passes("print(1)", ("", "1")).passed
        assert not passes("import os; os._exit(1)", ("", "1")).passed
    assert left_over(before) == {}
    assert sorted(os.listdir("/proc/self/fd")) == files


@pytest.mark.parametrize("style", ["stdio", "functional"])
def test_a_killed_scorer_takes_its_sandboxes_along(style):
    adopt_orphans()
    before = descendants()
    code = f"""
        from lit_passk.tasks.code.judge import judge
        from lit_passk.tasks.code.sandbox.sandbox import Limits
        tests = {{
            "stdio": {SLEEPER!r},
            "functional": {{"style": "functional", "names": ["f"], "owner": "S", "cases": [([], [1])]}},
        }}[{style!r}]
        judge(tests, [("program", "import time; time.sleep(1000)")], Limits(seconds=1000, total_seconds=1000))
    """
    scorer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env={"PYTHONPATH": ":".join(sys.path)})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and "import sys, marshal" not in str(descendants(scorer.pid)):
        time.sleep(0.05)
    time.sleep(0.3)  # the program sleeps by now
    assert len(descendants(scorer.pid)) >= 2
    scorer.send_signal(signal.SIGKILL)
    scorer.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:  # orphans that have ended are ours to reap
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if not {pid: command for pid, command in descendants().items() if pid not in before}:
            break
        time.sleep(0.05)
    assert left_over(before) == {}


def test_many_at_a_time():
    with ThreadPoolExecutor(8) as pool:
        programs = [f"print({number})" for number in range(24)]
        verdicts = list(pool.map(lambda source: passes(source, ("", source[6:-1])), programs))
    assert all(verdict.passed for verdict in verdicts)


def test_without_bubblewrap_nothing_runs_unless_told_so(tmp_path):
    code = """
        import json, sys
        from lit_passk.tasks.code import CodeTask
        path, unsafe = sys.argv[0] or %r, %r
        task = CodeTask(path, unsafe_no_sandbox=unsafe)
        print(task.score(task[0], "print(int(input()) + 1)").correct, task.score(task[0], "print(0)").correct)
    """
    path = tmp_path / "problems.jsonl"
    tests = '{"type": "stdio", "cases": [{"input": "1", "output": "2"}]}'
    path.write_text(f'{{"problem": "Add one.", "tests": {tests}}}')
    refused = python(code.replace("sys.argv[0] or ", "") % (str(path), False), PATH=str(tmp_path))
    assert refused.returncode != 0
    assert "CannotRun: Code can only be scored in a sandbox, and bubblewrap is not installed" in refused.stderr
    assert "unsafe_no_sandbox" in refused.stderr
    told = python(code.replace("sys.argv[0] or ", "") % (str(path), True), PATH=str(tmp_path))
    assert told.stdout.split() == ["True", "False"], told.stderr
    assert "WITHOUT a sandbox" in told.stderr


def stub(folder, help_text, then):
    """A program called bwrap that does what a broken one does."""
    path = folder / "bwrap"
    path.write_text(f"#!/bin/sh\nif [ \"$1\" = --help ]; then echo '{help_text}'; exit 0; fi\n{then}\n")
    path.chmod(0o755)
    return f"{folder}{os.pathsep}/usr/sbin:/usr/bin:/sbin:/bin"


def test_an_old_bubblewrap_is_refused(tmp_path):
    path = stub(tmp_path, "--seccomp FD", "exit 1")
    result = python("from lit_passk.tasks.code.judge import check_sandbox; check_sandbox()", PATH=path)
    assert "needs bubblewrap >= 0.8" in result.stderr
    assert "does not know --disable-userns, --size" in result.stderr


def test_a_sandbox_that_does_not_start_is_an_error_and_no_verdict(tmp_path):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    path = stub(tmp_path, "--disable-userns --size --seccomp", "echo no namespaces for you >&2; exit 1")
    refused = python("from lit_passk.tasks.code.judge import check_sandbox; check_sandbox()", PATH=path)
    assert "CannotRun: Code can only be scored in a sandbox, and that does not work here" in refused.stderr
    assert "no namespaces for you" in refused.stderr
    later = """
        import lit_passk.tasks.code.task as code
        from lit_passk.types import Problem
        task = code.CodeTask.__new__(code.CodeTask)  # as a worker gets it: made where the sandbox worked
        task.limits, task.unsafe_no_sandbox = code.Limits(), False
        answer = '{"style": "stdio", "cases": [{"input": "", "output": ""}], "tolerance": null}'
        print(task.score(Problem(id="0", prompt="", answer=answer), "pass"))
    """
    score = python(later, PATH=path).stdout
    assert "correct=False" in score
    assert "error='sandbox: no namespaces for you'" in score


@pytest.mark.parametrize("name", ["seconds", "total_seconds", "memory_mb", "processes", "output_mb", "files_mb"])
def test_limits_are_positive(name):
    with pytest.raises(ValueError, match=f"Limits needs {name} > 0, but got 0"):
        Limits(**{name: 0})
