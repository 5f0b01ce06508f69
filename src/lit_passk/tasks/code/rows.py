"""One row of a code benchmark as a problem: as HumanEval, MBPP, APPS, ... publish it, or in a neutral form.

Each kind of row is known by its columns, so that one file may mix them. The tests become the problem's answer, as JSON:

- ``{"style": "stdio", "cases": [{"input", "output"}], "tolerance": null or [absolute, relative] or "lines"}``
- ``{"style": "functional", "names": [function], "owner": class, "cases": [[args, [accepted, ...]]]}``
- ``{"style": "assert", "before", "modules", "names", "tests", "owner", "prompt"?, "entry_point"?}``: ``names`` are the
  functions and classes that the tests take from the program, ``modules`` those of the standard library that they use
  without importing them, ``before`` trusted source they need, ``prompt`` the beginning that a completion may continue.

``"imports"`` in the first two names the checker whose imports a program gets (``imports.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.tasks.chats import read_prompt, with_instruction
from lit_passk.tasks.code import live_code_bench, verl
from lit_passk.tasks.code.forms import (
    assert_tests,
    function_tests,
    pairs_in,
    parsed,
    starter_shown,
    stdio_tests,
)
from lit_passk.tasks.columns import is_missing, surrogate
from lit_passk.tasks.records import Record
from lit_passk.tasks.rows import source_of
from lit_passk.types import Problem, Prompt

STDIO_INSTRUCTION = (
    "Write a Python program that reads from standard input and writes to standard output. "
    "Put the whole program in one ```python block."
)
FUNCTION_INSTRUCTION = "Write it in Python. Put the whole code in one ```python block."
_PYTHON3 = 3  # of the languages of CodeContests
_APPS_TOLERANCE = [1e-8, 1e-5]  # numpy.allclose, which its checker uses
_NODES = re.compile(r"\b(?:TreeNode|ListNode|Node)\b")
_SHOWN = (  # to the policy
    "problem", "prompt", "text", "question", "question_content", "description", "starter_code", "test_list"
)  # fmt: skip
_IDS = ("id", "task_id", "problem_id", "question_id", "name")
_CODE_CONTESTS_TOLERANCE = [1e-5, 0.0]


def code_problem(record: Record, index: int, instruction: str | None = None) -> tuple[Problem, str | None] | None:
    """Make a problem of a row, together with a program that solves it, if the row has one in Python.

    Args:
        record: The row.
        index: Its position, which names a problem without an id.
        instruction: What follows the question; None takes the one for the kind of problem.

    Returns:
        The problem and a solution, or None for one that cannot be scored: no tests (null, NaN or empty), or input and
        output in files.

    Raises:
        ValueError: If the row is of no known kind or is malformed; names file and line.
    """
    fields = record.fields
    kind = next((kind for kind in _READERS if all(column in fields for column in kind[0])), None)
    if kind is None:
        wanted = "; ".join(" and ".join(columns) for columns, _, _ in _READERS)
        raise Refusal(
            f"{record.where} needs the columns of a code benchmark ({wanted}), but has {sorted(fields)}. "
            "`columns` maps other names: {text: question, test_list: test_cases}."
        )
    _, tests_column, reader = kind
    if tests_column is not None and is_missing(fields[tests_column]):
        return None
    _check_tokenizable(record)
    try:
        question, default, tests, solutions = reader(record)
    except (LookupError, TypeError, SyntaxError, ValueError, AttributeError, RecursionError) as error:
        if str(error).startswith(record.where):
            raise
        name = "" if isinstance(error, Refusal) else f"{type(error).__name__}: "
        raise Refusal(f"{record.where} is malformed: {name}{error}.") from error
    if tests is None:
        return None
    instruction = default if instruction is None else instruction
    found = (fields.get(name) for name in _IDS)
    kept = {name: fields[name] for name in ("data_source", "extra_info") if name in fields}
    problem = Problem(
        id=str(next((value for value in found if not is_missing(value)), index)),
        prompt=with_instruction(question, f"\n{instruction}" if instruction else "", record.where),
        answer=json.dumps(tests),
        source=source_of(record),
        metadata={**kept, "style": tests["style"], "difficulty": fields.get("difficulty")},
    )
    return problem, solutions[0] if solutions else None


def _check_tokenizable(record: Record) -> None:
    for name in _SHOWN:
        half = surrogate(json.dumps(record.fields.get(name), ensure_ascii=False, default=str))
        if half is not None:
            raise Refusal(
                f"{record.where} holds half of a surrogate pair ({half}) in column {name!r}, so the question cannot be "
                "tokenized. Mend or remove the row."
            )


_Row = tuple[Prompt, str, dict[str, Any] | None, list[str]]
"""Question, default instruction, tests (None: cannot be scored), reference solutions in Python."""


def _neutral(record: Record) -> _Row:
    """``tests`` says its own type; see ``shared`` collections: problem, tests, reference_solutions."""
    fields, tests = record.fields, parsed(record.fields["tests"])
    if not isinstance(tests, Mapping) or "type" not in tests:  # DeepCoder
        return _elsewhere(record, record.text("problem", "the question"), tests)
    solutions = list(fields.get("reference_solutions") or [])
    question = record.text("problem", "the question")
    if tests["type"] == "assert":
        return _continued(question, tests["entry_point"], tests["code"], tests.get("call"), solutions)
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


def _humaneval(record: Record) -> _Row:
    prompt, test, entry_point = (_text(record.fields, name) for name in ("prompt", "test", "entry_point"))
    solution = record.fields.get("canonical_solution")
    solutions = [] if solution is None else [prompt + solution]
    return _continued(prompt, entry_point, test, f"check({entry_point})", solutions)


def _continued(prompt: str, entry_point: str, code: str, call: str | None, solutions: list[str]) -> _Row:
    """Tests of a function whose beginning is the question; helpers defined there are the tests' own, too."""
    source = f"{code}\n{call or ''}\n"
    tests = assert_tests(source, prompt, [entry_point])
    return prompt, "", {**tests, "prompt": prompt, "entry_point": entry_point}, solutions


