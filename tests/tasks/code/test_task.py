"""Programs are scored right: reference solutions, recorded completions, every style of test."""

from __future__ import annotations

import json
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.sandbox import DATA, require_sandbox

from lit_passk.errors import Refusal
from lit_passk.scoring.scorer import Scorer
from lit_passk.tasks.code import CodeTask
from lit_passk.tasks.code.sandbox.sandbox import Limits

pytestmark = pytest.mark.seconds

require_sandbox()

CODE = DATA / "code"
REFERENCES = sorted(path.name for path in CODE.glob("*.jsonl")) or ["missing"]
FAST = Limits(seconds=2, total_seconds=20)


def rows_of(path):
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return [json.loads(line) for line in path.read_text().splitlines()]


def task_of(tmp_path, *rows, **kwargs):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return CodeTask(str(path), **{"limits": FAST, **kwargs})


def verdicts(task, pairs):
    """Verdicts on (problem id, completion), two at a time."""
    problems = {problem.id: problem for problem in task.problems}
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda pair: task.verdict(problems[pair[0]], pair[1]), pairs))


def check_references(name, part):
    rows = rows_of(CODE / name)
    task = CodeTask(str(CODE / name), limits=Limits(seconds=10, total_seconds=300))
    assert [problem.id for problem in task.problems] == [row["id"] for row in rows]
    pairs = [(row["id"], f"```python\n{program}\n```") for row in rows[part] for program in row["reference_solutions"]]
    failed = [
        (pair[0], verdict) for pair, verdict in zip(pairs, verdicts(task, pairs), strict=True) if not verdict.passed
    ]
    assert pairs
    assert failed == []


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_solutions_pass(name):
    check_references(name, slice(0, None, 6))


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCES)
def test_all_reference_solutions_pass(name):
    check_references(name, slice(None))


def check_recorded(part):
    rows = rows_of(DATA / "recorded/humaneval_codegen16b_first10_82.jsonl")
    task = CodeTask(str(CODE / "humaneval.jsonl"))
    pairs = [(row["id"], completion) for row in rows for completion in row["completions"][part]]
    recorded = [bool(correct) for row in rows for correct in row["correct"][part]]
    assert {True, False} == set(recorded)
    assert [verdict.passed for verdict in verdicts(task, pairs)] == recorded


def test_recorded_completions_get_their_recorded_verdict():
    check_recorded(slice(0, 2))


@pytest.mark.slow
def test_all_recorded_completions_get_their_recorded_verdict():
    check_recorded(slice(None))


def test_humaneval_reference_bodies_continue_the_prompt():
    """The same solutions as bodies alone, the way a base model writes them."""
    rows = rows_of(CODE / "humaneval.jsonl")[::8]
    task = CodeTask(str(CODE / "humaneval.jsonl"))
    pairs = [(row["id"], row["reference_solutions"][0].removeprefix(row["problem"])) for row in rows]
    assert all(verdict.passed for verdict in verdicts(task, pairs))


def assert_row(tests, **columns):
    return {"task_id": 1, "text": "Do it.", "test_list": tests, **columns}


def functional(cases, entry_point="f"):
    cases = [{"args": args, "expected": expected} for args, expected in cases]
    return {"problem": "Do it.", "tests": {"type": "functional", "entry_point": entry_point, "cases": cases}}


SETUP = {"test_setup_code": "root = Node(1)\nroot.left = Node(2)"}
NODE = "class Node:\n    def __init__(self, data):\n        self.data, self.left = data, None\n"
SPECIAL = """
class A:
    def __len__(self): return 2
    def __bool__(self): return False
    def __getitem__(self, i): return 5
    def __str__(self): return 's'
f = A
"""
RAISES = "try:\n    f(0)\n    assert False\nexcept ZeroDivisionError:\n    pass"
COUNTER = "from collections import Counter\n"
COUNTS_CALLS = "n = 0\ndef f(x):\n    global n\n    n += 1\n    return n"


