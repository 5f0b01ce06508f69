"""Rows whose tests are inputs and outputs of whole programs: APPS, TACO, CodeContests, Codeforces, LiveCodeBench."""

from __future__ import annotations

from lit_passk.tasks.chats import read_prompt
from lit_passk.tasks.code import live_code_bench as lcb
from lit_passk.tasks.code.forms import (
    FUNCTION_INSTRUCTION,
    NO_TESTS,
    STDIO_INSTRUCTION,
    Row,
    function_tests,
    pairs_in,
    parsed,
    starter_shown,
    stdio_tests,
)
from lit_passk.tasks.records import Record

_PYTHON3 = 3  # of the languages of CodeContests
_APPS_TOLERANCE = [1e-8, 1e-5]  # numpy.allclose, which its checker uses
_CODE_CONTESTS_TOLERANCE = [1e-5, 0.0]
_IN_FILES = "with input or output in files"


def apps(record: Record) -> Row:
    """APPS, TACO and AReaL's: programs, or functions with arguments."""
    fields = record.fields
    solutions = parsed(fields.get("solutions")) or []
    question = record.text(("question", "problem", "prompt"), "the question")
    tests = parsed(fields["input_output"])
    if not tests or not tests.get("inputs"):
        return question, "", NO_TESTS, solutions
    pairs = list(zip(tests["inputs"], tests["outputs"], strict=True))
    if name := tests.get("fn_name"):
        # Its checker takes the expected value as it is, or the only one of a list.
        cases = [(args, [value, value[0]] if isinstance(value, list) and value else [value]) for args, value in pairs]
        normal = function_tests(name, "Solution", cases)
        return question + starter_shown(fields, name), FUNCTION_INSTRUCTION, normal, solutions
    texts = [{"input": given, "output": wanted} for given, wanted in pairs]
    return question, STDIO_INSTRUCTION, {**stdio_tests(texts, _APPS_TOLERANCE), "imports": "apps"}, solutions


def code_contests(record: Record) -> Row:
    """CodeContests: public, private and generated tests."""
    fields = record.fields
    question = record.text("description", "the question")
    given = pairs_in(fields.get("solutions"), "language", "solution")
    solutions = [text for language, text in given if language in (_PYTHON3, "PYTHON3")]
    kinds = ("public_tests", "private_tests", "generated_tests")
    pairs = [pair for kind in kinds for pair in pairs_in(fields.get(kind), "input", "output")]
    if fields.get("input_file") or fields.get("output_file"):
        return question, STDIO_INSTRUCTION, _IN_FILES, solutions
    cases = [{"input": given, "output": wanted} for given, wanted in pairs]
    tests = stdio_tests(cases, _CODE_CONTESTS_TOLERANCE) if cases else NO_TESTS
    return question, STDIO_INSTRUCTION, tests, solutions


def codeforces(record: Record) -> Row:
    """Of open-r1: rows in parts, or with the prompt that was made of them; a checker there is a program of its own."""
    fields = record.fields
    if fields.get("prompt"):
        question, instruction = read_prompt(record, "prompt"), ""
    else:
        titled = {
            "Input": "input_format",
            "Output": "output_format",
            "Interaction": "interaction_format",
            "Note": "note",
        }
        parts = [record.text("description", "the question")]
        parts += [f"{title}\n{fields[name]}" for title, name in titled.items() if fields.get(name)]
        shown = pairs_in(fields.get("examples"), "input", "output")
        parts += [f"Example input\n{given}\nExample output\n{wanted}" for given, wanted in shown]
        question, instruction = "\n\n".join(parts), STDIO_INSTRUCTION
    cases = [{"input": a, "output": b} for a, b in pairs_in(fields["official_tests"], "input", "output")]
    reason = ""
    if fields.get("language") not in {None, "python"}:
        reason = "that ask for another language than Python"
    elif fields.get("interaction_format"):
        reason = "that talk with an interactor"
    elif fields.get("input_mode") == "file":
        reason = _IN_FILES
    elif fields.get("generated_checker"):
        reason = "with several right outputs, which only the data set's own checker can tell"
    return question, instruction, reason or (stdio_tests(cases, None) if cases else NO_TESTS), []


def live_code_bench(record: Record) -> Row:
    """LiveCodeBench, with the prompt and the comparison of its own runner."""
    fields = record.fields
    question, instruction = lcb.prompt(record.text("question_content", "the question"), fields)
    tests = lcb.tests(fields)
    if name := (parsed(fields.get("metadata")) or {}).get("func_name"):
        cases = [lcb.call(test) for test in tests]
        normal = {**function_tests(name, "Solution", cases), "imports": "livecodebench"}
    else:
        normal = {**stdio_tests(tests, None), "tolerance": "lines", "imports": "livecodebench"}
    return question, instruction, normal if tests else NO_TESTS, []
