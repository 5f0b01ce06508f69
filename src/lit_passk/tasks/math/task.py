r"""Problems with a mathematical answer: MATH, AIME, AMC, Minerva, OlympiadBench, GSM8K and whatever looks like them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lit_passk.errors import Refusal
from lit_passk.tasks.base import Task
from lit_passk.tasks.chats import message_text
from lit_passk.tasks.columns import from_json
from lit_passk.tasks.math.grading import grade, math_verify_grade
from lit_passk.tasks.math.text import boxed_answers
from lit_passk.tasks.records import Record
from lit_passk.tasks.rows import ANSWER_COLUMNS, PROMPT_COLUMNS, Columns, Names, read_problems
from lit_passk.types import Problem, Score

INSTRUCTION = r"Please reason step by step, and put your final answer within \boxed{}."

_STATED = re.compile(  # at the end of a solution: "The answer is 7.", or "**Answer:** 7" on a line of its own
    r"(?s:.+)(?:\b[Tt]he (?:final )?answer is:?|\n[*#\s]*(?:Final )?[Aa]nswer[*\s]*:\**)"
    r"\s*([^\n]{1,200}?)(?:\*\*)?\.?\s*"
)
_NO_ANSWER = ("proof", "notfound")  # as NuminaMath-1.5 and OpenR1-Math mark questions without one
# A list there holds answers of which one is wanted.
_ALTERNATIVES = ("reward_model.ground_truth", "reward_spec.ground_truth", "solutions")
_WORD = re.compile(r"(?<![\\{A-Za-z])[A-Za-z]{2,}")  # and no \command, nor the name of an {environment}
_MOST_WORDS = 25  # of an answer; more of them are a proof, or a solution that does not say where its answer is
_VERIFIERS = {"lit_passk": grade, "math_verify": math_verify_grade}


class MathTask(Task):
    r"""A data set of questions with a mathematical answer: numbers, expressions, intervals, sets, matrices, ...

    Rows of verl, TRL and slime and of the usual benchmarks are read without naming a column: docs/data.md has the
    kinds of rows. A row without a reference answer (null, NaN, empty; a proof) is left out, and a warning counts such
    rows.

    Args:
        path: A ``.jsonl`` or ``.parquet`` file, a folder of them, or ``owner/name`` on the Hugging Face hub; or several
            of these.
        prompt_column: Where the question is, a text or a chat (a list of turns with ``role`` and ``content``); of
            several names the first that holds something. A dotted name leads into an object, a list or their JSON text.
        answer_column: Where the reference answer is: LaTeX, a number, a solution that ends in ``#### 42`` or has its
            answer in a box, or a list of answers that are all wanted (any one in verl's ``ground_truth`` and in
            ``solutions``). An answer that is no mathematics matches its own spelling only; a text of more than 25 words
            that states no answer is none.
        id_column: Where a name is that no other row has; of several names the first that holds something; None numbers
            the rows.
        split: Of a hub data set; of a folder, the files whose names begin with it.
        subset: Configuration of a hub data set, such as ``main``.
        instruction: Follows the question on a line of its own, in a chat at the end of the last user turn; empty for
            none. None asks for a box after a question that is a text, unless that says itself how to answer, and adds
            nothing to a chat, as of verl's rows.
        expected_rows: Published number of rows, or several of them; another count warns.
        verifier: Who judges: ``lit_passk``, or ``math_verify`` alone, for comparison with scores that it gave;
            docs/grading.md has the differences.
        source_column: Which data set a row is from, for metrics per source; None takes ``data_source``, where a row has
            it.
        metadata_columns: Columns that problems keep for reward functions; None keeps all but the prompt, without those
            of more than 4096 characters a row (a warning names them).
        only: The rows to read of a file that mixes several kinds, as ``{column: value or list of values}``:
            ``{ability: math}``, ``{data_source: [math_dapo, aime]}``.

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
        path: Names,
        prompt_column: Names = PROMPT_COLUMNS,
        answer_column: Names = ANSWER_COLUMNS,
        id_column: Names | None = None,
        split: str | None = None,
        subset: str | None = None,
        instruction: str | None = None,
        expected_rows: int | Sequence[int] | None = None,
        verifier: Literal["lit_passk", "math_verify"] = "lit_passk",
        source_column: Names | None = None,
        metadata_columns: Sequence[str] | None = None,
        only: Mapping[str, Any] | None = None,
    ) -> None:
        if verifier not in _VERIFIERS:
            raise Refusal(f"MathTask needs a verifier among {', '.join(_VERIFIERS)}, but got {verifier!r}.")
        self.verifier = verifier
        columns = Columns(
            prompt=prompt_column,
            answer=answer_column,
            id=id_column,
            source=source_column,
            metadata=metadata_columns,
            only=only,
        )
        rows = read_problems(
            path,
            columns,
            lambda record, _: reference_answer(record, answer_column),
            instruction=instruction,
            default_instruction=INSTRUCTION,
            split=split,
            subset=subset,
            expected_rows=expected_rows,
            open_question=lambda record: _is_open(record, answer_column),
        )
        self.problems = [problem for problem, _ in rows]
        self.completions = {
            index: (record.fields["completion"], record.where)
            for index, (_, record) in enumerate(rows)
            if "completion" in record.fields
        }

    def __len__(self) -> int:
        return len(self.problems)

    def __getitem__(self, index: int) -> Problem:
        return self.problems[index]

    def score(self, problem: Problem, completion: str) -> Score:
        """Compare the final answer with the reference; math-verify, if it was chosen, may take for ever."""
        verdicts = (_VERIFIERS[self.verifier](reference, completion) for reference in _alternatives(problem.answer))
        first = next(verdicts)
        correct, answer = first if first[0] else next((verdict for verdict in verdicts if verdict[0]), first)
        return Score(reward=float(correct), correct=correct, answer=answer)

    def warm_up(self) -> None:
        """Load what the verifier needs, which takes a second for math-verify."""
        _VERIFIERS[self.verifier](r"\frac{1}{2}", r"The answer is $\frac{x^2+\sqrt{3}}{5}$.")

    def demonstration(self, index: int) -> str:
        """The row's ``completion``, which rows of prompt and completion have."""
        demonstration = message_text(*self.completions.get(index, (None, "")))
        if not demonstration:
            raise Refusal(f"Problem {self.problems[index].id!r} has no text in a column 'completion' to imitate.")
        return demonstration


