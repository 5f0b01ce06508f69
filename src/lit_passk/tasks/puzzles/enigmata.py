"""Enigmata (arXiv 2505.19914): puzzles of many kinds, scored by its own verifiers in a sandbox."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.inputs import expanded
from lit_passk.tasks.base import Task
from lit_passk.tasks.code.judge import check_sandbox, judge
from lit_passk.tasks.code.sandbox.sandbox import START_SECONDS, Limits, SandboxError
from lit_passk.tasks.files import check_count, load_records
from lit_passk.tasks.math.text import final_text
from lit_passk.tasks.records import Record, is_missing
from lit_passk.types import Problem, Score


class EnigmataTask(Task):
    """Rows of Enigmata-Eval with the verifiers of its repository, so that a score is what it is there.

    Rows have ``prompt`` (or ``question``), ``answer``, ``task_name`` and ``meta`` (an object or its JSON text). The
    verifier of a row is ``verify(completion, answer, meta)`` of ``verifiable_tasks/tasks/<task_name>/verifier.py`` in a
    clone of https://github.com/BytedTsinghua-SIA/Enigmata; 1 is correct, an exception is not. Some verifiers evaluate
    what the policy wrote as Python, so they run in the sandbox of the code tasks; a policy that is trained on them can
    learn to deceive those.

    Args:
        path: A ``.jsonl`` or ``.parquet`` file, a folder of them, or ``owner/name`` on the Hugging Face hub.
        verifiers: The clone's folder.
        split: Of a hub data set.
        tasks: Keep these kinds of puzzle alone, such as ``[sudoku, maze]``.
        expected_rows: Published number of rows that are kept, or several of them; another count warns.
        limits: What a verifier may use; None takes 10 seconds and numpy.

    Raises:
        RuntimeError: If there is no working sandbox.
        ValueError: If rows or a verifier cannot be read.
    """

    use_workers = True

    def __init__(
        self,
        path: str,
        verifiers: str,
        split: str | None = None,
        tasks: Sequence[str] | None = None,
        expected_rows: int | Sequence[int] | None = None,
        limits: Limits | None = None,
    ) -> None:
        check_sandbox()
        self.limits = limits or Limits(seconds=10, packages=("numpy",))
        self.score_timeout = self.limits.total_seconds + START_SECONDS
        self.sources: dict[str, str] = {}
        folder = expanded(verifiers) / "verifiable_tasks" / "tasks"
        self.problems: list[Problem] = []
        for index, record in enumerate(load_records(path, split)):
            name = record.text("task_name", "the kind of puzzle")
            if tasks is None or name in tasks:
                self.sources.setdefault(name, _verifier(folder, name, record))
                self.problems.append(_problem(record, index, name))
        if not self.problems:
            raise Refusal(f"{path!r} has no puzzle of tasks={list(tasks or [])}.")
        check_count(len(self.problems), expected_rows, repr(path))

    def __len__(self) -> int:
        return len(self.problems)

    def __getitem__(self, index: int) -> Problem:
        return self.problems[index]

    def score(self, problem: Problem, completion: str) -> Score:
        """Let the puzzle's verifier judge what follows the thinking."""
        text, name = final_text(completion), problem.metadata["task_name"]
        case = ([str(text), problem.answer, problem.metadata["meta"]], [1])
        tests = {"style": "functional", "names": ["verify"], "owner": "", "cases": [case]}
        try:
            passed = judge(tests, [("verifier", self.sources[name])], self.limits).passed
        except SandboxError as error:
            return Score(reward=0.0, correct=False, error=f"sandbox: {error}")
        return Score(reward=float(passed), correct=passed)


def _verifier(folder: Path, name: str, record: Record) -> str:
    file = folder / name / "verifier.py"
    if not file.is_file():
        raise Refusal(
            f"{record.where} is a puzzle {name!r}, whose verifier is not at {file}: set `verifiers` to a clone of "
            "https://github.com/BytedTsinghua-SIA/Enigmata."
        )
    return file.read_text(encoding="utf-8")


def _problem(record: Record, index: int, name: str) -> Problem:
    answer: Any = record.fields.get("answer")
    meta = record.fields.get("meta")
    try:
        meta = json.loads(meta) if isinstance(meta, str) and meta else meta
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{record.where} needs an object or its JSON text in column 'meta': {error}.") from None
    return Problem(
        id=str(index),
        prompt=record.text(("prompt", "question"), "the question"),
        answer=answer if isinstance(answer, str) else "" if is_missing(answer) else json.dumps(answer),
        metadata={"task_name": name, "meta": meta or {}},
    )
