"""Functions that do what none should, in the processes that score: one completion pays for it, the next does not."""

import os
import resource
import socket
from multiprocessing.connection import Connection

import pytest
from helpers.scoring_tasks import NoForks, Obedient
from helpers.waiting import await_end

from lit_passk.errors import CannotRun
from lit_passk.scoring.scorer import Scorer
from lit_passk.scoring.worker import MEMORY_LIMIT, MOST_THREADS

pytestmark = pytest.mark.seconds

PATIENT = 60.0  # never reached, however busy the machine is
HASTY = 2.0
TASK = Obedient()


@pytest.fixture
def scorer():
    with Scorer({"task": TASK}, num_workers=1, timeout=PATIENT) as scorer:
        yield scorer


def ask(scorer, *completions):
    futures = [scorer.submit("task", TASK[0], completion) for completion in completions]
    return [future.result() for future in futures]


def answers(scorer, *completions):
    scores = ask(scorer, *completions)
    assert [score.error for score in scores] == [None] * len(scores)
    return [score.answer for score in scores]


def test_the_next_completion_meets_nothing_of_what_was_changed(scorer):
    deeds = ["chdir /", "setenv WORSE=1", "tee", "silence", "alarm 1000", "handle", "narrow", "print 3000000"]
    deeds.append("thread 1000")
    before, *_, after = answers(scorer, "surroundings", *deeds, "surroundings")
    assert after == before
    assert answers(scorer, "pids", "silence", "print 10", "pids")[::3] == answers(scorer, "pids") * 2, "one worker"


def test_a_limit_that_cannot_be_raised_again_costs_a_fresh_worker(scorer):
    first, before, _, second, after = answers(scorer, "pids", "surroundings", "lower", "pids", "surroundings")
    assert after == before
    assert first != second


@pytest.mark.parametrize("deed", ["guard", "unload", "pickles"])
def test_modules_are_put_back(scorer, tmp_path, deed):
    before, _, after, again, _ = answers(scorer, "surroundings", deed, "surroundings", deed, f"orphan {tmp_path}/pid")
    assert after == before
    assert again == "None", "the function is there a second time"


def test_a_watchdog_is_of_its_own_completion(scorer):
    assert answers(scorer, "dump 0.5", "sleep 1", "dump 1000", "pids")[1] == "None"


def test_rights_that_were_given_up_cost_a_fresh_worker(scorer, tmp_path):
    deeds = ["demote", "block"] + (["nobody", f"imprison {tmp_path}"] if os.getuid() == 0 else [])
    for deed in deeds:
        first, before, _, second, after = answers(scorer, "pids", "standing", deed, "pids", "standing")
        assert after == before, deed
        assert first != second, deed


def test_memory_that_is_kept_is_given_back_by_a_fresh_worker(scorer):
    first, second, third, fourth = answers(scorer, *[f"leak {MEMORY_LIMIT * 3 // 10}"] * 4)
    assert (first, third) == (second, fourth)
    assert first != third, "together three would not fit"


@pytest.mark.parametrize("deed", ["open 100", f"threads {MOST_THREADS * 2 // 3}"])
def test_files_and_threads_that_are_kept_are_given_back_by_a_fresh_worker(deed):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Scorer({"task": TASK}, num_workers=1, timeout=PATIENT) as scorer:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            first, second, third, fourth = answers(scorer, *[deed] * 4)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (first, third) == (second, fourth)
    assert first != third, "three times were too much"


def test_a_function_that_keeps_all_files_open_pays_for_it_alone():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Scorer({"task": TASK}, num_workers=1, timeout=PATIENT) as scorer:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            greedy, after = ask(scorer, "open 1000", "open 10")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert greedy.error.startswith("OSError: [Errno 24]")
    assert after.error is None


def test_a_function_that_returns_in_two_processes_has_one_answer(scorer):
    pid = answers(scorer, "pids")
    assert answers(scorer, "fork 0", "fork 0.05", *map(str, range(40))) == ["parent", "parent", *map(str, range(40))]
    assert answers(scorer, "pids") == pid


def test_a_parent_that_was_stopped_goes_on(scorer):
    failed = ask(scorer, "stop_parent", "exit 1")[1]  # a fresh process is needed
    assert failed.error == "worker exited with code 1"
    assert answers(scorer, "stop_parent", "after")[1] == "after"


def test_an_error_without_a_message(scorer):
    muted, after = ask(scorer, "mute", "pids")
    assert muted.error == "Mute, whose message raises KeyError"
    assert after.error is None


def test_a_score_that_came_while_this_process_was_stopped_counts(scorer, monkeypatch):
    answers(scorer, "pids")
    poll = Connection.poll
    monkeypatch.setattr(Connection, "poll", lambda self, timeout=0.0: poll(self, timeout) and timeout == 0)
    assert answers(scorer, "here") == ["here"]


@pytest.mark.parametrize(
    ("deed", "error"),
    [
        ("stop", "timeout after 2 s"),
        ("descriptors", ("worker exited with code 0", "worker killed, perhaps")),  # by itself, or found out of reach
        ("parent", "worker killed, perhaps"),
    ],
)
def test_it_costs_one_score(deed, error):
    with Scorer({"task": TASK}, num_workers=1, timeout=HASTY if deed == "stop" else PATIENT) as scorer:
        failed, after = ask(scorer, deed, "after")
    assert failed.error.startswith(error)
    assert (after.answer, after.error) == ("after", None)


def test_what_got_away_ends_with_the_run(scorer, tmp_path):
    file = tmp_path / "pid"
    ask(scorer, f"orphan {file}")
    orphan = int(file.read_text())
    os.kill(orphan, 0)  # it is there
    scorer.close()
    assert await_end(orphan)


def test_a_message_without_end_is_cut(scorer, caplog):
    (score,) = ask(scorer, "flood 10000000")
    assert len(score.error) == 500
    assert len(caplog.text) < 30_000


def test_more_open_files_than_are_allowed(monkeypatch):
    def none_left():
        raise OSError(24, os.strerror(24))

    with Scorer({"task": TASK}, num_workers=1, timeout=PATIENT) as scorer:
        ask(scorer, "exit 1")  # its process is started
        monkeypatch.setattr(socket, "socketpair", none_left)
        with pytest.raises(CannotRun, match=r"no further connection: Too many open files. Lower `rollout.num_workers`"):
            ask(scorer, "after")


def test_more_processes_than_are_allowed():
    message = r"no further process: Resource temporarily unavailable. Lower .*ulimit -u"
    with Scorer({"task": NoForks()}, num_workers=1, timeout=PATIENT) as scorer, pytest.raises(CannotRun, match=message):
        ask(scorer, "after")