def _mbpp(record: Record) -> _Row:
    fields = record.fields
    asserts = list(fields["test_list"])
    question = record.text(("text", "prompt"), "the question")
    source = "\n".join([fields.get("test_setup_code") or "", *asserts])
    before = "\n".join(fields.get("test_imports") or [])
    solutions = [fields["code"]] if fields.get("code") else []
    shown = f"{question}\nYour code should pass these tests:\n\n" + "\n".join(asserts)
    return shown, FUNCTION_INSTRUCTION, assert_tests(source, before, []) if asserts else None, solutions


def _apps(record: Record) -> _Row:
    fields = record.fields
    solutions = parsed(fields.get("solutions")) or []
    question = record.text(("question", "problem"), "the question")
    tests = parsed(fields["input_output"])
    if not tests or not tests.get("inputs"):
        return question, "", None, solutions
    pairs = list(zip(tests["inputs"], tests["outputs"], strict=True))
    if name := tests.get("fn_name"):
        # Its checker takes the expected value as it is, or the only one of a list.
        cases = [(args, [value, value[0]] if isinstance(value, list) and value else [value]) for args, value in pairs]
        normal = function_tests(name, "Solution", cases)
        return question + starter_shown(fields, name), FUNCTION_INSTRUCTION, normal, solutions
    texts = [{"input": given, "output": wanted} for given, wanted in pairs]
    return question, STDIO_INSTRUCTION, {**stdio_tests(texts, _APPS_TOLERANCE), "imports": "apps"}, solutions


