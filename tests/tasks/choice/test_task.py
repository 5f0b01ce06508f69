"""Rows of GPQA, MMLU-Pro and ARC as they are published become questions with letters."""

from __future__ import annotations

import json
import pickle

import pytest

from lit_passk.errors import Refusal
from lit_passk.tasks.choice import MultipleChoice
from lit_passk.tasks.choice.rows import choice_of, shuffled
from lit_passk.tasks.records import Record

GPQA = {
    "Record ID": "rec1",
    "Question": "Which particle is it?\n",
    "Correct Answer": "a muon\n",
    "Incorrect Answer 1": "an electron",
    "Incorrect Answer 2": "a pion",
    "Incorrect Answer 3": "a kaon",
    "Subdomain": "Particle physics",
}
MMLU_PRO = {
    "question_id": 70,
    "question": "Typical advertising?",
    "options": [f"kind {i}" for i in range(8)] + ["N/A", "N/A"],
    "answer": "H",
    "answer_index": 7,
    "cot_content": "",
    "category": "business",
    "src": "ori_mmlu",
}
ARC_LETTERS = {
    "id": "Mercury_1",
    "question": "What melts?",
    "choices": {"text": ["rock", "ice", "iron"], "label": ["A", "B", "C"]},
    "answerKey": "B",
}
ARC_NUMBERS = {**ARC_LETTERS, "id": "NYSEDREGENTS_2", "answerKey": "3"}
ARC_NUMBERS["choices"] = {"text": ["rock", "ice", "iron", "salt"], "label": ["1", "2", "3", "4"]}
MMLU = {"question": "2 + 2?", "subject": "algebra", "choices": ["3", "4", "5", "6"], "answer": 1}
LABELLED = {"question": "2 + 2?", "options": {"A": "3", "B": "4"}, "answer": "B"}
BY_TEXT = {"question": "2 + 2?", "options": ["3", "4"], "answer": "4"}


def task_of(tmp_path, *rows, **kwargs) -> MultipleChoice:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return MultipleChoice(str(path), **kwargs)


@pytest.mark.parametrize(
    ("row", "answer", "text"),
    [
        (MMLU_PRO, "H", "kind 7"),
        (ARC_LETTERS, "B", "ice"),
        (ARC_NUMBERS, "C", "iron"),
        ({**ARC_NUMBERS, "answerKey": "C"}, "C", "iron"),
        (MMLU, "B", "4"),
        (LABELLED, "B", "4"),
        (BY_TEXT, "B", "4"),
        ({**LABELLED, "options": [{"label": "A", "text": "3"}, {"label": "B", "text": "4"}]}, "B", "4"),
        ({**MMLU, "choices": "['3', '4', '5', '6']"}, "B", "4"),
    ],
)
def test_published_rows(row, answer, text, tmp_path):
    task = task_of(tmp_path, row)
    assert task[0].answer == answer
    assert f"({answer}) {text}" in task[0].prompt
    assert "N/A" not in task[0].prompt
    assert task.score(task[0], f"So it is \\boxed{{{answer}}}.").correct
    assert task.score(task[0], task.demonstration(0)).correct
    assert not task.score(task[0], "\\boxed{A}").correct


def test_gpqa_is_shuffled_by_seed_and_id_alone(tmp_path):
    rows = [{**GPQA, "Record ID": f"rec{i}"} for i in range(200)]
    task = task_of(tmp_path, *rows, expected_rows=200)
    answers = [problem.answer for problem in task.problems]
    assert {answers.count(letter) > 25 for letter in "ABCD"} == {True}
    assert [problem.answer for problem in task_of(tmp_path, *rows[::-1]).problems] == answers[::-1]
    other = [problem.answer for problem in task_of(tmp_path, *rows, shuffle_seed=1).problems]
    assert other != answers
    for problem in task.problems:
        assert f"({problem.answer}) a muon\n" in problem.prompt
        assert sorted(problem.metadata["options"]) == ["a kaon", "a muon", "a pion", "an electron"]


def test_a_shuffle_is_the_same_on_every_machine():
    choice = choice_of(Record("row 1", GPQA), 0)
    # sha256 of seed, id and position decides, so these orders are facts.
    assert [shuffled(choice, seed).right for seed in range(6)] == [0, 3, 2, 2, 3, 2]


def test_others_keep_their_order_unless_asked(tmp_path):
    assert task_of(tmp_path, MMLU_PRO)[0].metadata["options"] == MMLU_PRO["options"][:8]
    mixed = task_of(tmp_path, MMLU_PRO, shuffle_seed=3)
    assert mixed[0].metadata["options"] != MMLU_PRO["options"][:8]
    assert mixed[0].metadata["options"]["ABCDEFGH".index(mixed[0].answer)] == "kind 7"


