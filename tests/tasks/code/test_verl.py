"""verl's rows of programs: the prompt is a chat, the tests are the ground truth, in the forms that are in use."""

from __future__ import annotations

import json

import pytest

from lit_passk.tasks.code import CodeTask
from lit_passk.tasks.code.forms import STDIO_INSTRUCTION
from lit_passk.tasks.code.rows import code_problem
from lit_passk.tasks.records import Record

CHAT = [{"role": "system", "content": "Write Python."}, {"role": "user", "content": "Add two numbers."}]
FUNCTION = "def add(a, b):\n    return a + b\n"
PROGRAM = "print(int(input()) + int(input()))\n"
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


@pytest.mark.parametrize("truth", [None, "", "{}", '"42"', [], "assert", {"functional": "..."}])
def test_what_holds_no_tests(truth):
    record = Record("a.jsonl line 3", row(truth, as_text=False))
    if truth is None or truth in ("", []):
        assert code_problem(record, 0) == "without tests", "left out and counted"
        return
    with pytest.raises(ValueError, match=r"a.jsonl line 3 is malformed: its tests must be .* but they are"):
        code_problem(record, 0)


def test_columns_may_be_dotted(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"task": {"text": "Add."}, "tests": {"asserts": ["assert add(1, 2) == 3"]}}))
    task = CodeTask(str(path), columns={"text": "task.text", "test_list": "tests.asserts"}, unsafe_no_sandbox=True)
    assert task[0].prompt.startswith("Add.")
    assert task.score(task[0], f"```python\n{FUNCTION}```").correct
    with pytest.raises(ValueError, match=r"has no column 'task.name' for `columns` \(text\). 'task' holds an object"):
        CodeTask(str(path), columns={"text": "task.name"}, unsafe_no_sandbox=True)