def _code_contests(record: Record) -> _Row:
    fields = record.fields
    question = record.text("description", "the question")
    given = pairs_in(fields.get("solutions"), "language", "solution")
    solutions = [text for language, text in given if language in (_PYTHON3, "PYTHON3")]
    kinds = ("public_tests", "private_tests", "generated_tests")
    pairs = [pair for kind in kinds for pair in pairs_in(fields.get(kind), "input", "output")]
    in_files = fields.get("input_file") or fields.get("output_file")
    cases = [{"input": given, "output": wanted} for given, wanted in pairs]
    tests = stdio_tests(cases, _CODE_CONTESTS_TOLERANCE) if cases and not in_files else None
    return question, STDIO_INSTRUCTION, tests, solutions


def _live_code_bench(record: Record) -> _Row:
    fields = record.fields
    question, instruction = live_code_bench.prompt(record.text("question_content", "the question"), fields)
    tests = live_code_bench.tests(fields)
    if name := (parsed(fields.get("metadata")) or {}).get("func_name"):
        cases = [live_code_bench.call(test) for test in tests]
        normal = {**function_tests(name, "Solution", cases), "imports": "livecodebench"}
    else:
        normal = {**stdio_tests(tests, None), "tolerance": "lines", "imports": "livecodebench"}
    return question, instruction, normal if tests else None, []


def _verl(record: Record) -> _Row:
    """A chat says itself how to answer; the tests are those of a data set that publishes them in the same form."""
    question = read_prompt(record, "prompt")
    if record.lacks("reward_model.ground_truth", "the tests"):
        return question, "", None, []
    _, truth = record.find("reward_model.ground_truth", "the tests")
    return _elsewhere(record, question, truth)


def _verification_info(record: Record) -> _Row:
    """SYNTHETIC-1 and INTELLECT-2: ``{"test_cases": [{"input": ..., "output": ..., "fn_name": ...}]}``."""
    question = read_prompt(record, "prompt")
    _, cases = record.find("verification_info.test_cases", "the tests")
    return _elsewhere(record, question, cases)


def _elsewhere(record: Record, question: Prompt, found: Any) -> _Row:
    """A question whose tests are those of another data set, as text or objects."""
    fields = verl.published(found)
    reader = next(reader for columns, _, reader in _READERS if all(column in fields for column in columns))
    _, instruction, tests, _ = reader(Record(record.where, fields))
    return question, instruction if isinstance(question, str) else "", tests, []


def _leet_code(record: Record) -> _Row:
    """LeetCodeDataset: the prompt is what the checker imports, and the entry point a method, ``Solution().twoSum``."""
    fields = record.fields
    name = fields["entry_point"].rpartition(".")[2]
    question = record.text("problem_description", "the question") + starter_shown(fields, name)
    if _NODES.search(str(fields.get("starter_code"))):  # the tests would hand nodes of lists and trees to the program
        return question, FUNCTION_INSTRUCTION, None, []
    tests = assert_tests(f"{fields['test']}\ncheck({name})\n", "", [name])
    return question, FUNCTION_INSTRUCTION, {**tests, "imports": "livecodebench"}, [fields["completion"]]


_READERS: tuple[tuple[tuple[str, ...], str | None, Callable[[Record], _Row]], ...] = (
    (("prompt", "reward_model"), None, _verl),
    (("prompt", "verification_info"), None, _verification_info),
    (("tests", "problem"), "tests", _neutral),
    (("problem_description", "test", "entry_point"), "test", _leet_code),
    (("test_list",), "test_list", _mbpp),
    (("prompt", "test", "entry_point"), "test", _humaneval),
    (("description", "public_tests"), None, _code_contests),
    (("question_content", "public_test_cases"), None, _live_code_bench),
    (("input_output",), "input_output", _apps),
)
"""Columns that tell a kind, the column that holds its tests where it is a single one, and what reads it."""


def _text(fields: Mapping[str, Any], name: str) -> str:
    if not isinstance(fields[name], str):
        raise TypeError(f"column {name!r} must hold a text, but holds {fields[name]!r}")
    return fields[name]
