"""One row of a multiple-choice data set as a question, its options and the right one."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lit_passk.errors import Refusal
from lit_passk.printable import surrogate
from lit_passk.tasks.records import Record, is_missing, plain_text, shown

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_QUESTION = (
    "question", "Question", "problem", "Problem", "prompt", "query", "question_stem", "ctx", "goal", "sentence",
)  # fmt: skip
_PASSAGES = ("article", "passage", "context")  # what the question is about: RACE, LogiQA, ReClor, SocialIQA
_IDS = ("id", "question_id", "Record ID", "unique_id")
_OWN_LETTER = re.compile(r"\(?([A-Z])[).:]\s*(.+)", re.DOTALL)
_RIGHT_AND_WRONG = {  # GPQA, SciQ
    "Correct Answer": ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"),
    "correct_answer": ("distractor1", "distractor2", "distractor3"),
}
_OPTIONS = ("options", "choices", "endings", "answers")
_OWN_COLUMNS = [  # an option a column, and how the first one is called: a letter also has its position, from 0
    (re.compile("[A-J]"), "A"),  # C-Eval and CMMLU
    (re.compile("op[a-d]"), "A"),  # MedMCQA
    (re.compile("sol[12]"), "A"),  # PIQA
    (re.compile("answer[A-C]"), "1"),  # SocialIQA
    (re.compile(r"(?:option|choice)[_ ]?[A-Ja-j]"), "A"),
    (re.compile(r"(?:option|choice)[_ ]?\d"), "1"),  # WinoGrande; MMLU-ProX counts from 0
]
_IN_A_TEXT = re.compile(r"(?:^|,)\s*[a-e]\s*\)\s*")  # a ) 12 , b ) 15: MathQA
_ANSWERS = (
    "answerKey", "answer_letter", "answer_index", "answer", "Answer", "correct", "correct_answer", "correct_option",
    "cop", "label", "gold",
)  # fmt: skip
ANSWERS = ("Correct Answer", *_ANSWERS)
"""Columns that may hold the right answer."""
_SUBJECTS = ("category", "subject", "Subdomain")


class Choice(NamedTuple):
    """A question with its options in the order of the data set."""

    id: str
    question: str
    options: list[str]
    right: int
    """Index of the right option."""
    subject: str
    """What the question is about, empty where the data set does not say."""
    right_first: bool
    """Whether the data set gives the right option first, so that only a shuffled order makes a question of it."""


def choice_of(record: Record, index: int) -> Choice:
    """Read a row in one of the published layouts.

    - GPQA: ``Question``, ``Correct Answer``, ``Incorrect Answer 1`` to ``3``; SciQ: ``correct_answer``, ``distractor1``
      to ``3``
    - MMLU-Pro and MMLU: ``question``, ``options`` or ``choices`` (a list), ``answer`` (a letter or a position from 0)
    - ARC: ``question``, ``choices`` (``text`` and ``label``), ``answerKey`` (one of the labels, ``A`` or ``1``)
    - options by label: ``options`` is ``{"A": ..., "B": ...}``, or a column each: ``A`` to ``D``, ``opa`` to ``opd``,
      ``option1`` and ``option2``, ``sol1`` and ``sol2``
    - options that begin with their own letter (AQuA): ``["A)21", "B)22"]``, or all in one text (MathQA)
    - what the question is about in ``article``, ``passage`` or ``context``, which goes before it

    Options that are missing, or "N/A" as in MMLU-Pro's padding, are left out. An answer may also be an option's text.

    Raises:
        Refusal: If the row has other columns, fewer than two options, or an answer that is none of them.
    """
    fields = record.fields
    found = next((fields[name] for name in _IDS if not is_missing(fields.get(name))), index)
    question = record.text(_QUESTION, "the question").strip()
    passages = [fields[name].strip() for name in _PASSAGES if isinstance(fields.get(name), str)]
    question = "\n\n".join([*filter(None, passages[:1]), question])
    subject = next((str(fields[name]) for name in _SUBJECTS if not is_missing(fields.get(name))), "")
    for name, others in _RIGHT_AND_WRONG.items():
        if name in fields and others[0] in fields:
            options = [record.text(one, "an option").strip() for one in (name, *others) if one in fields]
            return _checked(record, Choice(str(found), question, options, 0, subject, right_first=True))
    labels, texts = _options(record)
    name, answer = record.find(_ANSWERS, "the reference answer")
    right = _position(answer, labels, texts)
    if right is None:
        raise Refusal(
            f"{record.where} must name one of its {len(texts)} options in column {name!r}, but has {shown(answer)}."
        )
    kept = [at for at, text in enumerate(texts) if text and (at == right or text.upper() != "N/A")]
    if right not in kept:
        raise Refusal(f"{record.where} names an option in column {name!r} that has no text.")
    options = [texts[at] for at in kept]
    return _checked(record, Choice(str(found), question, options, kept.index(right), subject, right_first=False))


def shuffled(choice: Choice, seed: int) -> Choice:
    """The options in an order that only the seed, the question's id and the number of options decide."""

    def key(at: int) -> bytes:
        return hashlib.sha256(f"{seed}\0{choice.id}\0{at}".encode()).digest()

    order = sorted(range(len(choice.options)), key=key)
    return choice._replace(options=[choice.options[at] for at in order], right=order.index(choice.right))