@pytest.mark.parametrize(
    ("row", "program", "passed"),
    [
        (assert_row(["assert f(1) == {2: [3]}"]), "def f(x): return {x + 1: [3]}", True),
        (assert_row(["assert f(1) == (1, {2}, 3j, b'4', None)"]), "def f(x): return (x, {2}, 3j, b'4', None)", True),
        (assert_row(["assert f([1, 2]) == 3"]), COUNTER + "def f(x): return Counter(x).total() + 1", True),
        (assert_row(["assert f('aab') == {'a': 2, 'b': 1}"]), COUNTER + "f = Counter", True),
        (assert_row(["assert list(f(3)) == [0, 1, 2]"]), "def f(n):\n    yield from range(n)", True),
        (assert_row(["assert list(f(3)) == [0, 1, 2]"]), "f = range", True),
        (assert_row(["assert f(3) == [0, 1, 2]"]), "def f(n): yield from range(n)", False),
        (assert_row(["assert f(2) is None"]), "def f(n): pass", True),
        (assert_row(["assert f(2) == True"]), "def f(n): return 1", True),
        (assert_row(["assert f(['a', 1], int) == [1]"]), "def f(v, t): return [x for x in v if type(x) is t]", True),
        (assert_row(["assert sum(10, 15) == 25"]), "def sum(a, b): return a + b", True),
        (assert_row(["assert sum(10, 15) == 25"]), "def sum(a, b): return a", False),
        (assert_row(["assert math.isclose(f(2), 1.414, rel_tol=1e-3)"]), "import math\nf = math.sqrt", True),
        (assert_row(["assert f(root) == 3"], **SETUP), NODE + "def f(r): return r.data + r.left.data", True),
        (assert_row(["assert f(root) == 3"], **SETUP), "def f(r): return 3", False),
        (assert_row(["assert f([Node(1), Node(2)], 2).data == 2"]), NODE + "def f(a, n): return a[n - 1]", True),
        (assert_row(["assert len(f()) == 2 and f()[1] == 5 and str(f()) == 's' and not f()"]), SPECIAL, True),
        (assert_row([RAISES]), "def f(x): return 1 / x", True),
        (assert_row([RAISES]), "def f(x): return 1", False),
        (assert_row(["a = [2, 1]", "assert f(a) == [1, 2]", "assert a == [2, 1]"]), "def f(a): return sorted(a)", True),
        (assert_row(["assert f(1) == 1", "assert f(1) == 2"]), COUNTS_CALLS, True),
        (assert_row(["assert f(1) == 1"]), "def g(x): return 1", False),
        (assert_row(["assert f(1) == 1"]), "", False),
        (assert_row(["assert f(1) == 1"]), "def f(x): return 1\nprint('noise')\nassert f(1) == 2", False),
        (assert_row(["assert f(1) == 1"]), "import missing\ndef f(x): return 1", False),
        (assert_row(["assert f(5000) > 0"]), "import math\nf = math.factorial", True),
        (functional([([1, [2]], [1, 2]), ([0, []], [0])]), "def f(a, b): return (a, *b)", True),
        (functional([([1], {"1": 0.3})]), "def f(a): return {a: 0.1 + 0.2}", True),
        (functional([([1], 1), ([2], 2)]), "def f(a): return 1", False),
        (functional([([3], 9)]), "class Solution:\n    def f(self, a): return a * a", True),
        (functional([([3], 9)]), "def f(a): return '9'", False),
        (functional([([3], 9)], "sorted"), "def sorted(a): return a * a", True),
    ],
)  # fmt: skip
def test_verdicts(tmp_path, row, program, passed):
    task = task_of(tmp_path, row)
    score = task.score(task[0], f"Here:\n```python\n{program}\n```\n")
    assert score.error is None, score
    assert score.correct is passed
    assert score.reward == float(passed)
    assert score.answer == program + "\n"


def test_tests_that_cannot_be_run_are_an_error_and_no_wrong_answer(tmp_path):
    """Whatever the program, so it is never its fault."""
    task = task_of(tmp_path, assert_row(["assert f(lambda x: x) == 1"]))
    error = task.score(task[0], "def f(x): return 1").error
    assert error is not None
    assert error.startswith("sandbox: ")
    with pytest.raises(Refusal, match=r"whose tests import missing \(`limits.packages: \[missing\]` gives it\)"):
        task_of(tmp_path, assert_row(["assert missing.close(f(1), 1)"], test_imports=["import missing"]))


