r"""Problems with a mathematical answer: MATH, AIME, AMC, Minerva, OlympiadBench, GSM8K and whatever looks like them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lit_passk.errors import Refusal
from lit_passk.tasks.base import Task
from lit_passk.tasks.math.grading import grade, math_verify_grade
from lit_passk.tasks.records import Record, answered, load_records
from lit_passk.types import Problem, Score

INSTRUCTION = r"Please reason step by step, and put your final answer within \boxed{}."

_VERIFIERS = {"lit_passk": grade, "math_verify": math_verify_grade}


class MathTask(Task):
    r"""A data set of questions with a mathematical answer: numbers, expressions, intervals, sets, matrices, ...

    A row without a reference answer (null, NaN, empty) is left out, and a warning counts such rows.

    Args:
        path: A ``.jsonl`` or ``.parquet`` file, a folder of them, or ``owner/name`` on the Hugging Face hub.
        prompt_column: Where the question is; of several names the first that exists.
        answer_column: Where the reference answer is: LaTeX, a number, a GSM8K solution that ends in ``#### 42``, or a
            list of answers that are all wanted. An answer that is no mathematics matches its own spelling only.
        id_column: Where a name is that no other row has; of several names the first that exists; None numbers the rows.
        split: Of a hub data set; of a folder, the files whose names begin with it.
        subset: Configuration of a hub data set, such as ``main``.
        instruction: Follows the question on a line of its own; empty for none.
        expected_rows: Published number of rows, or several of them; another count warns.
        verifier: Who judges: ``lit_passk``, or ``math_verify`` alone, for comparison with scores that it gave;
            docs/grading.md has the differences.

    Example:
        >>> import json, pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "problems.jsonl"
        >>> _ = file.write_text(json.dumps({"problem": "What is 3/6?", "answer": "\\frac{1}{2}"}))
        >>> task = MathTask(str(file), instruction="")
        >>> task.score(task[0], r"It is \boxed{0.5}.")  # exact: 0 or 1
        Score(reward=1.0, correct=True, answer='0.5', error=None)

    """

    use_workers = True

    def __init__(
        self,
        path: str,
        prompt_column: str | Sequence[str] = ("problem", "question"),
        answer_column: str | Sequence[str] = ("answer", "final_answer"),
        id_column: str | Sequence[str] | None = None,
        split: str | None = None,
        subset: str | None = None,
        instruction: str = INSTRUCTION,
        expected_rows: int | Sequence[int] | None = None,
        verifier: Literal["lit_passk", "math_verify"] = "lit_passk",
    ) -> None:
        if verifier not in _VERIFIERS:
            raise Refusal(f"MathTask needs a verifier among {', '.join(_VERIFIERS)}, but got {verifier!r}.")
        self.verifier = verifier
        self.instruction = instruction
        records = load_records(path, split, subset, expected_rows)
        self.problems: list[Problem] = []
        seen: dict[str, str] = {}
        for index, record in answered(records, answer_column, path):
            problem = self._problem(index, record, prompt_column, answer_column, id_column)
            if problem.id in seen:
                raise Refusal(
                    f"{record.where} and {seen[problem.id]} have the same id {problem.id!r} in column {id_column!r}."
                )
            seen[problem.id] = record.where
            self.problems.append(problem)

    def __len__(self) -> int:
        return len(self.problems)

    def __getitem__(self, index: int) -> Problem:
        return self.problems[index]

    def score(self, problem: Problem, completion: str) -> Score:
        """Compare the final answer with the reference; math-verify, if it was chosen, may take for ever."""
        correct, answer = _VERIFIERS[self.verifier](problem.answer, completion)
        return Score(reward=float(correct), correct=correct, answer=answer)

    def warm_up(self) -> None:
        """Load what the verifier needs, which takes a second for math-verify."""
        _VERIFIERS[self.verifier](r"\frac{1}{2}", r"The answer is $\frac{x^2+\sqrt{3}}{5}$.")

    def _problem(
        self,
        index: int,
        record: Record,
        prompt_column: str | Sequence[str],
        answer_column: str | Sequence[str],
        id_column: str | Sequence[str] | None,
    ) -> Problem:
        question = record.text(prompt_column, "the question")
        return Problem(
            id=str(index) if id_column is None else record.text(id_column, "the id"),
            prompt=f"{question}\n{self.instruction}" if self.instruction else question,
            answer=record.text(answer_column, "the reference answer"),
        )
