"""Scoring in worker processes: nothing hangs, nothing is lost, nothing stays behind. Nothing here is a mock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import types
from pathlib import Path

import pytest
from helpers.scoring_tasks import Counted, Inline, Obedient

from lit_passk.scoring.scorer import Scorer
from lit_passk.scoring.server import MEMORY_LIMIT
from lit_passk.types import Problem, Score

PATIENT = 60.0  # never reached, however busy the machine is
HASTY = 2.0
TASK = Obedient()
PROBLEM = TASK[0]
ROOT = Path(__file__).parents[2]


def ask(scorer: Scorer, *completions: str, name: str = "task") -> list[Score]:
    futures = [scorer.submit(name, PROBLEM, completion) for completion in completions]
    return [future.result() for future in futures]


def pids(scorer: Scorer) -> tuple[int, int]:
    """Of one worker and of the process it was forked from."""
    worker, server = map(int, ask(scorer, "pids")[0].answer.split())
    return worker, server


def running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def await_end(*processes: int) -> bool:
    deadline = time.monotonic() + 30
    while any(running(pid) for pid in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(running(pid) for pid in processes)


@pytest.fixture
def scorer():
    with Scorer({"task": TASK}, num_workers=1, timeout=PATIENT) as scorer:
        yield scorer


@pytest.mark.parametrize("num_workers", [1, 3])
def test_every_completion_gets_its_own_score(num_workers):
    with Scorer({"task": TASK}, num_workers=num_workers, timeout=PATIENT) as scorer:
        completions = [f"completion {number}" for number in range(100)]
        assert [score.answer for score in ask(scorer, *completions)] == completions


@pytest.mark.parametrize("hang", ["sleep 1000", "backtrack"])
def test_what_takes_too_long_is_an_error_and_the_rest_goes_on(hang):
    with Scorer({"task": TASK}, num_workers=1, timeout=HASTY) as scorer:
        hung, after = ask(scorer, hang, "after")
    assert hung == Score(reward=0.0, correct=False, error="timeout after 2 s")
    assert (after.answer, after.error) == ("after", None)


@pytest.mark.parametrize(
    ("deed", "error"),
    [
        ("signal SIGKILL", "worker killed, perhaps because memory ran out (SIGKILL)"),
        ("signal SIGTERM", "worker died (signal 15)"),
        ("crash", "worker died (signal 11)"),
        ("exit 0", "worker exited with code 0"),
        ("exit 3", "worker exited with code 3"),
        ("quit 3", "SystemExit: 3"),
        ("raise boom", "KeyError: 'boom'"),
        ("return", "TypeError: Obedient.score must return a Score, but got str"),
        (f"allocate {2 * MEMORY_LIMIT}", "MemoryError: "),
    ],
)
def test_what_cannot_be_scored_is_an_error_and_the_rest_goes_on(scorer, deed, error):
    failed, after = ask(scorer, deed, "after")
    assert failed == Score(reward=0.0, correct=False, error=error)
    assert (after.answer, after.error) == ("after", None)


def test_an_exception_is_logged_once_with_its_traceback(scorer, caplog):
    ask(scorer, "raise boom", "raise boom")
    assert [record.getMessage().count("in do_raise") for record in caplog.records] == [1]
    assert "the-problem" in caplog.text


def test_ctrl_c_is_not_for_workers(scorer):
    assert ask(scorer, "signal SIGINT")[0].answer == "still here"


def test_a_worker_killed_while_idle_costs_nothing(scorer):
    worker, server = pids(scorer)
    os.kill(worker, signal.SIGKILL)
    assert await_end(worker)
    assert ask(scorer, "a", "b") == ask(scorer, "a", "b")
    assert pids(scorer)[1] == server


def test_all_processes_killed_while_idle_cost_nothing():
    with Scorer({"task": TASK}, num_workers=2, timeout=PATIENT) as scorer:
        worker, server = pids(scorer)
        os.kill(server, signal.SIGKILL)
        assert await_end(worker, server), "workers end with the process they were forked from"
        assert [score.error for score in ask(scorer, *"abcd")] == [None] * 4


def test_what_a_scoring_task_started_is_killed_with_its_worker(tmp_path):
    file = tmp_path / "pid"
    with Scorer({"task": TASK}, num_workers=1, timeout=HASTY) as scorer:
        assert ask(scorer, f"spawn {file}")[0].error == "timeout after 2 s"
        assert await_end(int(file.read_text()))


def test_tasks_travel_once_however_many_workers_there_are(tmp_path):
    file = tmp_path / "notes"
    tasks = {"one": Counted(str(file)), "two": TASK}
    with Scorer(tasks, num_workers=3, timeout=PATIENT) as scorer:
        scores = ask(scorer, *["a", "exit 1"] * 10, name="one") + ask(scorer, "b", name="two")
    assert [score.answer for score in scores if score.error is None] == ["a"] * 10 + ["b"]
    assert file.read_text().split("\n") == ["unpickled", "warmed up", ""]


def test_workers_import_nothing_heavy(scorer):
    assert ask(scorer, "modules")[0].answer == "[]"


def test_tasks_without_workers_are_scored_here_and_their_bugs_are_raised():
    with Scorer({"task": Inline()}, num_workers=1) as scorer:
        assert ask(scorer, "pids")[0].answer.split()[0] == str(os.getpid())
        with pytest.raises(RuntimeError, match="problem 'the-problem' of task 'task' raised KeyError: 'boom'"):
            scorer.submit("task", PROBLEM, "raise boom")
        with pytest.raises(RuntimeError, match=r"Inline.score` must return a Score, but got 'no score'"):
            scorer.submit("task", PROBLEM, "return")


def test_closing_does_not_wait_for_what_hangs():
    with Scorer({"task": TASK}, num_workers=2, timeout=PATIENT) as scorer:
        worker, server = pids(scorer)
        futures = [scorer.submit("task", PROBLEM, "sleep 1000") for _ in range(5)]
    assert {future.result(timeout=0).error for future in futures} == {"the scorer was closed"}
    assert await_end(worker, server)
    scorer.close()
    with pytest.raises(RuntimeError, match="closed"):
        scorer.submit("task", PROBLEM, "late")


def test_a_cancelled_completion_is_skipped():
    with Scorer({"task": TASK}, num_workers=1, timeout=PATIENT) as scorer:
        pids(scorer)
        slow = scorer.submit("task", PROBLEM, "sleep 0.3")
        cancelled = scorer.submit("task", PROBLEM, "cancelled")
        assert cancelled.cancel()
        assert slow.result().error is None
        assert ask(scorer, "after")[0].answer == "after"


def test_a_task_that_cannot_be_pickled_is_refused():
    class Local(Obedient):
        pass

    with Scorer({"task": Local()}) as scorer, pytest.raises(ValueError, match=r"'task' .Local. has `use_workers`"):
        scorer.submit("task", PROBLEM, "a")


def test_a_task_that_workers_cannot_import_is_one_clear_error(monkeypatch):
    module = types.ModuleType("only_here")
    exec("from helpers.scoring_tasks import Obedient\nclass Hidden(Obedient): pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with Scorer({"task": module.Hidden()}, num_workers=2) as scorer:
        for future in [scorer.submit("task", PROBLEM, "a") for _ in range(3)]:
            with pytest.raises(RuntimeError, match=r"No module named 'only_here'.*another process can import"):
                future.result()


def test_a_problem_that_workers_cannot_unpickle_is_an_error(scorer, monkeypatch):
    module = types.ModuleType("only_here")
    exec("class Key: pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    problem = Problem(id="x", prompt="", answer="", metadata={"key": module.Key()})
    assert "No module named 'only_here'" in scorer.submit("task", problem, "a").result().error
    assert ask(scorer, "after")[0].answer == "after"


def test_a_problem_that_cannot_be_pickled_is_the_callers_error(scorer):
    problem = Problem(id="x", prompt="", answer="", metadata={"lambda": lambda: None})
    with pytest.raises(Exception, match="pickle"):
        scorer.submit("task", problem, "a").result()
    assert ask(scorer, "after")[0].answer == "after"


@pytest.mark.parametrize("arguments", [{"num_workers": 0}, {"timeout": 0.0}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Scorer({"task": TASK}, **arguments)


# --- the process that owns the scorer ---------------------------------------------------------------------------------


def start_script(tmp_path: Path, source: str) -> subprocess.Popen:
    file = tmp_path / "script"  # no suffix, as console scripts have none
    file.write_text(textwrap.dedent(source))
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, str(file)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


HANGING = """
    from helpers.scoring_tasks import Obedient
    from lit_passk.scoring.scorer import Scorer

    task = Obedient()
    with Scorer({"task": task}, num_workers=2, timeout=1000) as scorer:
        print(scorer.submit("task", task[0], "pids").result().answer, flush=True)
        hanging = [scorer.submit("task", task[0], hang) for hang in ("backtrack", "sleep 1000")]
        print("waiting", flush=True)
        hanging[0].result()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_its_owner(tmp_path, end):
    owner = start_script(tmp_path, HANGING)
    processes = [int(pid) for pid in owner.stdout.readline().split()]
    assert len(processes) == 2, owner.stderr.read()
    assert owner.stdout.readline() == "waiting\n"
    assert all(running(pid) for pid in processes)
    try:
        os.killpg(owner.pid, end)
        assert await_end(*processes)
        assert owner.wait(timeout=30) != 0
    finally:
        if owner.poll() is None:
            os.killpg(owner.pid, signal.SIGKILL)