def reference_answer(record: Record, columns: Names) -> str:
    r"""A row's reference answer as text; of a solution the content of its last box, of a list all items.

    Several of which any is right are the JSON text of a list.

    Raises:
        Refusal: If the column holds neither text nor number nor a list of them.

    Example:
        >>> reference_answer(Record("a.jsonl line 1", {"solution": r"So $x = \boxed{7}$ fits."}), "solution")
        '7'

    """
    name, value = record.find(columns, "the reference answer")
    said = message_text(value, record.where)  # of the turns of a completion
    text = said if said and said != value else record.text(name, "the reference answer")
    answers = value if isinstance(value, list) and said is None else from_json(text)
    if isinstance(answers, list) and answers and all(isinstance(answer, str) for answer in answers):
        # ["\\frac{1}{2}"] is a list; [1, 2] without quotes may be an interval
        answers = [answer for answer in answers if answer.strip()]
        if not name.startswith(_ALTERNATIVES):
            return ", ".join(answers)
        each = list(dict.fromkeys(map(_stated_answer, answers)))
        return json.dumps(each, ensure_ascii=False) if len(each) > 1 else "".join(each)
    return _stated_answer(text)


def _stated_answer(text: str) -> str:
    """What a solution gives as its answer; any other text as it is."""
    if boxed := boxed_answers(text):
        return boxed[0]
    stated = _STATED.fullmatch(text)
    return stated[1] if stated else text


def _alternatives(answer: str) -> list[str]:
    """The answers of which any is right, as ``reference_answer`` writes them."""
    several = from_json(answer) if answer.startswith('["') else None
    return several if isinstance(several, list) and all(isinstance(one, str) for one in several) else [answer]


def _is_open(record: Record, columns: Names) -> bool:
    """Whether a row asks for a proof, or its answer is empty or a text that nobody could answer with."""
    kind = record.fields.get("question_type")
    if kind == "proof" or ("question_type" in record.fields and record.fields.get("answer") in _NO_ANSWER):
        return True
    answer = reference_answer(record, columns)
    if not answer.strip() or "####" in answer:
        return not answer.strip()
    return any(len(_WORD.findall(one)) > _MOST_WORDS for one in _alternatives(answer))
