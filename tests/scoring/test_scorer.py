"""Scoring in worker processes: nothing hangs, nothing is lost, nothing stays behind. Nothing here is a mock."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.scoring_tasks import (
    Counted,
    Grouped,
    GroupedInline,
    Inline,
    LooksAtTokens,
    LooksAtTokensInline,
    Obedient,
    Returning,
    ReturningInline,
)
from helpers.scripted_engine import ScriptedEngine
from helpers.waiting import await_end, running

from lit_passk.errors import Refusal
from lit_passk.rollout.sampling import sample_and_score
from lit_passk.scoring.scorer import Scorer
from lit_passk.scoring.worker import MEMORY_LIMIT
from lit_passk.tasks.scores import score_of
from lit_passk.types import Completion, CompletionText, Problem, PromptBatch, Sampling, Score

pytestmark = pytest.mark.seconds

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


NO_SCORE = [
    ("None", "must return Score(reward=..., correct=...), but returned None for problem 'the-problem'."),
    ("0.5", "must return Score(reward=..., correct=...), but returned 0.5"),
    ("True", "must return Score(reward=..., correct=...), but returned True"),
    ("(1.0, True)", "must return Score(reward=..., correct=...), but returned (1.0, True)"),
    ("torch.tensor(1.0)", "must return Score(reward=..., correct=...), but returned tensor(1.)"),
    ("Score", "must return Score(reward=..., correct=...), but returned <class"),
    ("Score(reward=1j, correct=False)", "whose reward is a number, and Score(error=...) for a completion that"),
    ("Score(reward=nan, correct=None)", "whose correct is True or False, but returned correct=None"),
    ("Score(reward=torch.ones(2), correct=False)", "but returned reward=tensor([1., 1.])"),
    ("Score(reward='1', correct=False)", "but returned reward='1'"),
    ("Score(reward=None, correct=False)", "but returned reward=None"),
    ("Score(reward=1.0, correct=None)", "whose correct is True or False, but returned correct=None"),
    ("Score(reward=1.0, correct=0.5)", "but returned correct=0.5"),
    ("Score(reward=1.0, correct='no')", "but returned correct='no'"),
    ("Score(reward=1.0, correct=numpy.array([True, False]))", "but returned correct=array("),
    (
        "Score(reward=1.0, correct=True, answer={'x': 1})",
        "whose answer is a text, a number or None, but returned answer=",
    ),
    ("Score(reward=1.0, correct=True, answer=torch.ones(3))", "but returned answer=tensor("),
    ("Score(reward=1.0, correct=True, answer=b'1')", "but returned answer=b'1'"),
    ("Score(reward=1.0, correct=True, parts=None)", "whose parts is numbers by name, but returned parts=None"),
    ("Score(reward=1.0, correct=True, parts={'a': '1'})", "but returned parts={'a': '1'}"),
    ("Score(reward=1.0, correct=True, parts={'a': 1.0, 2: 1.0})", "but returned parts={'a': 1.0, 2: 1.0}"),
]


@pytest.mark.parametrize(("returned", "message"), NO_SCORE)
def test_what_is_no_score_is_refused_with_the_task_named(returned, message):
    with pytest.raises(Refusal) as refusal:
        score_of(Returning(), PROBLEM, returned)
    assert str(refusal.value).startswith("`Returning.score` must return ")
    assert message in str(refusal.value)


def test_what_is_no_score_stops_the_run_with_workers_and_without():
    tasks = {"workers": Returning(), "inline": ReturningInline()}
    with Scorer(tasks, num_workers=1, timeout=PATIENT) as scorer:
        future = scorer.submit("workers", PROBLEM, "Score(reward='1', correct=False)")
        with pytest.raises(Refusal, match=r"`Returning.score` must return a Score whose reward is a number"):
            future.result()
        with pytest.raises(Refusal, match=r"`ReturningInline.score` must return .*but returned None"):
            scorer.submit("inline", PROBLEM, "None")
        assert ask(scorer, "Score(reward=1, correct=1)", name="workers") == [Score(reward=1.0, correct=True)]


@pytest.mark.parametrize(
    ("returned", "what"),
    [
        ("Score(reward=nan, correct=True, answer=7)", "its reward is nan"),
        ("Score(reward=-inf, correct=True, answer=7)", "its reward is -inf"),
        ("Score(reward=10**400, correct=True, answer=7)", "its reward is inf"),
        ("Score(reward=-3.5e38, correct=True, answer=7)", "its reward is -inf"),
        ("Score(reward=numpy.float32('nan'), correct=True, answer=7)", "its reward is nan"),
        ("Score(reward=torch.tensor(inf), correct=True, answer=7)", "its reward is inf"),
        ("Score(reward=Decimal('sNaN'), correct=True, answer=7)", "its reward is nan"),
        ("Score(reward=1.0, correct=True, answer=7, parts={'a': 1, 'b': nan})", "the part 'b' of its reward is nan"),
    ],
)
def test_a_reward_that_is_not_finite_leaves_its_completion_without_a_score(returned, what):
    error = f"`Returning.score`: {what}, which is not finite in float32"
    assert score_of(Returning(), PROBLEM, returned) == Score(reward=0.0, correct=False, answer="7", error=error)


@pytest.mark.parametrize(
    ("returned", "score"),
    [
        ("Score(reward=1, correct=1)", Score(reward=1.0, correct=True)),
        ("Score(reward=True, correct=0.0)", Score(reward=1.0, correct=False)),
        ("Score(reward=numpy.float32(0.5), correct=numpy.bool_(True))", Score(reward=0.5, correct=True)),
        ("Score(reward=numpy.array(0.5), correct=numpy.int64(0))", Score(reward=0.5, correct=False)),
        ("Score(reward=torch.tensor(0.5), correct=torch.tensor(True))", Score(reward=0.5, correct=True)),
        ("Score(reward=torch.ones(1, requires_grad=True), correct=torch.ones(1) > 0)", Score(reward=1.0, correct=True)),
        ("Score(reward=torch.tensor(0.5).bfloat16(), correct=False)", Score(reward=0.5, correct=False)),
        ("Score(reward=0.0, correct=False, answer=42)", Score(reward=0.0, correct=False, answer="42")),
        ("Score(reward=0.0, correct=False, answer=2.0)", Score(reward=0.0, correct=False, answer="2")),
        ("Score(reward=0.0, correct=False, answer=2.5)", Score(reward=0.0, correct=False, answer="2.5")),
        ("Score(reward=0.0, correct=False, answer=True)", Score(reward=0.0, correct=False, answer="True")),
        ("Score(reward=0.0, correct=False, answer=numpy.int64(7))", Score(reward=0.0, correct=False, answer="7")),
        ("Score(reward=0.0, correct=False, answer=numpy.str_('x'))", Score(reward=0.0, correct=False, answer="x")),
        ("Score(reward=0.0, correct=False, answer=torch.tensor(7))", Score(reward=0.0, correct=False, answer="7")),
        ("Score(reward=0.0, correct=False, answer=nan)", Score(reward=0.0, correct=False, answer=None)),
        ("Score(reward=0.0, correct=False, answer=inf)", Score(reward=0.0, correct=False, answer="inf")),
        (
            "Score(reward=1, correct=1, parts={'a': numpy.float32(0.5), 'b': True})",
            Score(reward=1.0, correct=True, parts={"a": 0.5, "b": 1.0}),
        ),
        ("Score(reward=None, correct=None, error='hung')", Score(reward=0.0, correct=False, error="hung")),
        ("Score(reward=nan, correct=False, error=ValueError('x'))", Score(reward=0.0, correct=False, error="x")),
    ],
)
def test_what_means_the_same_is_taken(returned, score):
    found = score_of(Returning(), PROBLEM, returned)
    assert found == score
    for name in ("reward", "correct", "answer", "error"):
        assert type(getattr(found, name)) is type(getattr(score, name))


@pytest.mark.parametrize("task", [LooksAtTokens(), LooksAtTokensInline()])
def test_a_task_sees_the_tokens_of_a_completion(task):
    texts = [
        CompletionText.of(Completion(token_ids=ids, logprobs=[0.0] * len(ids), finish_reason=reason), text)
        for text, ids, reason in (("a b", [3, 4, 1], "stop"), ("cut", [5] * 9, "length"), ("", [], "stop"))
    ]
    with Scorer({"task": task}, num_workers=1, timeout=PATIENT) as scorer:
        assert ask(scorer, *texts) == [
            Score(reward=-3.0, correct=True, answer="a b 3 False [3, 4, 1]"),
            Score(reward=-9.0, correct=False, answer=f"cut 9 True {[5] * 9}"),
            Score(reward=0.0, correct=True, answer=" 0 False []"),
        ]


def test_a_task_sees_the_tokens_that_were_sampled():
    engine = ScriptedEngine(lambda prompt, seed: ([*range(5, 5 + seed), 1] + [7] * 9, [-1.0] * (seed + 10)))
    engine.start("", None, [1])
    batch = PromptBatch(problems=[PROBLEM], prompt_ids=[[2]], indices=[0], positions=[0], name="task")
    with Scorer({"task": LooksAtTokens()}, num_workers=1, timeout=PATIENT) as scorer:
        sampled = sample_and_score(engine, scorer, batch, Sampling(n=3, max_tokens=3), [1], lambda ids: f"t{len(ids)}")
        ((_, group),) = list(sampled)
    answers = ["t2 2 False [5, 1]", "t3 3 False [5, 6, 1]", "t3 3 True [5, 6, 7]"]
    assert [score.answer for score in group.scores] == answers
    assert {type(text) for text in group.texts} == {str}


def ask_group(scorer: Scorer, *completions: str, answer: str = "") -> list[Score]:
    return scorer.submit_group("task", Problem(id="the-problem", prompt="", answer=answer), completions).result()


@pytest.mark.parametrize("task", [Grouped(), GroupedInline()])
def test_a_group_is_gone_over_once_all_its_scores_are_there(task):
    with Scorer({"task": task}, num_workers=2, timeout=PATIENT) as scorer:
        groups = [ask_group(scorer, *"abc"[:n]) for n in range(4)]
        assert scorer.submit("task", PROBLEM, "alone").result().parts == {}, "nothing but its own score"
    for n, group in enumerate(groups):
        assert group == [Score(reward=n, correct=True, answer=x, parts={"shown": n}) for x in "abc"[:n]]


def test_the_step_over_a_group_leaves_out_what_could_not_be_scored():
    with Scorer({"task": Grouped()}, num_workers=2, timeout=PATIENT) as scorer:
        a, failed, b = ask_group(scorer, "a", "raise boom", "b")
        lost = ask_group(scorer, "exit 3", "exit 3", answer="exit 4")
    assert [(score.answer, score.reward) for score in (a, b)] == [("a", 2.0), ("b", 2.0)]
    assert failed == Score(reward=0.0, correct=False, error="KeyError: 'boom'")
    assert [score.error for score in lost] == ["worker exited with code 3"] * 2, "there was nothing to go over"


@pytest.mark.parametrize(
    ("deed", "error"),
    [("raise boom", "KeyError: 'boom'"), ("exit 3", "worker exited with code 3"), ("sleep 1000", "timeout after 2 s")],
)
def test_a_step_that_fails_leaves_the_group_unscored_and_the_rest_goes_on(deed, error):
    with Scorer({"task": Grouped()}, num_workers=1, timeout=HASTY / 2) as scorer:
        failed = ask_group(scorer, "a", "raise other", "b", answer=deed)  # two completions: twice the time limit
        assert ask_group(scorer, "after")[0].answer == "after"
    unscored = Score(reward=0.0, correct=False, error=error)
    other = replace(unscored, error="KeyError: 'other'")
    assert failed == [replace(unscored, answer="a"), other, replace(unscored, answer="b")]


@pytest.mark.parametrize("task", [Grouped(), GroupedInline()])
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("return", "a list with one score for each of the 2 completions it was given, but returned 'no score'"),
        ("only 1", "a list with one score for each of the 2 completions it was given, but returned [Score("),
    ],
)
def test_a_step_that_returns_something_else_stops_the_run(task, answer, message):
    with Scorer({"task": task}, num_workers=1, timeout=PATIENT) as scorer, pytest.raises(Refusal) as refusal:
        ask_group(scorer, "a", "b", answer=answer)
    assert str(refusal.value).startswith(f"`{type(task).__name__}.score_group` must return {message}")


def test_closing_leaves_no_group_waiting():
    with Scorer({"task": Grouped()}, num_workers=2, timeout=PATIENT) as scorer:
        pids(scorer)
        groups = [scorer.submit_group("task", PROBLEM, ["a", "sleep 1000"]) for _ in range(3)]
    for group in groups:
        assert [score.error for score in group.result(timeout=0)][1] == "the scorer was closed"


@pytest.mark.parametrize(("given", "text"), [(42, "42"), (True, "True"), (2.5, "2.5"), (np.int64(7), "7"), ("x", "x")])
def test_numbers_in_problems_become_text(given, text):
    problem = Problem(id=given, prompt="?", answer=given)
    assert (problem.id, problem.answer) == (text, text)
    assert type(problem.id) is type(problem.answer) is str


@pytest.mark.parametrize("given", [None, [1], {}, b"1"])
def test_other_answers_of_problems_are_refused(given):
    with pytest.raises(Refusal, match=r"Problem 'a' needs a text as its answer, but got"):
        Problem(id="a", prompt="?", answer=given)


def test_a_text_with_tokens_is_a_text():
    text = CompletionText("x = 1", num_tokens=3, truncated=True)
    copied = pickle.loads(pickle.dumps(text))
    assert (copied, copied.num_tokens, copied.truncated, copied.token_ids) == ("x = 1", 3, True, None)
    assert type(text.text) is type(text.strip()) is str
    assert json.dumps([text]) == '["x = 1"]'


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


def test_files_named_like_pythons_own_in_the_folder_one_works_in(tmp_path, monkeypatch):
    for name in ("json", "types", "re", "logging"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not the one of Python')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep)  # an empty entry is that folder, too
    with Scorer({"task": Obedient()}, num_workers=1, timeout=60) as scorer:
        assert scorer.submit("task", Obedient()[0], "fine").result().error is None


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