def _checked(record: Record, choice: Choice) -> Choice:
    if not 2 <= len(choice.options) <= len(LETTERS):
        raise Refusal(f"{record.where} needs 2 to {len(LETTERS)} options, but has {len(choice.options)}.")
    for text in (choice.question, choice.subject, *choice.options):
        if (half := surrogate(text)) is not None:
            raise Refusal(f"{record.where} holds half of a surrogate pair ({half}), which is no text: {shown(text)}.")
    return choice


def _options(record: Record) -> tuple[list[str], list[str]]:
    """Labels and texts; the labels are letters where the data set has none."""
    fields = record.fields
    name = next((name for name in _OPTIONS if not is_missing(fields.get(name))), None)
    if name is None:
        return _in_own_columns(record)
    value = fields[name]
    if isinstance(value, str):  # a list that a CSV file made a text of
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            value = _IN_A_TEXT.split(value)[1:]
    try:
        if isinstance(value, Mapping) and {"text", "label"} <= value.keys():
            value = dict(zip(value["label"], value["text"], strict=True))
        elif isinstance(value, Sequence) and value and all(isinstance(one, Mapping) for one in value):
            value = {one["label"]: one["text"] for one in value}
    except (TypeError, ValueError, LookupError):  # no lists, lists of two lengths, or an option without a label
        value = None
    if isinstance(value, Mapping) and value:
        return [str(label) for label in value], [_text(text) for text in value.values()]
    if isinstance(value, list | tuple) and value:
        labelled = [_OWN_LETTER.fullmatch(_text(text)) for text in value]
        if [match and match[1] for match in labelled] == list(LETTERS[: len(value)]):
            value = [match[2] for match in labelled if match]
        return list(LETTERS[: len(value)]), [_text(text) for text in value]
    raise Refusal(f"{record.where} needs a list or labelled options in column {name!r}, but has {shown(fields[name])}.")


def _in_own_columns(record: Record) -> tuple[list[str], list[str]]:
    for pattern, first in _OWN_COLUMNS:
        columns = sorted(filter(pattern.fullmatch, record.fields))
        if len(columns) > 1:
            from_1 = first == "1" and not columns[0].endswith("0")
            labels = map(str, range(1, len(columns) + 1)) if from_1 else LETTERS
            return list(labels)[: len(columns)], [_text(record.fields[name]) for name in columns]
    raise Refusal(
        f"{record.where} needs its options in {' or '.join(_OPTIONS)}, or in 'Correct Answer', 'Incorrect Answer 1', "
        f"...; its columns are {', '.join(map(repr, record.fields))}."
    )


def _text(value: Any) -> str:
    return (plain_text(value) or "").strip()


def _position(answer: Any, labels: Sequence[str], texts: Sequence[str]) -> int | None:
    """Which option an answer means: by its label, its text or, as a number, its position from 0."""
    answer = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
    name = _text(answer).strip("() .")
    if name in labels:
        return labels.index(name)
    if isinstance(answer, str) and _text(answer) in texts:
        return texts.index(_text(answer))
    if name.isdecimal() and labels[0] == "A":
        return int(name) if int(name) < len(texts) else None
    if len(name) == 1 and name.upper() in LETTERS[: len(texts)]:  # a letter where the labels are numbers
        return LETTERS.index(name.upper())
    return None
