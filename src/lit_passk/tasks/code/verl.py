"""Tests as verl's rows hold them, or others in that form, as columns of the data set that publishes such tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.tasks.columns import from_json, shown

_CALLS = {"functional", "function_call"}  # of LiveCodeBench's ``testtype``, and of PRIME's ``type``


def published(ground_truth: Any, func_name: str | None = None, prefix: str | None = None) -> dict[str, Any]:
    r"""Columns that hold the same tests; those of the question are filled with what nobody reads.

    Known are what verl's own judges read (``{"inputs": [...], "outputs": [...]}``, with ``fn_name`` for calls, whose
    arguments are lists or a JSON value a line), lists of assertions (MBPP, AceCoder), lists of ``input`` and ``output``
    (LiveCodeBench, DeepCoder), ``test`` with ``entry_point`` (HumanEval), ``test_code`` with ``import_prefix`` and
    ``entry_point`` (Skywork-OR1), ``functional`` or ``pytest``, code that follows the program (code-r1, GURU); or the
    JSON text of any of them.

    Args:
        ground_truth: The tests.
        func_name: The function that they call, where the row says it in another column.
        prefix: Code that goes before the program, likewise.

    Raises:
        Refusal: If it is none of these, or calls a function without a name.

    Example:
        >>> published('{"fn_name": "add", "inputs": ["1\\n2"], "outputs": ["3"]}')["input_output"]
        {'fn_name': 'add', 'inputs': [[1, 2]], 'outputs': [3]}

    """
    tests = from_json(ground_truth) if isinstance(ground_truth, str) else ground_truth
    if isinstance(tests, Mapping) and {"inputs", "outputs"} <= set(tests):
        return {"question": "-", "starter_code": "-", "input_output": _apps(tests)}
    if isinstance(tests, Mapping) and {"test", "entry_point"} <= set(tests):
        return {"prompt": tests.get("prompt") or "", "test": tests["test"], "entry_point": tests["entry_point"]}
    if isinstance(tests, Mapping) and {"import_prefix", "test_code", "entry_point"} <= set(tests):
        calls = f"{tests['test_code']}\ncheck({tests['entry_point']})\n"
        return {"question": "-", "functional": calls, "prefix": tests["import_prefix"]}
    if isinstance(tests, Mapping) and isinstance(tests.get("functional"), str):
        return {"question": "-", "functional": tests["functional"], "prefix": prefix or ""}
    if isinstance(tests, Mapping) and isinstance(tests.get("pytest"), str):
        return {"question": "-", "test": tests["pytest"], "solution": ""}
    if isinstance(tests, list) and tests and all(isinstance(test, str) for test in tests):
        return {"text": "-", "test_list": tests}
    if (
        isinstance(tests, list)
        and tests
        and all(isinstance(t, Mapping) and {"input", "output"} <= set(t) for t in tests)
    ):
        return _live_code_bench(tests, func_name)
    raise Refusal(
        "its tests must be inputs and outputs, a list of assertions, a list of tests with input and output, test "
        "and entry_point, test_code with import_prefix and entry_point, functional or pytest; but they are "
        f"{shown(ground_truth)}"
    )


def _apps(tests: Mapping[str, Any]) -> dict[str, Any]:
    inputs, outputs = tests["inputs"], tests["outputs"]
    if not tests.get("fn_name"):
        return {"inputs": inputs, "outputs": outputs}
    as_text = [isinstance(given, str) for given in inputs]  # then its value is JSON, too
    return {
        "fn_name": tests["fn_name"],
        "inputs": [_values(given) if text else given for given, text in zip(inputs, as_text, strict=True)],
        "outputs": [json.loads(wanted) if text else wanted for wanted, text in zip(outputs, as_text, strict=True)],
    }


def _values(lines: str) -> list[Any]:
    return [json.loads(line) for line in lines.split("\n")]


def _live_code_bench(tests: Sequence[Mapping[str, Any]], func_name: str | None) -> dict[str, Any]:
    about = tests[0].get("metadata") or {}
    about = json.loads(about) if isinstance(about, str) else about
    name = about.get("func_name") or about.get("fn_name") or tests[0].get("fn_name") or func_name
    if not name and _CALLS & {tests[0].get("testtype"), tests[0].get("type")}:
        raise Refusal("its tests call a function, but neither they nor `metadata.func_name` say which")
    return {"question_content": "-", "public_test_cases": json.dumps(tests), "metadata": {"func_name": name}}
