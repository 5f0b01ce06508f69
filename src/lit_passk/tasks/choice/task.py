"""Multiple-choice questions: GPQA, MMLU-Pro, ARC and what looks like them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

from lit_passk.errors import Refusal
from lit_passk.tasks.base import Task
from lit_passk.tasks.choice.letters import chosen_letters
from lit_passk.tasks.choice.rows import ANSWERS, LETTERS, Choice, choice_of, shuffled
from lit_passk.tasks.files import load_records
from lit_passk.tasks.records import answered
from lit_passk.types import Problem, Score

_BOXED = "{question}\n\n{options}\n\nPlease reason step by step, and put the letter of your answer within \\boxed{{}}."
# The prompt of OpenAI's simple-evals (common.py), in wide use for GPQA.
_SIMPLE_EVALS = (
    "Answer the following multiple choice question. The last line of your response should be of the following format: "
    "'Answer: $LETTER' (without quotes) where LETTER is one of {letters}. Think step by step before answering.\n\n"
    "{question}\n\n{options}"
)
# The prompt of MMLU-Pro's own evaluation (cot_prompt_lib/initial_prompt.txt) without its five worked examples.
_MMLU_PRO = (
    "The following are multiple choice questions (with answers){about}. Think step by step and then finish your answer "
    'with "the answer is (X)" where X is the correct letter choice.\n\nQuestion:\n{question}\nOptions:\n{options}\n'
    "Answer: Let's think step by step."
)
_PROMPTS = {"boxed": (_BOXED, "({}) {}"), "simple_evals": (_SIMPLE_EVALS, "{}) {}"), "mmlu_pro": (_MMLU_PRO, "{}. {}")}


class MultipleChoice(Task):
    """Questions with options, of which one is right, answered by a letter.

    The layouts of GPQA, MMLU-Pro, MMLU and ARC are known (``rows.py``). Options are always shown with letters, also
    where the data set has numbers, and the reference answer is the letter as shown. A row without a right answer (null,
    NaN, empty) is left out, and a warning counts such rows.

    Args:
        path: A ``.jsonl`` or ``.parquet`` file, a folder of them, or ``owner/name`` on the Hugging Face hub.
        split: Of a hub data set; of a folder, the files whose names begin with it.
        subset: Configuration of a hub data set, such as ``gpqa_diamond``.
        shuffle_seed: Seed of the order in which options are shown; None keeps the data set's, or takes 0 where that
            gives the right option first (GPQA).
        prompt: ``boxed`` asks for a letter in a box, ``simple_evals`` and ``mmlu_pro`` are the prompts of these
            evaluations (the latter without examples).
        extraction: ``rules`` understands the ways in which models answer (``letters.py``). ``simple_evals`` and
            ``mmlu_pro`` read as these evaluations do, for comparison with scores that they gave: the first "Answer: X";
            or the first "answer is (X)", else the first line's "Answer: X", else the last capital from A to J.
        expected_rows: Published number of rows, or several of them; another count warns.

    Example:
        >>> import json, pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "arc.jsonl"
        >>> choices = {"text": ["rock", "ice"], "label": ["1", "2"]}
        >>> row = {"id": "q", "question": "Which melts?", "choices": choices, "answerKey": "2"}
        >>> _ = file.write_text(json.dumps(row))
        >>> task = MultipleChoice(str(file))
        >>> task[0].answer, task.score(task[0], "The answer is (B).").correct
        ('B', True)

    """

    def __init__(
        self,
        path: str,
        split: str | None = None,
        subset: str | None = None,
        shuffle_seed: int | None = None,
        prompt: Literal["boxed", "simple_evals", "mmlu_pro"] = "boxed",
        extraction: Literal["rules", "simple_evals", "mmlu_pro"] = "rules",
        expected_rows: int | Sequence[int] | None = None,
    ) -> None:
        if prompt not in _PROMPTS:
            raise Refusal(f"MultipleChoice needs a prompt among {', '.join(_PROMPTS)}, but got {prompt!r}.")
        if extraction not in _EXTRACTIONS:
            raise Refusal(
                f"MultipleChoice needs an extraction among {', '.join(_EXTRACTIONS)}, but got {extraction!r}."
            )
        self.prompt = prompt
        self.extraction = extraction
        self.problems: list[Problem] = []
        seen: set[str] = set()
        for index, record in answered(load_records(path, split, subset, expected_rows), ANSWERS, path):
            choice = choice_of(record, index)
            if choice.id in seen:
                raise Refusal(f"{record.where} has the id {choice.id!r}, which an earlier row has as well.")
            seen.add(choice.id)
            if shuffle_seed is not None or choice.right_first:
                choice = shuffled(choice, shuffle_seed or 0)
            self.problems.append(self._problem(choice))

    def __len__(self) -> int:
        return len(self.problems)

    def __getitem__(self, index: int) -> Problem:
        return self.problems[index]

    def score(self, problem: Problem, completion: str) -> Score:
        """Compare the letter that the completion chooses; several letters are an answer, and a wrong one."""
        answer = _EXTRACTIONS[self.extraction](completion, problem.metadata["options"])
        correct = answer == problem.answer
        return Score(reward=float(correct), correct=correct, answer=answer)

    def demonstration(self, index: int) -> str:
        """The right letter, as the prompt asks for it."""
        answer = self.problems[index].answer
        said = {"boxed": "\\boxed{{{}}}", "simple_evals": "Answer: {}", "mmlu_pro": "The answer is ({})."}
        return said[self.prompt].format(answer)

    def _problem(self, choice: Choice) -> Problem:
        template, row = _PROMPTS[self.prompt]
        shown = "\n".join(row.format(LETTERS[at], text) for at, text in enumerate(choice.options))
        letters = LETTERS[: len(choice.options)]
        about = f" about {choice.subject}" if choice.subject else ""
        return Problem(
            id=choice.id,
            prompt=template.format(question=choice.question, options=shown, letters=letters, about=about),
            answer=LETTERS[choice.right],
            metadata={"options": choice.options},
        )


def _simple_evals(completion: str, options: Sequence[str]) -> str | None:
    last = LETTERS[len(options) - 1]
    found = re.search(rf"(?i)Answer[ \t]*:[ \t]*\$?([A-{last}])\$?", completion)
    return found[1] if found else None


def _mmlu_pro(completion: str, options: Sequence[str]) -> str | None:
    found = (
        re.search(r"answer is \(?([A-J])\)?", completion)
        or re.search(r".*[aA]nswer:\s*([A-J])", completion)
        or re.search(r"\b([A-J])\b(?!.*\b[A-J]\b)", completion, re.DOTALL)
    )
    return found[1] if found else None


_EXTRACTIONS: dict[str, Callable[[str, Sequence[str]], str | None]] = {
    "rules": chosen_letters,
    "simple_evals": _simple_evals,
    "mmlu_pro": _mmlu_pro,
}
