"""Every published form of a row becomes the same kind of problem, and its own solution would pass it."""

from __future__ import annotations

import json

import pytest

from lit_passk.tasks.code.forms import FUNCTION_INSTRUCTION, STDIO_INSTRUCTION
from lit_passk.tasks.code.rows import code_problem
from lit_passk.tasks.records import Record


def problem_of(row, **kwargs):
    found = code_problem(Record("rows.jsonl line 7", row), 3, **kwargs)
    assert found is not None
    return found


def answer_of(row):
    return json.loads(problem_of(row)[0].answer)


HUMANEVAL = {
    "task_id": "HumanEval/999",
    "prompt": "def helper(x):\n    return x\n\n\ndef f(x):\n    '''Same.'''\n",
    "canonical_solution": "    return x\n",
    "test": "def check(candidate):\n    for i in range(3):\n        assert candidate(i) == i\n",
    "entry_point": "f",
}
MBPP = {
    "task_id": 11,
    "text": "Write a function to add two numbers.",
    "code": "def add(a, b):\n    return a + b",
    "test_list": ["assert add(1, 2) == 3", "assert add(2, 2) == 4"],
    "test_setup_code": "",
    "challenge_test_list": ["assert add(0, 0) == 0"],
}
APPS_STDIO = {
    "problem_id": 5,
    "question": "Echo.",
    "solutions": json.dumps(["print(input())", "print(input(), end='')"]),
    "input_output": json.dumps({"inputs": ["1\n", ["1", "2"]], "outputs": ["1\n", ["1", "2"]]}),
    "difficulty": "introductory",
    "starter_code": "",
}
APPS_FUNCTION = {
    "problem_id": 6,
    "question": "Sum.",
    "solutions": json.dumps(["class Solution:\n    def total(self, a, b):\n        return a + b"]),
    "input_output": json.dumps({"fn_name": "total", "inputs": [[1, 2], [[1], [2]]], "outputs": [3, [[1, 2]]]}),
    "difficulty": "interview",
    "starter_code": "class Solution:\n    def total(self, a, b):",
}
CODE_CONTESTS = {
    "name": "1_A. Theatre",
    "description": "Count the stones.",
    "public_tests": {"input": ["1"], "output": ["1"]},
    "private_tests": {"input": [], "output": []},
    "generated_tests": [{"input": "2", "output": "2"}],
    "solutions": {"language": [2, 3], "solution": ["int main() {}", "print(input())"]},
    "difficulty": 7,
    "input_file": "",
    "output_file": "",
}
NEUTRAL = {
    "id": "n-1",
    "problem": "Echo.",
    "tests": {
        "type": "stdio",
        "checker": "tokens_float_1e-6",
        "cases": [{"input": "1", "output": "1", "kind": "public"}],
    },
    "reference_solutions": ["print(input())"],
}


def test_humaneval():
    problem, solution = problem_of(HUMANEVAL)
    assert problem.id == "HumanEval/999"
    assert problem.prompt == HUMANEVAL["prompt"]
    assert solution == HUMANEVAL["prompt"] + HUMANEVAL["canonical_solution"]
    tests = answer_of(HUMANEVAL)
    assert tests["names"] == ["f"]
    assert tests["tests"].splitlines()[-1] == "check(f)"
    assert tests["before"] == ""  # its helper is not used


def test_helpers_of_the_prompt_are_the_tests_own():
    """A program must not choose what its results are compared with."""
    row = {**HUMANEVAL, "test": "def check(candidate):\n    assert helper(candidate(1)) == 1\n"}
    assert answer_of(row)["names"] == ["f"]
    assert answer_of(row)["before"] == HUMANEVAL["prompt"]


def test_mbpp():
    problem, solution = problem_of(MBPP)
    assert problem.id == "11"
    assert problem.prompt == (
        "Write a function to add two numbers.\nYour code should pass these tests:\n\n"
        "assert add(1, 2) == 3\nassert add(2, 2) == 4\n\n" + FUNCTION_INSTRUCTION
    )
    assert solution == MBPP["code"]
    tests = answer_of(MBPP)
    assert (tests["names"], tests["modules"], tests["before"]) == (["add"], [], "")
    assert "prompt" not in tests


@pytest.mark.parametrize(
    ("changes", "names", "modules"),
    [
        ({"test_list": ["assert sum(1, 2) == 3"]}, ["sum"], []),  # the name of a builtin
        ({"test_list": ["assert set(f([1])) == {1}"]}, ["f"], []),
        ({"test_list": ["assert math.isclose(f(1), 1.0)"]}, ["f"], ["math"]),
        ({"test_list": ["assert math.isclose(f(1), 1.0)"], "test_imports": ["import math"]}, ["f"], []),
        ({"test_list": ["assert f(root) == 1"], "test_setup_code": "root = Node(1)"}, ["Node", "f"], []),
        ({"test_list": ["assert f([Pair(1, 2)], x=3) == 1"]}, ["Pair", "f"], []),
        ({"test_list": ["assert all(f(x) == x for x in [1])"]}, ["f"], []),
        ({"test_list": ["assert (lambda y: f(y))(1) == 1"]}, ["f"], []),
    ],
)
def test_names_that_the_tests_take_from_the_program(changes, names, modules):
    tests = answer_of({**MBPP, **changes})
    assert (tests["names"], tests["modules"]) == (names, modules)


def test_sanitized_mbpp_calls_its_question_prompt():
    row = {key: value for key, value in MBPP.items() if key != "text"} | {"prompt": "Add.", "test_imports": []}
    assert problem_of(row)[0].prompt.startswith("Add.\nYour code")


