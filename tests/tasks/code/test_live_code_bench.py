"""LiveCodeBench as it is published: packed tests, windows of release, its prompt, comparison and imports."""

from __future__ import annotations

import base64
import json
import os
import pickle
import warnings
import zlib

import pytest
from helpers.sandbox import require_sandbox

from lit_passk.errors import Refusal
from lit_passk.tasks.code import CodeTask, live_code_bench
from lit_passk.tasks.code.imports import imports_for
from lit_passk.tasks.code.live_code_bench import unpacked
from lit_passk.tasks.code.outputs import same_lines
from lit_passk.tasks.code.sandbox.sandbox import Limits

require_sandbox()
FAST = Limits(seconds=2, total_seconds=20)


def packed(value) -> str:
    return pickled(pickle.dumps(value))


def pickled(data):
    return base64.b64encode(zlib.compress(data)).decode()


def row(number=0, private=(), public=(("3\n1 2 3", "6\n"),), func_name=None, starter="", **fields):
    kind = "functional" if func_name else "stdin"
    public, private = (
        [{"input": given, "output": wanted, "testtype": kind} for given, wanted in pairs] for pairs in (public, private)
    )
    return {
        "question_title": "Sum",
        "question_content": f"Add the numbers ({number}).",
        "platform": "atcoder",
        "question_id": f"abc{number}_a",
        "contest_id": "abc",
        "contest_date": "2025-02-08T00:00:00",
        "starter_code": starter,
        "difficulty": "easy",
        "public_test_cases": json.dumps(public),
        "private_test_cases": packed(json.dumps(private)),
        "metadata": json.dumps({"func_name": func_name} if func_name else {}),
        **fields,
    }


def task_of(tmp_path, *rows, **kwargs) -> CodeTask:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return CodeTask(str(path), limits=FAST, **kwargs)


def block(code):
    return f"Here it is.\n```python\n{code}\n```"


def test_public_and_private_stdin_tests_are_run(tmp_path):
    task = task_of(tmp_path, row(private=[("1\n5", "5"), ("2\n-1 1", "0")]))
    assert [problem.id for problem in task.problems] == ["abc0_a"]
    right = block("input()\nprint(sum(map(int, input().split())))")
    assert task.verdict(task[0], right).passed
    assert (
        task.verdict(task[0], block("n = int(input())\nprint(6 if n == 3 else 5)")).reason == "test 2: line 0 is wrong"
    )
    # Imports and recursion depth of its checker are there, as in the programs that were recorded with it.
    deep = "def f(n): return 0 if n == 0 else 1 + f(n - 1)\nf(5000)\ninput()\n"
    deep += "print(reduce(add, map(int, stdin.read().split())))"
    assert task.verdict(task[0], block(deep)).passed


def test_functional_tests_have_an_argument_a_line(tmp_path):
    starter = "class Solution:\n    def scale(self, nums: List[int], by: int) -> List[int]:\n        "
    one = row(public=[("[1, 2]\n3", "[3, 6]")], private=[("[]\n0", "[]")], func_name="scale", starter=starter)
    task = task_of(tmp_path, one)
    assert starter in task[0].prompt
    solution = starter + "return [by * n for n in nums]"
    assert task.verdict(task[0], block(solution)).passed
    assert not task.verdict(task[0], block(solution.replace("by *", "3 *").replace("nums]", "nums] or [0]"))).passed


def test_the_prompt_is_that_of_its_runner(tmp_path):
    prompt = task_of(tmp_path, row())[0].prompt
    assert prompt.startswith("### Question:\nAdd the numbers (0).\n\n### Format: Read the inputs from stdin")
    assert prompt.endswith(
        "```python\n# YOUR CODE HERE\n```\n\n### Answer: (use the provided format with backticks)\n\n"
    )
    assert task_of(tmp_path, row(), instruction="In Python.")[0].prompt.endswith("(0).\n\nIn Python.")