def test_prompts_of_other_evaluations(tmp_path):
    simple = task_of(tmp_path, ARC_LETTERS, prompt="simple_evals")
    assert simple[0].prompt.endswith("What melts?\n\nA) rock\nB) ice\nC) iron")
    assert "where LETTER is one of ABC." in simple[0].prompt
    pro = task_of(tmp_path, MMLU_PRO, prompt="mmlu_pro")
    assert "(with answers) about business. Think" in pro[0].prompt
    assert pro[0].prompt.endswith("\nH. kind 7\nAnswer: Let's think step by step.")
    for task in (simple, pro):
        assert task.score(task[0], task.demonstration(0)).correct


@pytest.mark.parametrize(
    ("extraction", "completion", "answer"),
    [
        ("simple_evals", "Answer: A. No, Answer: B", "A"),
        ("simple_evals", "The answer is (B).", None),
        ("simple_evals", "answer : $B$", "B"),
        ("mmlu_pro", "the answer is (B). Or the answer is (C)", "B"),
        ("mmlu_pro", "Answer: C", "C"),
        ("mmlu_pro", "I would say B, or C then", "C"),
        ("mmlu_pro", "none", None),
        ("rules", "Answer: A. No, Answer: B", "B"),
    ],
)
def test_extraction_of_other_evaluations(extraction, completion, answer, tmp_path):
    task = task_of(tmp_path, ARC_LETTERS, extraction=extraction)
    score = task.score(task[0], completion)
    assert (score.answer, score.correct) == (answer, answer == "B")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": "?", "answer": "A"}, "needs its options in options or choices"),
        ({**LABELLED, "answer": "C"}, "must name one of its 2 options in column 'answer', but has 'C'"),
        ({**MMLU, "answer": 4}, "must name one of its 4 options"),
        ({key: value for key, value in LABELLED.items() if key != "answer"}, "has no column 'Correct Answer' or "),
        ({**LABELLED, "options": {"A": "3"}, "answer": "A"}, "needs 2 to 26 options, but has 1"),
        ({**LABELLED, "options": 7}, "needs a list or labelled options in column 'options', but has 7"),
        ({**LABELLED, "options": {}}, "needs a list or labelled options"),
        ({**LABELLED, "options": {"text": ["1", "2"], "label": None}}, "needs a list or labelled options"),
        ({**LABELLED, "options": {"text": ["1", "2"], "label": ["A"]}}, "needs a list or labelled options"),
        ({**LABELLED, "options": [{"text": "1", "label": []}]}, "needs a list or labelled options"),
        ({**LABELLED, "options": [{"text": "1"}]}, "needs a list or labelled options"),
        (
            {**LABELLED, "options": "nan", "answer": 1},
            "needs a list or labelled options in column 'options', but has 'nan'",
        ),
        ({**LABELLED, "options": "[]", "answer": 1}, "needs a list or labelled options"),
        ({**LABELLED, "options": ["\ud800", "2"], "answer": 1}, "holds half of a surrogate pair"),
        ({**LABELLED, "passage": "\ud800"}, "holds half of a surrogate pair"),
        ({**LABELLED, "options": {"A": "3", "B": ""}}, "names an option in column 'answer' that has no text"),
    ],
)
def test_rows_that_are_no_question_are_refused(row, reason, tmp_path):
    with pytest.raises(Refusal, match=f"rows.jsonl line 1 {reason}"):
        task_of(tmp_path, row)


def test_a_row_without_a_right_answer_is_left_out_and_counted(tmp_path):
    lost = [{**LABELLED, "id": "lost", "answer": None}, {**GPQA, "Correct Answer": ""}]
    with pytest.warns(UserWarning, match="2 of 3 rows of .* have no reference answer and are left out"):
        task = task_of(tmp_path, *lost, LABELLED)
    assert len(task) == 1
    with pytest.raises(Refusal, match=r"No row of .* has a reference answer"):
        task_of(tmp_path, *lost)


def test_other_refusals(tmp_path):
    with pytest.raises(Refusal, match="line 2 has the id 'rec1', which an earlier row has as well"):
        task_of(tmp_path, GPQA, GPQA)
    with pytest.raises(Refusal, match="a prompt among boxed, simple_evals, mmlu_pro, but got 'cot'"):
        task_of(tmp_path, GPQA, prompt="cot")
    with pytest.raises(Refusal, match="an extraction among rules, simple_evals, mmlu_pro, but got 'regex'"):
        task_of(tmp_path, GPQA, extraction="regex")
    with pytest.warns(UserWarning, match="has 1 rows, but the published data set has 198"):
        task = task_of(tmp_path, GPQA, expected_rows=198)
    assert pickle.loads(pickle.dumps(task))[0] == task[0]