def test_a_published_apps_function_may_be_wrapped_in_a_list(tmp_path):
    tests = json.dumps({"fn_name": "f", "inputs": [[1]], "outputs": [[2]]})
    task = task_of(tmp_path, {"question": "Add one.", "input_output": tests})
    assert task.score(task[0], "def f(x): return x + 1").correct
    assert task.score(task[0], "def f(x): return [x + 1]").correct
    assert not task.score(task[0], "def f(x): return x").correct


def apps_function(program, annotation="List[int]", **tests):
    tests = json.dumps({"fn_name": "f", "inputs": [[[1, 2]]], "outputs": [3], **tests})
    return {"question": "Sum.", "starter_code": f"def f(self, a: {annotation}):", "input_output": tests}, program


@pytest.mark.parametrize(
    ("row", "program", "passed"),
    [
        (*apps_function("class Solution:\n    def f(self, a: List[int]) -> int:\n        return sum(a)"), True),
        (*apps_function("class Solution:\n    def f(self, a: Optional[List[int]]):\n        return sum(a)"), True),
        (*apps_function("def f(a): return math.floor(sqrt(9)) if Counter(a) else deque()"), True),
        (*apps_function("def f(a):\n    heapify(a)\n    return heappop(a) + heapq.heappop(a)"), True),
        (*apps_function("import re as math\ndef f(a): return math.gcd(3, 3)"), False),  # its own import wins
        (*apps_function("def f(a): return np.sum(a)"), False),  # numpy has to be allowed
        (*apps_function("def f(a): return string.digits"), False),
        (*apps_function("def f(a): return len(a) == 2", outputs=[True]), True),
        (*apps_function("def f(a): return not a", outputs=[True]), False),
        (
            {"question": "?", "input_output": '{"inputs": ["9"], "outputs": [3]}'},
            "print(int(sqrt(int(input()))))",
            True,
        ),
        ({"question": "?", "input_output": '{"inputs": ["9"], "outputs": [true]}'}, "print(input() == '9')", True),
        (assert_row(["assert f(9) == 3"]), "def f(x): return math.isqrt(x)", False),  # MBPP's checker imports nothing
    ],
)
def test_programs_for_apps_get_the_imports_of_its_checker(tmp_path, row, program, passed):
    task = task_of(tmp_path, row)
    assert task.score(task[0], f"```python\n{program}\n```").correct is passed


def test_programs_for_apps_get_numpy_where_it_is_allowed(tmp_path):
    row, program = apps_function("def f(a): return np.sum(a)")
    task = task_of(tmp_path, row, limits=Limits(packages=("numpy",)))
    assert task.score(task[0], program).correct


@pytest.mark.parametrize(
    "program",
    [
        "print(open('/dev/stdin').read())",
        "import sys\nsys.stdin = open('/dev/stdin')\nprint(input())",
        "from pathlib import Path\nprint(Path('/dev/stdin').read_text())",
        "print(open(b'/dev/fd/0', 'rb').read().decode())",
        "import os\nprint(os.read(os.open('/proc/self/fd/0', os.O_RDONLY), 99).decode())",
        "import fileinput\nprint(*fileinput.input('/dev/stdin'))",
        "open('/dev/stdout', 'w').write(input())",
        "open('/dev/stderr', 'w').write('noise')\nprint(open(0).read())",
    ],
)
def test_standard_streams_can_be_opened_by_their_paths(tmp_path, program):
    cases = [{"input": f"{n}\n", "output": f"{n}\n"} for n in range(3)]
    task = task_of(tmp_path, {"problem": "Echo.", "tests": {"type": "stdio", "cases": cases}})
    assert task.verdict(task[0], program).passed


