"""Rows of data sets whose tests need more than values: nodes of trees, pytest, checkers, packages."""

from __future__ import annotations

import json
import warnings

import pytest

from lit_passk.errors import Refusal
from lit_passk.tasks.code import CodeTask

NODES = """
from typing import *
from collections import deque

class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next

def list_node(values):
    head = None
    for value in reversed(values):
        head = ListNode(value, head)
    return head

def is_same_list(one, other):
    while one is not None and other is not None:
        if one.val != other.val:
            return False
        one, other = one.next, other.next
    return one is None and other is None

class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val = val
        self.left = left
        self.right = right

def tree_node(values):
    if not values:
        return None
    root = TreeNode(values[0])
    waiting, rest = deque([root]), iter(values[1:])
    for left in rest:
        node, right = waiting.popleft(), next(rest, None)
        node.left = None if left is None else TreeNode(left)
        node.right = None if right is None else TreeNode(right)
        waiting.extend(child for child in (node.left, node.right) if child)
    return root
"""
REVERSED = {
    "task_id": "reversed",
    "problem_description": "Reverse a list.",
    "starter_code": "class Solution:\n    def turn(self, head: Optional[ListNode]) -> Optional[ListNode]:\n        ",
    "prompt": NODES,
    "completion": "class Solution:\n    def turn(self, head):\n        new = None\n        while head:\n"
    "            head.next, new, head = new, head, head.next\n        return new\n",
    "entry_point": "Solution().turn",
    "test": "def check(candidate):\n"
    "    assert is_same_list(candidate(head = list_node([1, 2, 3])), list_node([3, 2, 1]))\n"
    "    assert is_same_list(candidate(head = list_node([])), list_node([]))\n",
}
DEPTH = {
    **REVERSED,
    "task_id": "depth",
    "starter_code": "class Solution:\n    def depth(self, roots: List[Optional[TreeNode]]) -> int:\n        ",
    "completion": "class Solution:\n    def depth(self, roots):\n        def f(r):\n"
    "            return 1 + max(f(r.left), f(r.right)) if isinstance(r, TreeNode) else 0\n"
    "        return max(map(f, roots))\n",
    "entry_point": "Solution().depth",
    "test": "def check(candidate):\n"
    "    assert candidate(roots = [tree_node([1]), tree_node([3, 9, 20, None, None, 15])]) == 3\n",
}
KOD_CODE = {
    "style": "instruct",
    "question_id": "Algorithm_1",
    "question": "Divide.",
    "solution": "def ratio(a, b):\n    if b == 0:\n        raise ValueError('no zero')\n    return a / b\n",
    "test": "from solution import ratio\nimport pytest\n\ndef test_two():\n    assert ratio(4, 2) == 2\n\n"
    "def test_zero():\n    with pytest.raises(ValueError, match='zero') as error:\n        ratio(1, 0)\n"
    "    assert str(error.value) == 'no zero'\n\n"
    "class TestMore:\n    def test_half(self):\n        assert ratio(1, 2) == 0.5\n",
    "test_info": [{"function_name": "ratio", "function_declaration": "def ratio(a, b):"}],
}
STREAMS = {**KOD_CODE, "question_id": "2", "test": json.dumps({"stdin": ["4 2"], "stdout": ["2"]})}
CODEFORCES = {
    "id": "1/A",
    "description": "Echo.",
    "input_format": "A word.",
    "output_format": "The word.",
    "interaction_format": None,
    "note": None,
    "examples": [{"input": "a", "output": "a"}],
    "official_tests": [{"input": "a", "output": "a"}, {"input": "b", "output": "b"}],
    "input_mode": "stdio",
    "generated_checker": None,
}
MBPP_PLUS = {
    "task_id": 2,
    "code": "def same(a, b):\n    return sorted(set(a) & set(b))",
    "prompt": "Write a function to find the shared elements.",
    "test_imports": [],
    "test_list": ["assert same([1], [1]) == [1]"],
    "test": "import numpy as np\ndef assertion(out, exp):\n    assert np.allclose(out, exp)\n\n"
    "assertion(same([3, 4], [4]), [4])\n",
}
ACE_CODE = {"id": "a", "question": "Double.", "test_cases": ["assert double(1) == 2", "assert double(2) == 4"]}
R_STAR = {
    "question_id": "s",
    "question": "Sum up.",
    "inputs": '["1\\n2", "3\\n4"]',
    "outputs": '["3", "7"]',
    "func_name": "",
}


def load(tmp_path, *rows, **arguments):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return CodeTask(str(path), unsafe_no_sandbox=True, **arguments)


