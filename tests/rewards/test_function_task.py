"""Rows whose completions are judged by verl's or TRL's functions, as their users have them."""

from __future__ import annotations

import json

import pytest

from lit_passk.rewards import FunctionTask, RewardedTask, SoftOverlong, Verdict
from lit_passk.rewards.function_task import reference_text
from lit_passk.scoring.scorer import Scorer
from lit_passk.tasks.records import Record
from lit_passk.tasks.scores import BadScore
from lit_passk.types import CompletionText

FUNCTIONS = '''
import re


def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    """Countdown, in the manner of verl's recipes: the ground truth is an object."""
    assert data_source == "countdown" and extra_info["index"] >= 0
    equation = re.findall(r"<answer>(.*?)</answer>", solution_str)
    if not equation:
        return {"score": -1.0, "acc": False}
    numbers = sorted(int(n) for n in re.findall(r"\\d+", equation[-1]))
    right = numbers == sorted(ground_truth["numbers"]) and eval(equation[-1]) == ground_truth["target"]
    return {"score": 1.0 if right else 0.1, "acc": right}


def keyword_reward(prompts, completions, keywords, **kwargs):
    """TRL: lists, completions of chats are chats."""
    texts = [completion[0]["content"] for completion in completions]
    return [sum(word in text for word in words) / len(words) for text, words in zip(texts, keywords)]


def sometimes(completions, **kwargs):
    return [None if "?" in text else 1.0 for text in completions]


def wrong(completion):
    return "good"


def too_few(completions, scores):
    return [1.0]
'''
COUNTDOWN = [
    {
        "data_source": "countdown",
        "prompt": [{"role": "user", "content": f"Make {target} of {numbers}."}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": {"target": target, "numbers": numbers}},
        "extra_info": {"split": "train", "index": index},
    }
    for index, (target, numbers) in enumerate([(7, [3, 4]), (6, [8, 2])])
]
TRL = [{"prompt": [{"role": "user", "content": "Write."}], "keywords": ["sea", "sun"], "notes": "x" * 9000}]


@pytest.fixture
def made(tmp_path):
    (tmp_path / "functions.py").write_text(FUNCTIONS)

    def make(rows, name, **arguments):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return FunctionTask(str(path), f"{tmp_path / 'functions.py'}:{name}", **arguments)

    return make


@pytest.mark.parametrize("as_text", [False, True], ids=["nested", "JSON text"])
def test_verls_function_judges_verls_rows(made, as_text):
    rows = COUNTDOWN
    if as_text:
        names = ("prompt", "reward_model", "extra_info")
        rows = [row | {name: json.dumps(row[name]) for name in names} for row in rows]
    task = made(rows, "compute_score")
    assert [problem.source for problem in task] == ["countdown"] * 2
    assert json.loads(task[0].answer) == {"target": 7, "numbers": [3, 4]}
    said = [task.score(task[0], CompletionText(text)) for text in ("<answer>3+4</answer>", "<answer>3*4</answer>", "7")]
    assert [(score.reward, score.correct) for score in said] == [(1.0, True), (0.1, False), (-1.0, False)]
    assert task.score(task[1], CompletionText("<answer>8-2</answer>")).correct


def test_trls_function_judges_groups_by_the_columns_of_the_row(made):
    task = made(TRL, "keyword_reward", correct_from=0.5)
    assert task.scores_groups
    texts = [CompletionText(text) for text in ("the sea", "the sun on the sea", "the land")]
    scores = task.score_group(task[0], texts, [task.score(task[0], text) for text in texts])
    assert [(score.reward, score.correct) for score in scores] == [(0.5, True), (1.0, True), (0.0, False)]
    assert task[0].metadata == {"keywords": ["sea", "sun"], "notes": "x" * 9000}, "of any size"
    assert task[0].answer == "", "the function may need no reference"


def test_in_worker_processes_and_paid_for_more(made):
    task = made(COUNTDOWN, "compute_score")
    paid = RewardedTask(task, {"verdict": Verdict(), "short": SoftOverlong(max_tokens=10, buffer=5)})
    with Scorer({"plain": task, "paid": paid}, num_workers=1, timeout=60) as scorer:
        text = CompletionText("<answer>3+4</answer>", num_tokens=10)
        plain, more = (scorer.submit(name, task[0], text).result() for name in ("plain", "paid"))
        raised = scorer.submit("plain", task[0], CompletionText("<answer>3+4(</answer>")).result()
    assert (plain.reward, plain.correct) == (1.0, True)
    assert (more.reward, more.correct) == (0.0, True)
    assert raised.error is not None, "what the function raises leaves the completion unscored"


def test_rows_without_an_answer_are_left_out_where_one_is_asked_for(made):
    rows = [{"prompt": "a", "answer": None}, {"prompt": "b", "answer": "1"}]
    assert len(made(rows, "sometimes")) == 2
    with pytest.warns(UserWarning, match="1 of 2 rows .* left out"):
        task = made(rows, "sometimes", answer_column="answer")
    assert [(problem.id, problem.answer) for problem in task] == [("1", "1")]


def test_what_does_not_apply_is_no_zero(made):
    task = made([{"prompt": "a"}], "sometimes")
    scores = task.score_group(task[0], [CompletionText("?"), CompletionText("!")], [])
    assert [score.error is None for score in scores] == [False, True]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong", r"wrong must return a number, but returned 'good'"),
        ("too_few", "a list with one number for each"),
    ],
)
def test_a_wrong_return_is_named(made, name, message):
    task = made([{"prompt": "a"}], name)
    texts = [CompletionText("x"), CompletionText("y")]
    with pytest.raises(BadScore, match=message):
        task.score_group(task[0], texts, []) if task.scores_groups else task.score(task[0], texts[0])


def test_a_column_that_no_row_has_is_named(made):
    with pytest.raises(ValueError, match="needs a column 'keywords', but no row"):
        made([{"prompt": "a"}], "keyword_reward")
    with pytest.raises(ValueError, match="no_such"):
        made([{"prompt": "a"}], "no_such")


def test_a_reference_of_objects_keeps_its_letters():
    assert reference_text(Record("rows.jsonl line 1", {"answer": {"où": ["é", 1]}}), None) == '{"où": ["é", 1]}'