def test_a_console_script_is_not_run_again(tmp_path):
    owner = start_script(
        tmp_path,
        f"""
        print("imported", flush=True)
        {textwrap.dedent(HANGING).strip().replace(chr(10), chr(10) + " " * 8).replace("hanging[0].result()", "pass")}
        """,
    )
    out, err = owner.communicate(timeout=60)
    assert out.count("imported") == 1, err


def test_a_task_of_the_users_own_script_works(tmp_path):
    owner = start_script(
        tmp_path,
        """
        from helpers.scoring_tasks import Obedient
        from lit_passk.scoring.scorer import Scorer

        class Mine(Obedient):
            pass

        if __name__ == "__main__":
            with Scorer({"mine": Mine()}, num_workers=1, timeout=1000) as scorer:
                print(scorer.submit("mine", Mine()[0], "fine").result().answer)
        """,
    )
    out, err = owner.communicate(timeout=60)
    assert out == "fine\n", err


@pytest.mark.parametrize("data", ["'__main__'", "b'c__main__'", "['if __name__ == \"__main__\":']"])
def test_a_script_is_not_run_again_for_a_word_in_the_data(tmp_path, data):
    owner = start_script(
        tmp_path,
        f"""
        print("imported", flush=True)
        from helpers.scoring_tasks import Obedient
        from lit_passk.scoring.scorer import Scorer

        task = Obedient()
        task.data = {data}
        with Scorer({{"task": task}}, num_workers=1, timeout=1000) as scorer:
            print(scorer.submit("task", task[0], "fine").result().answer)
        """,
    )
    out, err = owner.communicate(timeout=60)
    assert out == "imported\nfine\n", err


