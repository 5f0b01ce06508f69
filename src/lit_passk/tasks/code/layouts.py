"""Which kind of row a row is, by its columns, and what reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.tasks.chats import read_prompt
from lit_passk.tasks.code import rows_of_functions as functions
from lit_passk.tasks.code import rows_of_programs as programs
from lit_passk.tasks.code import verl
from lit_passk.tasks.code.forms import (
    FUNCTION_INSTRUCTION,
    NO_TESTS,
    STDIO_INSTRUCTION,
    Row,
    function_tests,
    parsed,
    starter_shown,
    stdio_tests,
)
from lit_passk.tasks.columns import NoColumnError, is_missing, look_up
from lit_passk.tasks.records import Record
from lit_passk.types import Prompt


def _neutral(record: Record) -> Row:
    """``tests`` says its own type; see ``shared`` collections: problem, tests, reference_solutions."""
    fields, tests = record.fields, parsed(record.fields["tests"])
    if not isinstance(tests, Mapping) or "type" not in tests:  # DeepCoder
        return _elsewhere(record, record.text("problem", "the question"), tests)
    solutions = list(fields.get("reference_solutions") or [])
    question = record.text("problem", "the question")
    if tests["type"] == "assert":
        return functions.continued(question, tests["entry_point"], tests["code"], tests.get("call"), solutions)
    if tests["type"] == "stdio":
        tolerance = _tolerance(tests.get("checker", "tokens"), record.where)
        return question, STDIO_INSTRUCTION, stdio_tests(tests["cases"], tolerance), solutions
    if tests["type"] == "functional":
        cases = [(case["args"], [case["expected"]]) for case in tests["cases"]]
        normal = function_tests(tests["entry_point"], tests.get("in_class"), cases)
        return question + starter_shown(fields, tests["entry_point"]), FUNCTION_INSTRUCTION, normal, solutions
    raise Refusal(f"{record.where} has tests of type {tests['type']!r}; known are stdio, functional and assert.")


def _tolerance(checker: str, where: str) -> list[float] | None:
    if checker == "tokens":
        return None
    if match := re.fullmatch(r"tokens_float_(\d+(?:\.\d+)?(?:e-?\d+)?)", checker):
        return [float(match[1])] * 2
    raise Refusal(f"{where} has the checker {checker!r}; known are tokens and tokens_float_TOLERANCE.")


def _verl(record: Record) -> Row:
    """A chat says itself how to answer; the tests are those of a data set that publishes them in the same form."""
    question = read_prompt(record, "prompt")
    _, truth = record.find(("reward_model.ground_truth", "reward_spec.ground_truth"), "the tests")
    return (question, "", NO_TESTS, []) if is_missing(truth) else _elsewhere(record, question, truth)


def _ground_truth(record: Record) -> Row:
    """Tulu 3 and Olmo 3 for RLVR: a chat, and tests of any form."""
    found = parsed(record.fields["ground_truth"])
    while isinstance(found, list) and len(found) == 1 and isinstance(parsed(found[0]), list):  # a list of its JSON text
        found = parsed(found[0])
    return _elsewhere(record, read_prompt(record, "messages"), found)


def _verification_info(record: Record) -> Row:
    """SYNTHETIC-1, INTELLECT-2 and open-r1: ``{"test_cases": [{"input": ..., "output": ..., "fn_name": ...}]}``."""
    question = read_prompt(record, ("prompt", "problem"))
    _, cases = record.find("verification_info.test_cases", "the tests")
    return _elsewhere(record, question, cases)


def _in_columns(record: Record) -> Row:
    """rStar-Coder: inputs and outputs are columns of their own, as is the name of a function where one is called."""
    fields, name = record.fields, record.fields.get("func_name")
    question = record.text("question", "the question")
    tests = {"inputs": parsed(fields["inputs"]), "outputs": parsed(fields["outputs"]), "fn_name": name}
    return _elsewhere(record, question, tests)


def _test_cases(record: Record) -> Row:
    """OpenThoughts: tests of any form in a column of their own."""
    return _elsewhere(record, record.text("problem", "the question"), record.fields["test_cases"])


def _elsewhere(record: Record, question: Prompt, found: Any) -> Row:
    """A question whose tests are those of another data set, as text or objects."""
    fields = verl.published(found, _said(record, "metadata.func_name"), _said(record, "extra_info.prefix"))
    reader = next(reader for columns, _, reader in READERS if all(column in fields for column in columns))
    _, instruction, tests, _ = reader(Record(record.where, fields))
    if not isinstance(question, str):
        return question, "", tests, []
    if isinstance(tests, dict) and tests["style"] != "stdio":
        return _with_name(question, record.fields, tests["names"]), FUNCTION_INSTRUCTION, tests, []
    return question, instruction, tests, []


def _with_name(question: str, fields: Mapping[str, Any], names: list[str]) -> str:
    """A question that says what the function is called, which its tests alone may do."""
    starter = str(fields.get("starter_code") or "").strip()
    if len(names) != 1 or (starter in question if starter else re.search(rf"\b{re.escape(names[0])}\b", question)):
        return question
    return question + starter_shown(fields, names[0])


def _said(record: Record, column: str) -> str | None:
    try:
        value = look_up(record.fields, column)
    except NoColumnError:
        return None
    return value if isinstance(value, str) and value.strip() else None


READERS: tuple[tuple[tuple[str, ...], str | None, Callable[[Record], Row]], ...] = (
    (("prompt", "reward_model"), None, _verl),
    (("prompt", "reward_spec"), None, _verl),
    (("prompt", "verification_info"), None, _verification_info),
    (("problem", "verification_info"), None, _verification_info),
    (("messages", "ground_truth"), "ground_truth", _ground_truth),
    (("tests", "problem"), "tests", _neutral),
    (("problem_description", "test", "entry_point"), "test", functions.leet_code),
    (("test_list",), "test_list", functions.mbpp),
    (("instruct_prompt", "test", "entry_point"), None, functions.big_code_bench),
    (("prompt", "test", "entry_point"), "test", functions.humaneval),
    (("description", "public_tests"), None, programs.code_contests),
    (("question_content", "public_test_cases"), None, programs.live_code_bench),
    (("input_output",), "input_output", programs.apps),
    (("description", "official_tests"), None, programs.codeforces),
    (("prompt", "official_tests"), None, programs.codeforces),
    (("question", "test", "solution"), "test", functions.kod_code),
    (("question", "test_cases"), "test_cases", functions.ace_code),
    (("question", "inputs", "outputs"), "inputs", _in_columns),
    (("question", "functional", "prefix"), "functional", functions.functional),
    (("problem", "test_cases"), "test_cases", _test_cases),
)
"""Columns that tell a kind, the column that holds its tests where it is a single one, and what reads it."""