def test_answers_in_the_styles_that_were_found(tmp_path):
    for case in rows_of(DATA / "verify/code_answer_styles_2026_11.jsonl"):
        task = task_of(tmp_path, case["row"])
        assert task.score(task[0], case["completion"]).correct is case["passes"], case["kind"]


def test_a_data_set_without_any_test_is_refused(tmp_path):
    with pytest.raises(Refusal, match=r"No problem of .* can be scored: 1 without tests"):
        task_of(tmp_path, {"question": "?", "input_output": None})


def test_output_tolerance_is_the_rows(tmp_path):
    cases = [{"input": "", "output": "0.333333333 YES"}]
    for checker, passed in (("tokens", False), ("tokens_float_1e-6", True)):
        task = task_of(tmp_path, {"problem": "?", "tests": {"type": "stdio", "checker": checker, "cases": cases}})
        assert task.score(task[0], "print(0.3333333, 'yes')").correct is passed


def test_scores_in_worker_processes_as_here(tmp_path):
    task = task_of(tmp_path, functional([([x], x * x) for x in range(5)]))
    programs = ["def f(x): return x * x", "def f(x): return x", "import os; os._exit(0)", "while True: pass"]
    with Scorer({"code": task}, num_workers=2, timeout=0.1) as scorer:
        scores = [scorer.submit("code", task[0], program) for program in programs]
        assert [(score.result().correct, score.result().error) for score in scores] == [
            (True, None),
            (False, None),
            (False, None),
            (False, None),  # out of CPU time is a verdict, the scorer's limit is not
        ]
    assert pickle.loads(pickle.dumps(task)).problems == task.problems


def test_demonstrations_pass(tmp_path):
    row = functional([([3], 9)]) | {"reference_solutions": ["def f(x): return x * x\n"]}
    task = task_of(tmp_path, row, {**functional([([3], 9)]), "id": "no solution"})
    assert task.demonstration(0) == "```python\ndef f(x): return x * x\n```"
    assert task.score(task[0], task.demonstration(0)).correct
    with pytest.raises(ValueError, match="Problem 'no solution' has no reference solution"):
        task.demonstration(1)


def test_problems_of_one_difficulty(tmp_path):
    rows = [functional([([3], 9)]) | {"id": str(i), "difficulty": d} for i, d in enumerate(["easy", "hard", "easy"])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = task_of(tmp_path, *rows, difficulty="easy", expected_rows=2)
    assert [task[i].id for i in range(len(task))] == ["0", "2"]
    with pytest.warns(UserWarning, match=r"\(difficulty=easy\) has 2 rows, but the published data set has 1000"):
        task_of(tmp_path, *rows, difficulty="easy", expected_rows=1000)
    with pytest.raises(ValueError, match="has no problem of difficulty='medium', but of easy, hard"):
        task_of(tmp_path, *rows, difficulty="medium")


def test_other_counts_and_rows_without_tests_are_said(tmp_path):
    row = functional([([3], 9)])
    with pytest.warns(UserWarning, match="has 1 rows, but the published data set has 164"):
        task_of(tmp_path, row, expected_rows=164)
    with pytest.warns(UserWarning, match=r"1 problems of .* cannot be scored and are left out"):
        task = task_of(tmp_path, row, {"question": "?", "input_output": ""})
    assert len(task) == 1


def test_columns_by_other_names(tmp_path):
    row = functional([([3], 9)])
    renamed = {"the_tests": row["tests"], "the_problem": row["problem"]}
    task = task_of(tmp_path, renamed, columns={"tests": "the_tests", "problem": "the_problem"})
    assert task.score(task[0], "def f(x): return x * x").correct
    with pytest.raises(ValueError, match="line 1 has no column 'missing'"):
        task_of(tmp_path, renamed, columns={"tests": "missing"})


def test_two_problems_of_one_name_are_refused(tmp_path):
    row = functional([([3], 9)]) | {"id": "a"}
    with pytest.raises(ValueError, match=r"Two problems of .* have the id 'a'"):
        task_of(tmp_path, row, row)


def test_past_the_end(tmp_path):
    with pytest.raises(IndexError):
        task_of(tmp_path, functional([([3], 9)]))[1]
