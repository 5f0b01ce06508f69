"""One row of a code benchmark as a problem: as HumanEval, MBPP, APPS, ... publish it, or in a neutral form.

Each kind of row is known by its columns, so that one file may mix them. The tests become the problem's answer, as JSON:

- ``{"style": "stdio", "cases": [{"input", "output"}], "tolerance": null or [absolute, relative] or "lines"}``
- ``{"style": "functional", "names": [function], "owner": class, "cases": [[args, [accepted, ...]]]}``
- ``{"style": "assert", "before", "modules", "packages", "names", "tests", "owner", ...}``: ``names`` are the functions
  and classes that the tests take from the program, ``modules`` those of the standard library that they use without
  importing them, ``packages`` what else they import, ``before`` trusted source they need; some have ``nodes``, classes
  whose objects the tests hand to the program, or ``prompt``, the beginning that a completion may continue, and its
  ``entry_point``.

``"imports"`` in the first two names the checker whose imports a program gets (``imports.py``).
"""

from __future__ import annotations

import json

from lit_passk.errors import Refusal
from lit_passk.printable import surrogate
from lit_passk.tasks.chats import with_instruction
from lit_passk.tasks.code.forms import NO_TESTS
from lit_passk.tasks.code.layouts import READERS
from lit_passk.tasks.columns import is_missing
from lit_passk.tasks.records import Record
from lit_passk.tasks.rows import source_of
from lit_passk.types import Problem

_SHOWN = (  # to the policy
    "problem", "prompt", "text", "question", "question_content", "description", "starter_code", "test_list"
)  # fmt: skip
_IDS = ("id", "task_id", "problem_id", "question_id", "name")


def code_problem(record: Record, index: int, instruction: str | None = None) -> tuple[Problem, str | None] | str:
    """Make a problem of a row, together with a program that solves it, if the row has one in Python.

    Args:
        record: The row.
        index: Its position, which names a problem without an id.
        instruction: What follows the question; None takes the one for the kind of problem.

    Returns:
        The problem and a solution, or why it cannot be scored: no tests (null, NaN or empty), input in files, ...

    Raises:
        ValueError: If the row is of no known kind or is malformed; names file and line.
    """
    fields = record.fields
    kind = next((kind for kind in READERS if all(column in fields for column in kind[0])), None)
    if kind is None:
        wanted = "; ".join(" and ".join(columns) for columns, _, _ in READERS)
        raise Refusal(
            f"{record.where} needs the columns of a code benchmark ({wanted}), but has {sorted(fields)}. "
            "`columns` maps other names: {text: question, test_list: test_cases}."
        )
    _, tests_column, reader = kind
    if tests_column is not None and is_missing(fields[tests_column]):
        return NO_TESTS
    _check_tokenizable(record)
    try:
        question, default, tests, solutions = reader(record)
    except (LookupError, TypeError, SyntaxError, ValueError, AttributeError, RecursionError) as error:
        if str(error).startswith(record.where):
            raise
        name = "" if isinstance(error, Refusal) else f"{type(error).__name__}: "
        raise Refusal(f"{record.where} is malformed: {name}{error}.") from error
    if isinstance(tests, str):
        return tests
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