def test_apps_programs():
    problem, solution = problem_of(APPS_STDIO)
    assert problem.id == "5"
    assert problem.prompt == f"Echo.\n\n{STDIO_INSTRUCTION}"
    assert problem.metadata == {"style": "stdio", "difficulty": "introductory"}
    assert solution == "print(input())"
    assert answer_of(APPS_STDIO)["cases"] == [{"input": "1\n", "output": "1\n"}, {"input": "1\n2", "output": "1\n2"}]


def test_apps_functions():
    tests = answer_of(APPS_FUNCTION)
    assert (tests["style"], tests["names"], tests["owner"]) == ("functional", ["total"], "Solution")
    assert tests["cases"] == [[[1, 2], [3]], [[[1], [2]], [[[1, 2]], [1, 2]]]]
    assert "```python\nclass Solution:" in problem_of(APPS_FUNCTION)[0].prompt


@pytest.mark.parametrize(("wanted", "text"), [(True, "True"), (3, "3"), (0.5, "0.5"), ([False, 2], "False\n2")])
def test_answers_that_are_no_text(wanted, text):
    row = {**APPS_STDIO, "input_output": json.dumps({"inputs": [wanted], "outputs": [wanted]})}
    assert answer_of(row)["cases"] == [{"input": text, "output": text}]
    neutral = {**NEUTRAL, "tests": {"type": "stdio", "cases": [{"input": wanted, "output": wanted}]}}
    assert answer_of(neutral)["cases"] == [{"input": text, "output": text}]


def test_code_contests():
    problem, solution = problem_of(CODE_CONTESTS)
    assert problem.id == "1_A. Theatre"
    assert solution == "print(input())"
    assert answer_of(CODE_CONTESTS)["cases"] == [{"input": "1", "output": "1"}, {"input": "2", "output": "2"}]


def test_the_neutral_form():
    tests = answer_of(NEUTRAL)
    assert tests["tolerance"] == [1e-6, 1e-6]
    assert tests["cases"] == [{"input": "1", "output": "1"}]
    exact = {**NEUTRAL, "tests": {**NEUTRAL["tests"], "checker": "tokens"}}
    assert answer_of(exact)["tolerance"] is None
    asserts = {"type": "assert", "entry_point": "f", "code": HUMANEVAL["test"], "call": "check(f)"}
    assert answer_of({"problem": HUMANEVAL["prompt"], "tests": asserts}) == answer_of(HUMANEVAL)


@pytest.mark.parametrize("instruction", ["", "Be quick."])
def test_the_instruction_can_be_chosen(instruction):
    prompt = problem_of(APPS_STDIO, instruction=instruction)[0].prompt
    assert prompt == ("Echo.\n\nBe quick." if instruction else "Echo.")


def test_a_row_without_an_id_is_named_by_its_position():
    assert problem_of({**NEUTRAL, "id": None})[0].id == "3"
    assert problem_of({**NEUTRAL, "id": float("nan")})[0].id == "3"
    assert problem_of({key: value for key, value in NEUTRAL.items() if key != "id"})[0].id == "3"


@pytest.mark.parametrize(
    "row",
    [
        {**APPS_STDIO, "input_output": ""},
        {**APPS_STDIO, "input_output": '{"inputs": [], "outputs": []}'},
        {**APPS_STDIO, "input_output": None},
        {**APPS_STDIO, "input_output": float("nan")},
        {**MBPP, "test_list": []},
        {**MBPP, "test_list": None},
        {**HUMANEVAL, "test": float("nan")},
        {**NEUTRAL, "tests": None},
        {**CODE_CONTESTS, **dict.fromkeys(("public_tests", "private_tests", "generated_tests"), float("nan"))},
        {**CODE_CONTESTS, "input_file": "input.txt"},
        {**CODE_CONTESTS, "public_tests": {"input": [], "output": []}, "generated_tests": None},
    ],
)
def test_what_cannot_be_scored_is_left_out(row):
    assert code_problem(Record("rows.jsonl line 7", row), 0) in {"without tests", "with input or output in files"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"question": "x", "answer": "y"},
            r"needs the columns of a code benchmark .* but has \['answer', 'question'\]",
        ),
        ({**APPS_STDIO, "input_output": "{"}, "is malformed: JSONDecodeError"),
        ({**APPS_STDIO, "input_output": '{"inputs": ["1"], "outputs": []}'}, "is malformed: ValueError"),
        ({**MBPP, "test_list": ["assert add(1"]}, "is malformed: SyntaxError"),
        ({**HUMANEVAL, "entry_point": 3}, "is malformed: TypeError"),
        ({**MBPP, "text": " "}, "needs the question in column 'text'"),
        ({**NEUTRAL, "tests": {"type": "video"}}, "has tests of type 'video'"),
        ({**NEUTRAL, "tests": {**NEUTRAL["tests"], "checker": "by eye"}}, "has the checker 'by eye'"),
        ({**NEUTRAL, "tests": {"type": "stdio"}}, "is malformed: KeyError: 'cases'"),
        ({**APPS_STDIO, "input_output": "[1]"}, "is malformed: AttributeError"),
        ({**APPS_STDIO, "question": "\ud83d"}, "holds half of a surrogate pair .*column 'question'"),
        ({**HUMANEVAL, "prompt": "def f():\n    '\ud83d'\n"}, "holds half of a surrogate pair .*column 'prompt'"),
        ({**MBPP, "test_list": ["assert f('\ud83d')"]}, "holds half of a surrogate pair .*column 'test_list'"),
        (
            {**NEUTRAL, "tests": {"type": "stdio", "cases": [{"input": "", "output": None}]}},
            "is malformed: TypeError: input and output must be text.* but got None",
        ),
    ],
)
def test_malformed_rows_are_refused_with_their_place(row, message):
    with pytest.raises(ValueError, match=f"rows.jsonl line 7 {message}"):
        code_problem(Record("rows.jsonl line 7", row), 0)
