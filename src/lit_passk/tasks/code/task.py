"""Problems whose answer is a program: HumanEval, MBPP, APPS, CodeContests, LiveCodeBench and what looks like them."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, overload

from lit_passk.errors import Refusal
from lit_passk.tasks.base import Task
from lit_passk.tasks.code.imports import imports_for
from lit_passk.tasks.code.judge import Unit, check_sandbox, judge
from lit_passk.tasks.code.outputs import Verdict
from lit_passk.tasks.code.rows import code_problem
from lit_passk.tasks.code.sandbox.sandbox import START_SECONDS, Limits, SandboxError
from lit_passk.tasks.code.text import function_units, program_units
from lit_passk.tasks.files import check_count, load_records
from lit_passk.tasks.records import Record
from lit_passk.types import Problem, Score

log = logging.getLogger(__name__)

_LONGEST_ANSWER = 20_000
"""Characters of tests that a problem's ``answer`` may have: result files repeat it with every completion."""


class CodeTask(Task):
    """A data set of programming problems, scored by running what the policy wrote against all of a problem's tests.

    Programs run in a sandbox (``sandbox/``) that needs bubblewrap; the verdict is made outside of it.
    The program is the last Python block of a completion that can be the answer (``text.py``) or, without one, all of
    it. Where the question is the beginning of a function (HumanEval), a completion may be its body or define the
    function anew. Programs for APPS and LiveCodeBench get the imports that their own checkers put before them.

    A program runs with the standard library alone, unless ``limits.packages`` names more. Hash seeds are fixed, sockets
    do not exist, and time is CPU time, so that a verdict does not depend on the machine's load.

    A row without tests (null, NaN, empty), with input in files, a checker of its own or tests that need what is not
    here cannot be scored: it is left out, and a warning says how many for which reason. Where tests are long, a
    problem's ``answer`` is their digest, and ``metadata["tests"]`` has them packed.

    The columns of the published data sets are known: ``prompt``, ``test``, ``entry_point`` (HumanEval); ``text`` or
    ``prompt``, ``test_list`` (MBPP); ``question``, ``input_output`` (APPS); ``description``, ``public_tests``, ...
    (CodeContests); ``question_content``, ``public_test_cases``, ``private_test_cases``, ... (LiveCodeBench, with the
    prompt of its own runner); ``problem``, ``tests``, ``reference_solutions``; and verl's ``prompt``, ``reward_model``,
    whose ground truth holds tests in one of these forms (``verl.py``).

    Args:
        path: A ``.jsonl`` or ``.parquet`` file, a folder of them, or ``owner/name`` on the Hugging Face hub.
        split: Of a hub data set; of a folder, the files whose names begin with it.
        subset: Configuration of a hub data set, such as ``sanitized``.
        difficulty: Keep the problems of this ``difficulty``, for example ``introductory`` of APPS.
        start_date: Keep the problems whose ``contest_date`` is this day or later, as ``2025-02-01``.
        end_date: Keep those of this day or earlier.
        columns: Other names of columns, as ``{known name: name in this data set}``; a dotted name leads into an object.
        instruction: Follows the question; empty for none, None for one that asks for a ```python block where the
            question does not end in code to be continued.
        expected_rows: Published number of problems that are kept, or several of them; another count warns.
        limits: What a program may use: time, memory, processes, packages; None takes ``Limits()``.
        unsafe_no_sandbox: Run programs as ordinary processes, with your own rights: they can read and delete your
            files and use the network. For policies you trust, where there is no bubblewrap.

    Raises:
        RuntimeError: If there is no working sandbox.
        ValueError: If the data set cannot be read.
    """

    use_workers = True

    def __init__(
        self,
        path: str,
        split: str | None = None,
        subset: str | None = None,
        difficulty: str | None = None,
        start_date: str | None = None,
        end_date: str | None = None,
        columns: Mapping[str, str] | None = None,
        instruction: str | None = None,
        expected_rows: int | Sequence[int] | None = None,
        limits: Limits | None = None,
        unsafe_no_sandbox: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self.score_timeout = self.limits.total_seconds + START_SECONDS
        self.unsafe_no_sandbox = unsafe_no_sandbox
        check_sandbox(unsafe_no_sandbox)
        if unsafe_no_sandbox:
            log.warning("CodeTask runs programs WITHOUT a sandbox: they have your rights, files and network.")
        some = {"difficulty": difficulty, "start_date": start_date, "end_date": end_date}
        some = {name: value for name, value in some.items() if value is not None}
        records = load_records(path, split, subset, None if some else expected_rows)
        if columns:
            records = [_renamed(record, columns) for record in records]
        if difficulty is not None:
            records = _of_difficulty(records, difficulty, path)
        if start_date is not None or end_date is not None:
            records = _of_window(records, start_date, end_date, path)
        if some:
            check_count(len(records), expected_rows, f"{path!r} ({', '.join(f'{n}={v}' for n, v in some.items())})")
        found = [code_problem(record, index, instruction) for index, record in enumerate(records)]
        found = [row if isinstance(row, str) else _scorable(row, self.limits.packages) for row in found]
        self.problems = [_packed(row[0]) for row in found if not isinstance(row, str)]
        self.solutions = [row[1] for row in found if not isinstance(row, str)]
        reasons = Counter(row for row in found if isinstance(row, str))
        why = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        if not self.problems:
            raise Refusal(f"No problem of {path!r} can be scored: {why}.")
        if reasons:
            warnings.warn(
                f"{reasons.total()} problems of {path!r} cannot be scored and are left out: {why}.", stacklevel=2
            )
        _check_ids(self.problems, path)

    def __len__(self) -> int:
        return len(self.problems)

    def __getitem__(self, index: int) -> Problem:
        return self.problems[index]

    def score(self, problem: Problem, completion: str) -> Score:
        """Run the program against all tests; correct if it passes every one."""
        tests = _tests(problem)
        units = self._program(tests, completion)
        try:
            passed = self._judge(tests, units).passed
        except SandboxError as error:
            return Score(reward=0.0, correct=False, error=f"sandbox: {error}")
        sources = [source.removeprefix(tests.get("prompt", "")) for name, source in units if name == "completion"]
        return Score(reward=float(passed), correct=passed, answer="\n".join(sources))

    def verdict(self, problem: Problem, completion: str) -> Verdict:
        """Whether a completion passes, and if not, the reason.

        Raises:
            SandboxError: If no verdict could be had, for a reason that is not the program's.
        """
        tests = _tests(problem)
        return self._judge(tests, self._program(tests, completion))

    def _program(self, tests: Mapping[str, Any], completion: str) -> list[Unit]:
        if "prompt" in tests:
            return function_units(tests["prompt"], tests["entry_point"], completion)
        return program_units(completion, tests.get("names"), tests.get("owner", ""))

    def _judge(self, tests: Mapping[str, Any], units: list[Unit]) -> Verdict:
        units = [*(("nodes", source) for source in tests.get("nodes", {}).values()), *units]
        if checker := tests.get("imports"):
            given = imports_for([source for _, source in units], self.limits.packages, checker)
            units = [("imports", given), *units] if given else units
        return judge(tests, units, self.limits, self.unsafe_no_sandbox)

    def demonstration(self, index: int) -> str:
        """The data set's own first solution, in a Python block."""
        solution = self.solutions[index]
        if solution is None:
            raise Refusal(f"Problem {self.problems[index].id!r} has no reference solution in Python.")
        return f"```python\n{solution.rstrip()}\n```"


def _renamed(record: Record, columns: Mapping[str, str]) -> Record:
    renamed = {known: record.find(column, f"`columns` ({known})")[1] for known, column in columns.items()}
    return Record(record.where, {**record.fields, **renamed})


def _of_difficulty(records: list[Record], difficulty: str, path: str) -> list[Record]:
    chosen = [record for record in records if record.fields.get("difficulty") == difficulty]
    if not chosen:
        existing = sorted({str(record.fields.get("difficulty")) for record in records})
        raise Refusal(f"{path!r} has no problem of difficulty={difficulty!r}, but of {', '.join(existing)}.")
    return chosen


def _of_window(records: list[Record], start: str | None, end: str | None, path: str) -> list[Record]:
    first, last = _day(start, "`start_date`"), _day(end, "`end_date`")
    days = [_day(str(record.fields.get("contest_date")), f"{record.where}, `contest_date`,") for record in records]
    chosen = [
        record
        for record, day in zip(records, days, strict=True)
        if (first is None or first <= day) and (last is None or day <= last)
    ]
    if not chosen:
        raise Refusal(
            f"{path!r} has no problem between start_date={start} and end_date={end}; its own are from {min(days)} to "
            f"{max(days)}."
        )
    return chosen


@overload
def _day(text: None, where: str) -> None: ...
@overload
def _day(text: str, where: str) -> date: ...
def _day(text: str | None, where: str) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text[:10])
    except ValueError:
        raise Refusal(f"{where} must be a day such as 2025-02-01, but is {text!r}.") from None


def _scorable(row: tuple[Problem, str | None], packages: Sequence[str]) -> tuple[Problem, str | None] | str:
    """The row, or why its tests cannot be run with these packages."""
    missing = sorted(set(json.loads(row[0].answer).get("packages", ())) - set(packages))
    wanted = ", ".join(missing)
    return f"whose tests import {wanted} (`limits.packages: [{wanted}]` gives it)" if missing else row


def _packed(problem: Problem) -> Problem:
    """With a digest in the place of tests that are long."""
    if len(problem.answer) <= _LONGEST_ANSWER:
        return problem
    text = problem.answer.encode("utf-8", "surrogatepass")
    answer = json.dumps({"style": problem.metadata["style"], "sha256": hashlib.sha256(text).hexdigest()})
    return replace(problem, answer=answer, metadata={**problem.metadata, "tests": zlib.compress(text, 1)})


def _tests(problem: Problem) -> dict[str, Any]:
    packed = problem.metadata.get("tests")
    return json.loads(problem.answer if packed is None else zlib.decompress(packed).decode("utf-8", "surrogatepass"))


def _check_ids(problems: Sequence[Problem], path: str) -> None:
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise Refusal(f"Two problems of {path!r} have the id {problem.id!r}.")
        seen.add(problem.id)
