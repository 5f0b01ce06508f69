"""Countdown: reach a target with the given numbers, each used once."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.tasks.base import Task
from lit_passk.tasks.columns import from_json
from lit_passk.tasks.files import load_records
from lit_passk.tasks.math.text import boxed_answers, final_text
from lit_passk.tasks.puzzles.expressions import plain_sum, value_of
from lit_passk.tasks.records import Record, shown
from lit_passk.types import Problem, Score

# The question of TinyZero (examples/data_preprocess/countdown.py), which made the data set that is in wide use.
_PROMPT = (
    "Using the numbers {numbers}, create an equation that equals {target}. You can use basic arithmetic operations "
    "(+, -, *, /) and each number can only be used once. Show your work in <think> </think> tags. And return the final "
    "answer in <answer> </answer> tags, for example <answer> (1 + 2) / 3 </answer>."
)
_TRUTH = "reward_model.ground_truth"
_WHOLE = re.compile(r"\s*\d{1,1000}\s*")  # more digits cost an error of their own
_TAG = re.compile(r"<answer>(.*?)(?:</answer>|$)", re.DOTALL)
_FENCE = re.compile(r"```[a-z]*\n(.*?)```", re.DOTALL)
_RUN = re.compile(r"[-(\d][-+*/()\d\s=.]*[\d)]")


class CountdownTask(Task):
    """Numbers and a target, as in ``Jiayi-Pan/Countdown-Tasks-3to4``: columns ``nums`` (or ``numbers``) and ``target``.

    TinyZero's rows for verl have both in ``reward_model.ground_truth``.

    The answer is what the last answer tag holds, or else the last box, code block or line. It is worked out with
    fractions, so that nothing passes by rounding; "= target" at either end is allowed, ``×`` and LaTeX are understood.
    TinyZero's checker takes a tag in the last line alone, no equals sign, and accepts 1e-5.

    Args:
        path: A ``.jsonl`` or ``.parquet`` file, a folder of them, or ``owner/name`` on the Hugging Face hub.
        split: Of a hub data set, where ``train[327680:328704]`` are the rows that TinyZero holds out.
        subset: Configuration of a hub data set.
        use_all: Whether every number has to be used, as TinyZero wants it; else some may be left.
        expected_rows: Published number of rows, or several of them; another count warns.

    Example:
        >>> import json, pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "rows.jsonl"
        >>> _ = file.write_text(json.dumps({"nums": [44, 19, 35], "target": 98}))
        >>> task = CountdownTask(str(file))
        >>> task.score(task[0], "<think>So.</think> <answer> 44 + 19 + 35 </answer>").correct
        True

    """

    def __init__(
        self,
        path: str,
        split: str | None = None,
        subset: str | None = None,
        use_all: bool = True,
        expected_rows: int | Sequence[int] | None = None,
    ) -> None:
        self.use_all = use_all
        self.problems = [
            _problem(record, index) for index, record in enumerate(load_records(path, split, subset, expected_rows))
        ]

    def __len__(self) -> int:
        return len(self.problems)

    def __getitem__(self, index: int) -> Problem:
        return self.problems[index]

    def score(self, problem: Problem, completion: str) -> Score:
        """Work out the sum; correct if it is the target and uses the numbers as often as they are there."""
        wanted = json.loads(problem.answer)
        found = next((one for text in _candidates(completion) if (one := _sum_in(text, wanted["target"]))), None)
        if found is None:
            return Score(reward=0.0, correct=False)
        text, value, numbers = found
        left = Counter(wanted["nums"])
        left.subtract(numbers)
        used = all(count == 0 for count in left.values()) if self.use_all else min(left.values()) >= 0
        correct = used and value == wanted["target"]
        return Score(reward=float(correct), correct=correct, answer=text)


def _problem(record: Record, index: int) -> Problem:
    fields = record.fields
    if (
        "target" not in fields and "reward_model" in fields and not record.lacks(_TRUTH, "the numbers and the target")
    ):  # TinyZero's rows for verl
        truth = record.find(_TRUTH, "the numbers and the target")[1]
        opened = from_json(truth) if isinstance(truth, str) else truth
        fields = opened if isinstance(opened, Mapping) else fields
    numbers, target = (
        _whole(fields.get(name, fields.get(other))) for name, other in (("nums", "numbers"), ("target", ""))
    )
    given = [*numbers, target] if isinstance(numbers, list) and numbers else [None]
    if not all(type(number) is int for number in given):  # a truth value is none
        raise Refusal(
            f"{record.where} needs whole numbers in columns 'nums' (a list) and 'target', or in an object in "
            f"{_TRUTH!r}, but has {shown(numbers)} and {shown(target)}."
        )
    prompt = _PROMPT.format(numbers=list(numbers), target=target)
    return Problem(id=str(index), prompt=prompt, answer=json.dumps({"nums": list(numbers), "target": target}))


def _whole(value: Any) -> Any:
    """Whole numbers as such, where a row has floats or text of them."""
    value = from_json(value) if isinstance(value, str) else value
    if isinstance(value, list | tuple):
        return [_whole(one) for one in value]
    whole = value.is_integer() if isinstance(value, float) else isinstance(value, str) and _WHOLE.fullmatch(value)
    return int(value) if whole else value


def _candidates(completion: str) -> list[str]:
    """What may be the answer, the likeliest first; a tag or a box excludes all else."""
    if tags := _TAG.findall(completion):
        return [tags[-1]]
    text = final_text(completion)
    if boxed := boxed_answers(text):
        return boxed[:1]
    lines = [line for line in text.splitlines() if line.strip()]
    return [*_FENCE.findall(text)[-1:], *lines[-1:]]


def _sum_in(text: str, target: int) -> tuple[str, int | object, list[int]] | None:
    """The last sum in a text with its value and numbers; "= target" at one end is no part of it."""
    for run in reversed(_RUN.findall(plain_sum(text))):
        sides = [side.strip() for side in run.split("=")]
        if len(sides) == 2 and str(target) in sides:
            sides.remove(str(target))
        if len(sides) == 1 and (found := value_of(" ".join(sides[0].split()))) and len(found[1]) > 1:
            return sides[0], *found
    return None
