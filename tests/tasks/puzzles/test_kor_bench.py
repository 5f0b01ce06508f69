"""KOR-Bench: answers in its form are compared by the rule of their category."""

from __future__ import annotations

import json

import pytest

from lit_passk.errors import Refusal
from lit_passk.tasks.puzzles import KORBenchTask
from lit_passk.tasks.puzzles.kor_bench import CATEGORIES
from lit_passk.tasks.puzzles.kor_rules import is_right


@pytest.mark.parametrize(
    ("category", "rule", "number", "answer", "text", "right"),
    [
        ("cipher", 1, 1, "[[EM]]", "So it is [[E M]].", True),
        ("cipher", 1, 1, "[[EM]]", "[[em]]", False),
        ("cipher", 1, 1, "[[EM]]", "First [[EN]], then [[EM]]", False),  # the first one counts
        ("cipher", 1, 1, "[[EM]]", "$\\boxed{EM}$", True),
        ("cipher", 1, 1, "[[EM]]", "it is EM", False),
        ("counterfactual", 1, 1, "[[C]]", "[C]", True),
        ("logic", 1, 1, "[[p1&p2];[p3||p4]]", "[[p1 & p2]; [p3 || p4]]", True),
        ("logic", 1, 1, "[[A];[B]]", "[[B];[A]]", False),
        ("logic", 5, 30, "[[A];[B]]", "[[A];[B]]", True),
        ("operation", 1, 1, "[[24]]", "[[ 24 ]]", True),
        ("operation", 2, 12, "[[4or-12]]", "[[-12 or 4]]", True),
        ("operation", 2, 12, "[[4or-12]]", "[[4]]", False),
        ("operation", 6, 178, "[[X\u22656]]", "[[x \u2265 6]]", True),
        ("operation", 18, 171, "[[{w,y}]]", "[[{y, w}]]", True),
        ("operation", 23, 224, "[[((1,16),(2,1))]]", "[[((1, 16), (2, 1))]]", True),
        ("operation", 16, 153, "[[\\frac{1}{2\\sqrt{x}}-\\sin(x)]]", "[[-\\sin(x) + \\frac{1}{2\\sqrt{x}}]]", True),
        (
            "operation",
            16,
            153,
            "[[\\frac{1}{2\\sqrt{x}}-\\sin(x)]]",
            "[[f(x) = \\frac{1}{2\\sqrt{x}}+\\sin(x)]]",
            False,
        ),
        ("operation", 16, 153, "[[1or2]]", "[[2 or 1]]", True),
        ("operation", 16, 153, "[[1or2]]", "[[1 or 1]]", False),
        ("puzzle", 1, 1, "[[nine ten]]", "[[Nine, ten]]", True),
        ("puzzle", 3, 21, "[[act cat]]", "[[cat, act]]", True),
        ("puzzle", 5, 41, "[[O=3,N=9]]", "[[N = 9, O = 3]]", True),
        ("puzzle", 9, 81, "[[3/1+2*3+5=14]]", "[[3 / 1 + 2 \N{MULTIPLICATION SIGN} 3 + 5 = 14]]", True),
        ("puzzle", 9, 81, "[[3/1+2*3+5=14]]", "[[3/1+2*3+4=14]]", False),
        ("puzzle", 10, 91, "[[6*8/(9-7)]]", "[[8 / (9 - 7) * 6]]", True),
        ("puzzle", 10, 91, "[[6*8/(9-7)]]", "[[6 + 8 + 9 + 7]]", False),
        ("puzzle", 10, 91, "[[6*8/(9-7)]]", "[[__import__('os')]]", False),
        ("puzzle", 18, 171, "[[1 \u2192,2 X]]", "[[1 \u2192, 2 X]]", True),
        ("puzzle", 15, 141, "[[9 6,5 7]]", "[[9 6\n5 7]]", True),
        ("puzzle", 15, 141, "[[9 6,5 7]]", "[9 6,5 7]", False),
    ],
)
def test_answers_are_compared_by_their_rule(category, rule, number, answer, text, right):
    assert is_right(text, answer, category, rule, number)[0] is right


@pytest.fixture
def clone(tmp_path):
    prompts = tmp_path / "config/prompt/zero-shot.yaml"
    prompts.parent.mkdir(parents=True)
    lines = [
        f"{name}_prompt_format:\n  - |\n    Rule of {name}:\n    {{}}\n    Question: {{}}\n" for name in CATEGORIES
    ]
    prompts.write_text("".join(lines))
    for name in CATEGORIES:
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        (folder / "rule.jsonl").write_text(json.dumps({"idx": "7", "rule_content": "Add {one}."}) + "\n")
        row = {"idx": "1", "question": "What is 1?", "answer": "[[2]]", "rule_id": "7"}
        (folder / "sample.jsonl").write_text(json.dumps(row) + "\n")
    return tmp_path


def test_questions_come_with_their_rule_in_its_prompt(clone):
    task = KORBenchTask(str(clone), expected_rows=5)
    assert [problem.id for problem in task.problems] == [f"{name}-1" for name in CATEGORIES]
    assert task[0].prompt == "Rule of cipher:\nAdd {one}.\nQuestion: What is 1?\n"
    score = task.score(task[0], "<think>[[3]]</think> [[2]]")
    assert (score.correct, score.answer) == (True, "2")
    assert not task.score(task[0], "[[3]]").correct
    with pytest.warns(UserWarning, match="has 1 rows, but the published data set has 1250"):
        KORBenchTask(str(clone), categories=["logic"], expected_rows=1250)


def test_refusals(clone, tmp_path):
    with pytest.raises(Refusal, match=r"has the categories cipher, .*, but got 'maths'"):
        KORBenchTask(str(clone), categories=["maths"])
    with pytest.raises(Refusal, match=r"needs a clone of https://github.com/KOR-Bench/KOR-Bench in 'nowhere'"):
        KORBenchTask("nowhere")
    (clone / "data/logic/rule.jsonl").write_text(json.dumps({"idx": "8", "rule_content": "No."}) + "\n")
    with pytest.raises(Refusal, match=r"sample.jsonl line 1 is on rule '7', which logic/rule.jsonl does not have"):
        KORBenchTask(str(clone))


@pytest.mark.parametrize(
    "prompts",
    ["a: [", "- 1", "", "[" * 10_000, "logic_prompt_format: 5", "logic_prompt_format: []"]
    + [f"logic_prompt_format: ['{text}']" for text in ("{", "{x}", "{0.x}", "{}{}{}")],
)
def test_prompts_of_another_form_are_refused(clone, prompts):
    (clone / "config/prompt/zero-shot.yaml").write_text(prompts)
    what = "is not valid YAML" if prompts.endswith("[") else "needs a list `<category>_prompt_format`"
    with pytest.raises(Refusal, match=f"zero-shot.yaml {what}"):
        KORBenchTask(str(clone), categories=["logic"])


@pytest.mark.parametrize("column", ["idx", "rule_id"])
def test_numbers_that_are_none_are_refused(clone, column):
    row = {"idx": "1", "question": "What is 1?", "answer": "[[2]]", "rule_id": "7", column: "1.5"}
    (clone / "data/logic/rule.jsonl").write_text(json.dumps({"idx": row["rule_id"], "rule_content": "Add."}) + "\n")
    (clone / "data/logic/sample.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(Refusal, match=r"line 1 needs whole numbers for idx and rule_id, but has .*1\.5"):
        KORBenchTask(str(clone), categories=["logic"])
