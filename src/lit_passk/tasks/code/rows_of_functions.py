"""Rows whose tests call functions or classes: HumanEval, MBPP, AceCode, KodCode, LeetCodeDataset, code-r1, ..."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.tasks.code import kod_code as pytest_tests
from lit_passk.tasks.code.forms import (
    FUNCTION_INSTRUCTION,
    NO_TESTS,
    STDIO_INSTRUCTION,
    Row,
    assert_tests,
    parsed,
    starter_shown,
    stdio_tests,
)
from lit_passk.tasks.records import Record

_NODES = re.compile(r"\b(?:TreeNode|ListNode|Node)\b")


def humaneval(record: Record) -> Row:
    """HumanEval and HumanEval+: the question is the beginning of the function."""
    prompt, test, entry_point = (_text(record.fields, name) for name in ("prompt", "test", "entry_point"))
    solution = record.fields.get("canonical_solution")
    solutions = [] if solution is None else [prompt + solution]
    return continued(prompt, entry_point, test, f"check({entry_point})", solutions)


def continued(prompt: str, entry_point: str, code: str, call: str | None, solutions: list[str]) -> Row:
    """Tests of a function whose beginning is the question; helpers defined there are the tests' own, too."""
    source = f"{code}\n{call or ''}\n"
    tests = assert_tests(source, prompt, [entry_point])
    return prompt, "", {**tests, "prompt": prompt, "entry_point": entry_point}, solutions


def _text(fields: Mapping[str, Any], name: str) -> str:
    if not isinstance(fields[name], str):
        raise TypeError(f"column {name!r} must hold a text, but holds {fields[name]!r}")
    return fields[name]


def mbpp(record: Record) -> Row:
    """MBPP, whose question shows the tests, and MBPP+, which has more of them in one text."""
    fields = record.fields
    asserts = [fields["test"]] if fields.get("test") else list(fields["test_list"])
    question = record.text(("text", "prompt"), "the question")
    source = "\n".join([fields.get("test_setup_code") or "", *asserts])
    before = "\n".join(fields.get("test_imports") or [])
    solutions = [fields["code"]] if fields.get("code") else []
    shown = f"{question}\nYour code should pass these tests:\n\n" + "\n".join(fields["test_list"])
    return shown, FUNCTION_INSTRUCTION, assert_tests(source, before, []) if asserts else NO_TESTS, solutions


def ace_code(record: Record) -> Row:
    """AceCode: assertions that the question does not show."""
    asserts = parsed(record.fields["test_cases"])
    return record.text("question", "the question"), FUNCTION_INSTRUCTION, assert_tests("\n".join(asserts), "", []), []


def kod_code(record: Record) -> Row:
    """KodCode: functions for pytest, or inputs and outputs."""
    fields = record.fields
    question = record.text("question", "the question")
    solutions = [fields["solution"]] if fields.get("solution") else []
    about = parsed(fields.get("test_info")) or []
    declared = [one["function_declaration"] for one in about if one.get("function_declaration")]
    if streams := pytest_tests.streams(fields["test"]):
        return question, STDIO_INSTRUCTION, stdio_tests(streams, None), solutions
    if declared and fields.get("style") != "complete":
        question += "\n\n```python\n" + "\n".join(declared) + "\n```"
    return question, FUNCTION_INSTRUCTION, pytest_tests.assertions(fields["test"]), solutions


def leet_code(record: Record) -> Row:
    """LeetCodeDataset: the prompt is what the checker imports, and the entry point a method, ``Solution().twoSum``.

    Nodes of lists and trees are made by functions of the prompt, for the tests; what is handed to the program is built
    again there, of the classes of the prompt, which it gets too.
    """
    fields = record.fields
    name = fields["entry_point"].rpartition(".")[2]
    question = record.text("problem_description", "the question") + starter_shown(fields, name)
    before, nodes = "", {}
    if _NODES.search(str(fields.get("starter_code"))):
        before = fields["prompt"]
        classes = [node for node in ast.parse(before).body if isinstance(node, ast.ClassDef)]
        nodes = {node.name: ast.unparse(node) for node in classes}
        if not nodes:
            return question, FUNCTION_INSTRUCTION, "with nodes of a class that the row does not define", []
    tests = assert_tests(f"{fields['test']}\ncheck({name})\n", before, [name])
    return question, FUNCTION_INSTRUCTION, {**tests, "nodes": nodes, "imports": "livecodebench"}, [fields["completion"]]


def functional(record: Record) -> Row:
    """code-r1, GURU, Skywork-OR1: code that follows the program, and a prefix with what LeetCode gives to programs."""
    source, methods = _without_solution(_text(record.fields, "functional"))
    before = record.fields["prefix"] or ""
    tests = assert_tests(source, before, methods)
    classes = ast.parse(tests["before"]).body
    nodes = {node.name: ast.unparse(node) for node in classes if isinstance(node, ast.ClassDef)}
    found: dict[str, Any] | str = {**tests, "nodes": nodes, "imports": "livecodebench"}
    if not tests["names"]:
        found = "whose tests call nothing of the program"
    return record.text("question", "the question"), FUNCTION_INSTRUCTION, found, []


def _without_solution(source: str) -> tuple[str, list[str]]:
    """``check(Solution().add)`` as ``check(add)``, which finds methods of ``Solution`` too; and the methods' names."""
    tree, methods = ast.parse(source), dict[str, None]()

    class ByName(ast.NodeTransformer):
        def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
            self.generic_visit(node)
            if ast.unparse(node.value) != "Solution()":
                return node
            methods[node.attr] = None
            return ast.Name(node.attr, node.ctx)

    return ast.unparse(ByName().visit(tree)) + "\n", list(methods)


def big_code_bench(record: Record) -> Row:
    """Refused: its tests have to run in the program's own process."""
    raise Refusal(
        f"{record.where} is a row of BigCodeBench, whose tests patch modules and inspect figures, frames and files in "
        "the program's own process, where a program could answer for them: CodeTask judges from another process. Use "
        "BigCodeBench's own evaluation, or leave these rows out."
    )
