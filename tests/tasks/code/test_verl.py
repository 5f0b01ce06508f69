"""verl's rows of programs: the prompt is a chat, the tests are the ground truth, in the forms that are in use."""

from __future__ import annotations

import json

import pytest

from lit_passk.tasks.code import CodeTask
from lit_passk.tasks.code.forms import FUNCTION_INSTRUCTION, STDIO_INSTRUCTION
from lit_passk.tasks.code.rows import code_problem
from lit_passk.tasks.records import Record

CHAT = [{"role": "system", "content": "Write Python."}, {"role": "user", "content": "Add two numbers."}]
FUNCTION = "def add(a, b):\n    return a + b\n"
PROGRAM = "print(int(input()) + int(input()))\n"
CHECK = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(a=3, b=4) == 7\n"
TRUTHS = {
    "stdio": ({"inputs": ["1\n2\n", "3\n4"], "outputs": ["3\n", "7"]}, PROGRAM),
    "stdio in lists": ({"inputs": [["1", "2"]], "outputs": [["3"]], "fn_name": None}, PROGRAM),
    "calls": ({"fn_name": "add", "inputs": [[1, 2]], "outputs": [3]}, FUNCTION),
    "calls as lines": ({"fn_name": "add", "inputs": ["1\n2", "3\n4"], "outputs": ["3", "7"]}, FUNCTION),
    "assertions": (["assert add(1, 2) == 3", "assert add(3, 4) == 7"], FUNCTION),
    "tests": ([{"input": "1\n2", "output": "3", "testtype": "stdin"}], PROGRAM),
    "tests of calls": (
        [{"input": "1\n2", "output": "3", "testtype": "functional", "metadata": {"func_name": "add"}}],
        FUNCTION,
    ),
    "HumanEval": (
        {
            "test": "def check(f):\n    assert f(1, 2) == 3\n",
            "entry_point": "add",
            "prompt": FUNCTION[:14] + '\n    """Add."""\n',
        },
        FUNCTION,
    ),
    "Skywork-OR1": (
        {"import_prefix": "from typing import *\n", "test_code": CHECK, "entry_point": "Solution().add"},
        "class Solution:\n    def add(self, a: List[int], b):\n        return a + b\n",
    ),
    "code-r1, GURU": (
        {"functional": f"{CHECK}\n\ncheck(Solution().add)"},
        "class Solution:\n    def add(self, a, b):\n        return a + b\n",
    ),
    "code-r1, assertions": ({"functional": "assert add(1, 2) == 3\nassert add(3, 4) == 7"}, FUNCTION),
    "code-r1, pytest": (
        {"pytest": "from solution import add\n\ndef test_add():\n    assert add(1, 2) == 3\n"},
        FUNCTION,
    ),
}


def row(truth, as_text=True, **others):
    reward_model = {"style": "rule", "ground_truth": json.dumps(truth) if as_text else truth}
    extra_info = {"split": "train", "index": 0}
    return {"data_source": "taco", "prompt": CHAT, "ability": "code", "reward_model": reward_model} | {
        "extra_info": extra_info,
        **others,
    }


@pytest.mark.parametrize("as_text", [True, False], ids=["JSON text", "nested"])
@pytest.mark.parametrize("kind", TRUTHS)
@pytest.mark.filterwarnings("ignore")
def test_right_programs_pass_and_wrong_ones_fail(tmp_path, kind, as_text):
    truth, right = TRUTHS[kind]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row(truth, as_text)))
    task = CodeTask(str(path), unsafe_no_sandbox=True)
    assert task[0].prompt == CHAT, "verl's rows say how to answer"
    assert task[0].source == "taco"
    assert task[0].metadata["extra_info"] == {"split": "train", "index": 0}
    assert task.score(task[0], f"```python\n{right}```").correct
    assert not task.score(task[0], f"```python\n{right.replace('+', '-')}```").correct


def test_a_prompt_that_is_a_text_is_told_how_to_answer():
    problem, _ = code_problem(Record("a.jsonl line 1", row(TRUTHS["stdio"][0], prompt="Add.")), 0)
    assert problem.prompt == f"Add.\n\n{STDIO_INSTRUCTION}"


@pytest.mark.parametrize("truth", [None, "", "{}", '"42"', [], "assert", {"functional": 3}])
def test_what_holds_no_tests(truth):
    record = Record("a.jsonl line 3", row(truth, as_text=False))
    if truth is None or truth in ("", []):
        assert code_problem(record, 0) == "without tests", "left out and counted"
        return
    with pytest.raises(ValueError, match=r"a.jsonl line 3 is malformed: its tests must be .* but they are"):
        code_problem(record, 0)


