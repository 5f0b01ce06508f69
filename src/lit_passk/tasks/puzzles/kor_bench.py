"""KOR-Bench (arXiv 2410.06526): questions on rules that no pretraining can know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lit_passk.errors import Refusal
from lit_passk.inputs import expanded, read_yaml
from lit_passk.tasks.base import Task
from lit_passk.tasks.files import check_count, load_records
from lit_passk.tasks.math.text import final_text
from lit_passk.tasks.puzzles.kor_rules import is_right
from lit_passk.types import Problem, Score

CATEGORIES = ("cipher", "counterfactual", "logic", "operation", "puzzle")


class KORBenchTask(Task):
    """KOR-Bench from a clone of https://github.com/KOR-Bench/KOR-Bench, with its zero-shot prompts and its scoring.

    Each of the five categories has 250 questions on 25 rules. ``kor_rules.py`` says when an answer is right: as in its
    own evaluation, but for the operations whose answer is a formula.

    Args:
        path: The clone's folder, with ``data/<category>/sample.jsonl`` and ``rule.jsonl`` and the prompts in
            ``config/prompt/zero-shot.yaml``.
        categories: Which of the categories.
        expected_rows: Published number of questions, or several of them; another count warns.
    """

    use_workers = True

    def __init__(
        self,
        path: str,
        categories: Sequence[str] = CATEGORIES,
        expected_rows: int | Sequence[int] | None = None,
    ) -> None:
        if unknown := [name for name in categories if name not in CATEGORIES]:
            raise Refusal(f"KORBenchTask has the categories {', '.join(CATEGORIES)}, but got {unknown[0]!r}.")
        folder = expanded(path)
        prompts = folder / "config/prompt/zero-shot.yaml"
        if not prompts.is_file():
            raise Refusal(
                f"KORBenchTask needs a clone of https://github.com/KOR-Bench/KOR-Bench in {path!r}, but there is no "
                f"{prompts}."
            )
        found = read_yaml(prompts)
        try:
            templates = {name: str(found[f"{name}_prompt_format"][0]) for name in categories}
            for template in templates.values():
                template.format("the rule", "the question")
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise Refusal(
                f"{prompts} needs a list `<category>_prompt_format`, whose first text has a {{}} for the rule and one "
                f"for the question, for each of {', '.join(categories)} ({type(error).__name__}: {error})."
            ) from None
        self.problems = [problem for name in categories for problem in _problems(folder, name, templates[name])]
        check_count(len(self.problems), expected_rows, repr(path))

    def __len__(self) -> int:
        return len(self.problems)

    def __getitem__(self, index: int) -> Problem:
        return self.problems[index]

    def score(self, problem: Problem, completion: str) -> Score:
        """Compare the first answer in double brackets by the rules of its category."""
        given = problem.metadata
        correct, answer = is_right(
            final_text(completion), problem.answer, given["category"], given["rule_id"], given["idx"]
        )
        return Score(reward=float(correct), correct=correct, answer=answer)


def _problems(folder: Path, category: str, template: str) -> list[Problem]:
    rules = {
        record.text("idx", "the rule's number"): record.text("rule_content", "the rule")
        for record in load_records(str(folder / "data" / category / "rule.jsonl"))
    }
    problems = []
    for record in load_records(str(folder / "data" / category / "sample.jsonl")):
        number, rule = record.text("idx", "the question's number"), record.text("rule_id", "the rule's number")
        if not (number.isdecimal() and rule.isdecimal()):
            raise Refusal(f"{record.where} needs whole numbers for idx and rule_id, but has {number!r} and {rule!r}.")
        if rule not in rules:
            raise Refusal(f"{record.where} is on rule {rule!r}, which {category}/rule.jsonl does not have.")
        problems.append(
            Problem(
                id=f"{category}-{number}",
                prompt=template.format(rules[rule], record.text("question", "the question")),
                answer=record.text("answer", "the reference answer"),
                metadata={"category": category, "rule_id": int(rule), "idx": int(number)},
            )
        )
    return problems