def passes(task, index, program):
    return task.verdict(task[index], f"```python\n{program}\n```").passed


def test_nodes_of_lists_and_trees(tmp_path):
    task = load(tmp_path, REVERSED, DEPTH)
    assert [task.verdict(task[index], task.demonstration(index)).passed for index in (0, 1)] == [True, True]
    for wrong in ("return head", "return None", "return [3, 2, 1]", "head.next = head; return head"):
        assert not passes(task, 0, f"class Solution:\n    def turn(self, head):\n        {wrong}")
    assert passes(task, 0, "def turn(head: Optional[ListNode]) -> ListNode:\n    new = None\n    while head:\n"
                           "        new, head = ListNode(head.val, new), head.next\n    return new")  # fmt: skip
    assert not passes(task, 1, "class Solution:\n    def depth(self, roots):\n        return len(roots)")


def test_kod_code(tmp_path):
    task = load(tmp_path, KOD_CODE, STREAMS)
    assert task[0].prompt.startswith("Divide.\n\n```python\ndef ratio(a, b):\n```\n")
    assert task.verdict(task[0], task.demonstration(0)).passed
    for wrong in ("return a / b if b else 0", "return a // b", "raise ValueError('zero')"):
        assert not passes(task, 0, f"def ratio(a, b):\n    {wrong}")
    assert passes(task, 1, "a, b = map(int, input().split())\nprint(a // b)")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**CODEFORCES, "input_mode": "file"}, "1 with input or output in files"),
        ({**CODEFORCES, "generated_checker": "print(1)"}, "1 with several right outputs, which only"),
        ({**CODEFORCES, "prompt": "Echo in C++.", "language": "cpp"}, "1 that ask for another language than Python"),
        ({**CODEFORCES, "interaction_format": "Ask."}, "1 that talk with an interactor"),
        ({**CODEFORCES, "official_tests": []}, "1 without tests"),
        (MBPP_PLUS, r"1 whose tests import numpy \(`limits.packages: \[numpy\]` gives it\)"),
        ({**KOD_CODE, "test": KOD_CODE["test"] + "import pandas"}, "1 whose tests handle objects of pandas"),
        ({**KOD_CODE, "test": KOD_CODE["test"].replace("raises(", "warns(")}, "1 whose tests use pytest.warns"),
        ({**KOD_CODE, "test": KOD_CODE["test"].replace("ValueError", "ratio")}, "1 whose tests ask for a class of the"),
        ({**KOD_CODE, "test": KOD_CODE["test"].replace("two()", "two(tmp_path)")}, "1 whose tests have parameters"),
        ({**REVERSED, "prompt": "from typing import *"}, "1 with nodes of a class that the row does not define"),
    ],
)
def test_what_cannot_be_judged_is_left_out_with_the_reason(tmp_path, row, reason):
    with pytest.warns(UserWarning, match=rf"cannot be scored and are left out: {reason}"):
        assert len(load(tmp_path, CODEFORCES | {"id": "kept"}, row)) == 1
    with pytest.raises(Refusal, match=rf"No problem of .* can be scored: {reason}"):
        load(tmp_path, row)


def test_big_code_bench_is_refused_by_name(tmp_path):
    row = {"task_id": "BigCodeBench/0", "instruct_prompt": "q", "complete_prompt": "q", "test": "t", "entry_point": "f"}
    with pytest.raises(Refusal, match=r"rows.jsonl line 1 is a row of BigCodeBench, whose tests .* own process"):
        load(tmp_path, row)


def test_codeforces_ace_code_and_r_star_coder(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = load(tmp_path, CODEFORCES, ACE_CODE, R_STAR)
    assert task[0].prompt.startswith("Echo.\n\nInput\nA word.\n\nOutput\nThe word.\n\nExample input\na\nExample output")
    assert "assert" not in task[1].prompt
    right = ["print(input())", "def double(x):\n    return 2 * x", "print(int(input()) + int(input()))"]
    wrong = ["print('a')", "def double(x):\n    return 2", "print(3)"]
    for programs, verdict in ((right, True), (wrong, False)):
        assert [passes(task, index, program) for index, program in enumerate(programs)] == [verdict] * 3


def test_the_tests_of_mbpp_plus_are_its_own(tmp_path):
    of_the_library = "import math\ndef assertion(out, exp):\n    assert math.isclose(*out, *exp)\n\n"
    task = load(tmp_path, {**MBPP_PLUS, "test": of_the_library + "assertion(same([3, 4], [4]), [4])\n"})
    assert passes(task, 0, MBPP_PLUS["code"])
    assert not passes(task, 0, "def same(a, b):\n    return [1]")