def test_a_prefix_has_what_the_tests_need_of_nodes(tmp_path):
    prefix = "class ListNode:\n    def __init__(self, val=0, next=None):\n        self.val, self.next = val, next\n"
    truth = {"functional": "def check(f):\n    assert f(ListNode(1, ListNode(2))) == 3\n\ncheck(Solution().total)"}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row(truth, extra_info={"prefix": prefix})))
    task = CodeTask(str(path), unsafe_no_sandbox=True)
    loop = "class Solution:\n    def total(self, head: ListNode):\n        return head.val + head.next.val"
    assert task.score(task[0], f"```python\n{loop}\n```").correct
    assert not task.score(task[0], f"```python\n{loop} + 1\n```").correct


def test_skyrls_rows_are_verls_with_another_name():
    truth = {"inputs": ["1\n"], "outputs": ["1\n"]}
    skyrl = {"prompt": CHAT, "env_class": "lcb", "reward_spec": {"method": "rule", "ground_truth": json.dumps(truth)}}
    problem, _ = code_problem(Record("a.jsonl line 1", skyrl), 0)
    assert (problem.prompt, problem.answer) == (CHAT, code_problem(Record("here", row(truth)), 0)[0].answer)
    skyrl["reward_spec"] = {"method": "rule", "ground_truth": None}
    assert code_problem(Record("a.jsonl line 1", skyrl), 0) == "without tests"


def test_a_text_says_what_the_function_is_called():
    tests = json.dumps([{"input": "1\n2", "output": "3", "testtype": "functional", "metadata": {"func_name": "add"}}])
    starter = "class Solution:\n    def add(self, a, b):\n        "
    deep_coder = {"problem": "Sum up.", "tests": tests, "starter_code": starter}
    asked = {
        name: code_problem(Record("here", fields), 0)[0].prompt
        for name, fields in {
            "starter": deep_coder,
            "starter shown": {**deep_coder, "problem": f"Sum up.\n{starter}"},
            "name": {**deep_coder, "starter_code": ""},
            "assertions": {"problem": "Sum up.", "tests": json.dumps(["assert add(1, 2) == 3"])},
            "name shown": row(TRUTHS["calls"][0], prompt="Write `add`."),
            "word": row(TRUTHS["calls"][0], prompt="Find the address."),
        }.items()
    }
    assert asked == {
        "starter": f"Sum up.\n\n```python\n{starter.strip()}\n```\n\n{FUNCTION_INSTRUCTION}",
        "starter shown": f"Sum up.\n{starter}\n\n{FUNCTION_INSTRUCTION}",
        "name": f"Sum up.\n\nThe function must be called `add`.\n\n{FUNCTION_INSTRUCTION}",
        "assertions": f"Sum up.\n\nThe function must be called `add`.\n\n{FUNCTION_INSTRUCTION}",
        "word": f"Find the address.\n\nThe function must be called `add`.\n\n{FUNCTION_INSTRUCTION}",
        "name shown": f"Write `add`.\n\n{FUNCTION_INSTRUCTION}",
    }


def test_tests_that_call_a_function_need_its_name():
    tests = [{"input": "1\n2", "output": "3", "testtype": "functional"}]
    named, _ = code_problem(Record("here", row(tests, metadata={"func_name": "add"})), 0)
    assert json.loads(named.answer)["names"] == ["add"]
    with pytest.raises(ValueError, match=r"here is malformed: its tests call a function, but .*`metadata.func_name`"):
        code_problem(Record("here", row(tests)), 0)
    assert "call nothing" in code_problem(Record("here", row({"functional": "x = 1"})), 0)


def test_columns_may_be_dotted(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"task": {"text": "Add."}, "tests": {"asserts": ["assert add(1, 2) == 3"]}}))
    task = CodeTask(str(path), columns={"text": "task.text", "test_list": "tests.asserts"}, unsafe_no_sandbox=True)
    assert task[0].prompt.startswith("Add.")
    assert task.score(task[0], f"```python\n{FUNCTION}```").correct
    with pytest.raises(ValueError, match=r"has no column 'task.name' for `columns` \(text\). 'task' holds an object"):
        CodeTask(str(path), columns={"text": "task.name"}, unsafe_no_sandbox=True)