def test_windows_of_release_hold_both_ends(tmp_path):
    days = ["2024-07-31", "2024-08-01T00:00:00", "2024-12-15T10:30:00", "2025-02-01", "2025-02-02"]
    rows = [row(number, contest_date=day) for number, day in enumerate(days)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = task_of(tmp_path, *rows, start_date="2024-08-01", end_date="2025-02-01", expected_rows=3)
    assert [problem.id for problem in task.problems] == ["abc1_a", "abc2_a", "abc3_a"]
    with pytest.warns(UserWarning, match=r"\(difficulty=easy, end_date=2024-08-01\) has 2 rows, .* has 279"):
        task_of(tmp_path, *rows, end_date="2024-08-01", difficulty="easy", expected_rows=279)
    with pytest.raises(
        Refusal, match="no problem between start_date=2026-01-01 and end_date=None; its own are from 2024-07-31"
    ):
        task_of(tmp_path, *rows, start_date="2026-01-01")
    with pytest.raises(Refusal, match="`start_date` must be a day such as 2025-02-01, but is 'v6'"):
        task_of(tmp_path, *rows, start_date="v6")
    with pytest.raises(Refusal, match="line 1, `contest_date`, must be a day"):
        task_of(tmp_path, row(contest_date=None), end_date="2025-01-01")


class Hostile:
    def __reduce__(self):
        return os.system, ("touch /tmp/owned",)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (packed(Hostile()), "must be a pickled text, but the pickle says STACK_GLOBAL"),
        (packed(["a", "list"]), "must be a pickled text, but the pickle says EMPTY_LIST"),
        (packed(b"[]"), "must be a pickled text, but the pickle says"),
        (pickled(b"cos\nsystem\n(S'true'\ntR."), "the pickle says GLOBAL 'os system'"),
        (pickled(b"(S'true'\nios\nsystem\n."), "the pickle says MARK"),
        (pickled(b"\x80\x02\x82\x01."), "the pickle says EXT1 1"),
        (pickled(b"Pname\n."), "the pickle says PERSID 'name'"),
        (pickled(b"\x8c\x01a}b."), "the pickle says EMPTY_DICT"),
        (pickled(b"\x80\x05\x96" + bytes(5) + b"\1\0\0."), "neither JSON nor base64"),  # a petabyte
        (pickled(b"\x80\x04\x8d" + b"\xff" * 8 + b"."), "neither JSON nor base64"),
        (pickled(b"\x8c\x02[]0."), "the pickle says POP"),
        (pickled(b"\x8c\x02[]\x8c\x02[]."), "must be one pickled text, but the pickle holds 2"),
        (packed(""), "are no JSON"),
        (packed("[" * 100_000), "are no JSON"),
        (packed("[" + "9" * 5000 + "]"), "are no JSON"),
        ("[1,", "are no JSON"),
        (base64.b64encode(zlib.compress(bytes(1 << 20))).decode(), "neither JSON nor base64"),
        (base64.b64encode(b"no zlib").decode(), "neither JSON nor base64"),
        ("no base64!", "neither JSON nor base64"),
        (base64.b64encode(zlib.compress(b"no pickle")).decode(), "neither JSON nor base64"),
    ],
)
def test_a_pickle_holds_a_text_or_is_refused(value, reason, tmp_path):
    with pytest.raises(Refusal, match=reason):
        unpacked(value)
    with pytest.raises(Refusal, match=rf"rows.jsonl line 1 is malformed: its private tests .*{reason}"):
        task_of(tmp_path, row(private_test_cases=value))


def test_tests_that_grow_without_bound_are_refused(monkeypatch):
    monkeypatch.setattr(live_code_bench, "_MOST_BYTES", 1 << 20)
    assert unpacked(packed(json.dumps(["x" * 1000]))) == ["x" * 1000]
    with pytest.raises(Refusal, match="more than 1 MiB when they are unpacked"):
        unpacked(packed(json.dumps(["x" * (1 << 20)])))


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_of_pickle_is_read(protocol):
    tests = [{"input": "ä\n" * 300, "output": "\u2028", "testtype": "stdin"}]
    text = base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests, ensure_ascii=False), protocol))).decode()
    assert unpacked(text) == tests
    assert unpacked(json.dumps(tests)) == tests


def test_long_tests_are_packed_into_the_metadata(tmp_path):
    many = [(f"1\n{number}", str(number)) for number in range(2000)]
    task = task_of(tmp_path, row(private=many[:3]), row(1, private=many))
    short, long = task.problems
    assert json.loads(short.answer)["cases"][1] == {"input": "1\n0", "output": "0"}
    assert json.loads(long.answer).keys() == {"style", "sha256"}
    assert task_of(tmp_path, row(1, private=many[:-1]))[0].answer != long.answer
    wrong = block("input()\nn = sum(map(int, input().split()))\nprint(n if n != 40 else 41)")
    assert task.score(short, wrong).correct
    assert task.verdict(long, wrong).reason == "test 41: line 0 is wrong"
    assert task.score(long, wrong).error is None


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        ("YES\n", "YES", True),
        ("yes", "YES", False),
        ("1.0 2", "1 2.000", True),
        ("1.0000001", "1", False),
        ("1\n2\n", "1 2", False),
        ("  a  \n b", "a\nb\n", True),
        ("a  b", "a b", False),
        ("50000000000000001", "50000000000000000", False),
        ("", "", True),
        ("sNaN", "1", False),
        ("1 x", "1 y", False),
    ],
)
def test_lines_are_equal_or_equal_numbers(printed, expected, same):
    assert same_lines(printed, expected).passed is same


def test_its_imports_are_those_of_a_star():
    lines = imports_for(["print(gcd(4, 6), copy.copy(x), pow(2, 3), datetime.now(), Counter())"], [], "livecodebench")
    assert lines.split("\n") == [
        "from collections import Counter",
        "import copy",
        "import datetime",
        "from math import gcd",
        "import sys",
        "sys.setrecursionlimit(50000)",
    ]
