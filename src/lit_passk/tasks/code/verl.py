"""Tests as verl's rows hold them, or others in that form, as columns of the data set that publishes such tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.tasks.columns import from_json, shown


def published(ground_truth: Any) -> dict[str, Any]:
    r"""Columns that hold the same tests; those of the question are filled with what nobody reads.

    Known are what verl's own judges read (``{"inputs": [...], "outputs": [...]}``, with ``fn_name`` for calls, whose
    arguments are lists or a JSON value a line), lists of assertions (MBPP, AceCoder), lists of ``input`` and ``output``
    (LiveCodeBench, DeepCoder), and ``test`` with ``entry_point`` (HumanEval); or the JSON text of any of them.

    Raises:
        Refusal: If it is none of these.

    Example:
        >>> published('{"fn_name": "add", "inputs": ["1\\n2"], "outputs": ["3"]}')["input_output"]
        {'fn_name': 'add', 'inputs': [[1, 2]], 'outputs': [3]}

    """
    tests = from_json(ground_truth) if isinstance(ground_truth, str) else ground_truth
    if isinstance(tests, Mapping) and {"inputs", "outputs"} <= set(tests):
        return {"question": "-", "starter_code": "-", "input_output": _apps(tests)}
    if isinstance(tests, Mapping) and {"test", "entry_point"} <= set(tests):
        return {"prompt": tests.get("prompt") or "", "test": tests["test"], "entry_point": tests["entry_point"]}
    if isinstance(tests, list) and tests and all(isinstance(test, str) for test in tests):
        return {"text": "-", "test_list": tests}
    if (
        isinstance(tests, list)
        and tests
        and all(isinstance(t, Mapping) and {"input", "output"} <= set(t) for t in tests)
    ):
        return _live_code_bench(tests)
    raise Refusal(
        "its tests must be inputs and outputs, a list of assertions, a list of tests with input and output, or test "
        f"and entry_point; but they are {shown(ground_truth)}"
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


def _live_code_bench(tests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    about = tests[0].get("metadata") or {}
    about = json.loads(about) if isinstance(about, str) else about
    name = about.get("func_name") or about.get("fn_name") or tests[0].get("fn_name")
    return {"question_content": "-", "public_test_cases": json.dumps(tests), "metadata": {"func_name": name}}