@pytest.mark.parametrize("held", ["Mine", "mine", "Mine()", "[{1: Mine()}]", "functools.partial(mine, 1)"])
def test_whatever_a_task_holds_of_the_users_own_script_is_loaded(tmp_path, held):
    owner = start_script(
        tmp_path,
        f"""
        import functools
        from helpers.scoring_tasks import Obedient
        from lit_passk.scoring.scorer import Scorer

        class Mine:
            pass

        def mine(*args):
            pass

        if __name__ == "__main__":
            task = Obedient()
            task.held = {held}
            with Scorer({{"task": task}}, num_workers=1, timeout=1000) as scorer:
                print(scorer.submit("task", task[0], "fine").result().answer)
        """,
    )
    out, err = owner.communicate(timeout=60)
    assert out == "fine\n", err


def test_a_script_without_a_guard_is_told_so(tmp_path):
    owner = start_script(
        tmp_path,
        """
        from helpers.scoring_tasks import Obedient
        from lit_passk.scoring.scorer import Scorer

        class Mine(Obedient):
            pass

        with Scorer({"mine": Mine()}, num_workers=1, timeout=1000) as scorer:
            scorer.submit("mine", Mine()[0], "fine").result()
        """,
    )
    _, err = owner.communicate(timeout=60)
    assert "guard your script with `if __name__ == '__main__':`" in err
