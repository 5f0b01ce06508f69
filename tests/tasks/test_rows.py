"""Rows of verl, TRL, slime and well-known data sets, hand-written as their documentation has them, load as they are."""

from __future__ import annotations

import json
import sys
import types
import warnings

import pytest

from lit_passk.tasks.math import MathTask
from lit_passk.tasks.math.task import INSTRUCTION

GSM8K = "Natalia sold 48 clips in April and half as many in May. How many in all?"
VERL = [
    {
        "data_source": "openai/gsm8k",
        "prompt": [{"role": "user", "content": f'{GSM8K} Let\'s think step by step and output after "####".'}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": "72"},
        "extra_info": {"split": "train", "index": 0, "answer": "48 + 24 = 72\n#### 72", "question": GSM8K},
    },
    {
        "data_source": "math_dapo",
        "prompt": [
            {"role": "system", "content": "The last line is Answer: $Answer."},
            {"role": "user", "content": "What is $3/6$?"},
        ],
        "ability": "MATH",
        "reward_model": {"style": "rule-lighteval/MATH_v2", "ground_truth": "\\frac{1}{2}"},
        "extra_info": {"split": "train", "index": 1, "answer": None, "question": None},
    },
]


def jsonl(tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def parquet(tmp_path, rows):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    path = tmp_path / "rows.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), path)
    return str(path)


def hub(monkeypatch, rows):
    """A hub data set, without the hub: only the download is replaced, if the datasets package is there."""
    try:
        import datasets
    except ImportError:
        datasets = types.ModuleType("datasets")
        monkeypatch.setitem(sys.modules, "datasets", datasets)
        made = rows
    else:
        made = datasets.Dataset.from_list(rows)
    monkeypatch.setattr(datasets, "load_dataset", lambda path, subset, split: made, raising=False)
    return "owner/name"


def as_text(row, *columns):
    return {name: json.dumps(value) if name in columns else value for name, value in row.items()}


@pytest.fixture(params=["JSONL", "JSONL with JSON text", "Parquet", "Parquet with JSON text", "hub", "hub with text"])
def verl_rows(request, tmp_path, monkeypatch):
    rows = VERL
    if "text" in request.param:
        rows = [as_text(row, "prompt", "reward_model", "extra_info") for row in VERL]
    if "hub" in request.param:
        return {"path": hub(monkeypatch, rows), "split": "train"}
    return {"path": (parquet if "Parquet" in request.param else jsonl)(tmp_path, rows)}


def test_verls_rows_load_without_naming_a_column(verl_rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = MathTask(**verl_rows)
    assert [problem.prompt for problem in task] == [row["prompt"] for row in VERL], "they say how to answer"
    assert [problem.answer for problem in task] == ["72", "\\frac{1}{2}"]
    assert [problem.source for problem in task] == ["openai/gsm8k", "math_dapo"]
    assert [problem.id for problem in task] == ["0", "1"]
    for problem, row in zip(task, VERL, strict=True):
        assert problem.metadata == {name: value for name, value in row.items() if name != "prompt"}
    assert task.score(task[0], "48 + 24 = 72.\n#### 72").correct
    assert task.score(task[1], "Half.\nAnswer: $0.5$").correct
    assert not task.score(task[1], "Half.\nAnswer: $5$").correct


def test_dotted_columns_name_anything(verl_rows):
    task = MathTask(
        **verl_rows,
        prompt_column="prompt",
        answer_column=("reward_model.ground_truth",),
        id_column="extra_info.index",
        source_column="ability",
        metadata_columns=["extra_info.split"],
        instruction="Box it.",
    )
    assert [problem.id for problem in task] == ["0", "1"]
    assert [problem.source for problem in task] == ["math", "MATH"]
    assert [problem.metadata for problem in task] == [{"extra_info.split": "train"}] * 2
    assert task[1].prompt[-1]["content"] == "What is $3/6$?\nBox it."
    assert task[1].prompt[0] == VERL[1]["prompt"][0]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("reward_model.answer", "'reward_model' holds an object with the keys .*'ground_truth'"),
        ("extra_info.index.x", "'extra_info.index' holds 0"),
        ("rewards.answer", "Its columns are 'data_source', 'prompt', 'ability', 'reward_model', 'extra_info'"),
    ],
)
def test_a_wrong_dotted_column_is_named_with_what_is_there(verl_rows, column, message):
    where = r"(rows.jsonl line|rows.parquet row|owner/name\[train\] row) 1 has no column "
    with pytest.raises(ValueError, match=f"{where}'{column}' for the reference answer. {message}"):
        MathTask(**verl_rows, answer_column=column)


@pytest.mark.parametrize("missing", [None, float("nan"), "", "  ", []])
@pytest.mark.parametrize("whole", [False, True], ids=["ground_truth", "reward_model"])
def test_a_row_without_an_answer_is_left_out_and_counted(tmp_path, missing, whole):
    lost = {**VERL[0], "reward_model": missing if whole else {"style": "rule", "ground_truth": missing}}
    path = jsonl(tmp_path, [VERL[1], lost, VERL[0], lost])
    with pytest.warns(UserWarning, match=r"2 of 4 rows of .* left out, the first at .*rows.jsonl line 2"):
        task = MathTask(path)
    assert [(problem.id, problem.answer) for problem in task] == [("0", "\\frac{1}{2}"), ("2", "72")]
    with pytest.raises(ValueError, match=r"No row of .* has a reference answer"):
        MathTask(jsonl(tmp_path, [lost]))


MESSAGES = [{"role": "user", "content": "2+2?"}]
SOLUTION = "We add: $2+2=\\boxed{4}$, as $\\boxed{4}$ is right."


@pytest.mark.parametrize(
    ("row", "prompt", "answer"),
    [
        # TRL: standard, conversational, pairs
        ({"prompt": "2+2?", "ground_truth": "4"}, "2+2?", "4"),
        ({"prompt": "2+2?", "answer": 4}, "2+2?", "4"),
        ({"prompt": MESSAGES, "solution": "$\\boxed{4}$"}, MESSAGES, "4"),
        ({"prompt": "2+2?", "completion": "It is \\boxed{4}."}, "2+2?", "4"),
        ({"prompt": MESSAGES, "completion": [{"role": "assistant", "content": "\\boxed{4}"}]}, MESSAGES, "4"),
        # open-r1: the problem beside the prompt made of it
        ({"problem": "2+2?", "prompt": MESSAGES, "solution": SOLUTION, "messages": []}, MESSAGES, "4"),
        # slime
        ({"prompt": MESSAGES, "label": "4"}, MESSAGES, "4"),
        ({"prompt": "2+2?", "label": "4", "metadata": {"rm_type": "math"}}, "2+2?", "4"),
        # MATH has both, its first form a solution alone; AIME; GSM8K; OlympiadBench; Skywork-OR1
        ({"problem": "2+2?", "solution": "Add: $\\boxed{5}$", "answer": "4", "level": "1"}, "2+2?", "4"),
        ({"problem": "2+2?", "solution": SOLUTION, "type": "Algebra"}, "2+2?", "4"),
        ({"problem": "2+2?", "solution": SOLUTION, "answer": 4.0, "url": "..."}, "2+2?", "4"),
        ({"question": "2+2?", "answer": "2 and 2 are 4.\n#### 4"}, "2+2?", "2 and 2 are 4.\n#### 4"),
        ({"question": "2+2?", "solution": ["..."], "final_answer": ["4"]}, "2+2?", "4"),
        ({"prompt": MESSAGES, "reward_model": {"ground_truth": '["4"]', "style": "rule"}}, MESSAGES, "4"),
        ({"input": "2+2?", "label": "4"}, "2+2?", "4"),
        ({"problem": "2+2?", "question": "", "answer": None, "final_answer": "4"}, "2+2?", "4"),
    ],
)
def test_rows_of_peers_and_of_data_sets(tmp_path, row, prompt, answer):
    task = MathTask(jsonl(tmp_path, [row]))
    asked = f"{prompt}\n{INSTRUCTION}" if isinstance(prompt, str) else prompt
    assert (task[0].prompt, task[0].answer) == (asked, answer)
    assert task.score(task[0], "So it is \\boxed{4}.").correct
    assert not task.score(task[0], "So it is \\boxed{5}.").correct
    assert MathTask(jsonl(tmp_path, [row]), instruction="")[0].prompt == prompt


def test_a_completion_is_a_demonstration(tmp_path):
    pairs = [
        {"prompt": "2+2?", "completion": " \\boxed{4}"},
        {"prompt": MESSAGES, "completion": [{"role": "assistant", "content": "It is \\boxed{4}."}]},
        {"prompt": "2+2?", "answer": "4", "completion": [{"text": "of another form"}]},
    ]
    task = MathTask(jsonl(tmp_path, pairs))
    assert [task.demonstration(index) for index in (0, 1)] == [" \\boxed{4}", "It is \\boxed{4}."]
    with pytest.raises(ValueError, match="Problem '2' has no text in a column 'completion'"):
        task.demonstration(2)


def test_every_small_column_is_kept_for_reward_functions(tmp_path):
    row = {"prompt": "2+2?", "answer": "4", "tests": ["a", 1], "level": 3, "hint": None, "long": "x" * 5000}
    with pytest.warns(UserWarning, match="The columns 'long' of .* are large .*`metadata_columns`"):
        task = MathTask(jsonl(tmp_path, [row]))
    assert task[0].metadata == {"answer": "4", "tests": ["a", 1], "level": 3, "hint": None}
    assert task[0].source is None
    chosen = MathTask(jsonl(tmp_path, [row]), metadata_columns=["long", "tests.0"])
    assert chosen[0].metadata == {"long": "x" * 5000, "tests.0": "a"}
    with pytest.raises(ValueError, match="line 1 has no column 'size' for the metadata"):
        MathTask(jsonl(tmp_path, [row]), metadata_columns=["size"])


def test_columns_are_as_large_as_they_have_characters_a_row(tmp_path):
    fits = {"text": "x" * 4096, "greek": ["ω" * 4092]}  # a list of one text: two brackets and two quotes more
    rows = [{"prompt": "2+2?", "answer": "4", **fits, "more": "x" * length} for length in (4095, 4099)]
    with pytest.warns(UserWarning, match="The columns 'more' of"):
        task = MathTask(jsonl(tmp_path, rows))
    assert task[0].metadata == {"answer": "4", **fits}


def test_what_is_no_plain_value_is_not_kept(tmp_path):
    with pytest.warns(UserWarning, match="The columns 'blob' of"):
        task = MathTask(parquet(tmp_path, [{"prompt": "2+2?", "answer": "4", "blob": b"\x00"}]))
    assert task[0].metadata == {"answer": "4"}


def test_of_a_file_that_mixes_kinds_some_rows_are_read(tmp_path):
    rows = [VERL[0], {**VERL[0], "ability": "code", "reward_model": {"ground_truth": None}}, VERL[1], {**VERL[1]}]
    path = jsonl(tmp_path, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [p.id for p in MathTask(path, only={"ability": ["math", "MATH"]}, expected_rows=3)] == ["0", "2", "3"]
        assert [p.answer for p in MathTask(path, only={"extra_info.index": 0, "ability": "math"})] == ["72"]
    with pytest.raises(
        ValueError, match=r"has 'maths' in column 'ability', as `only` .* It holds 'math', 'code', 'MATH'\."
    ):
        MathTask(path, only={"ability": "maths"})
    with pytest.raises(ValueError, match=r"line 1 has no column 'kind' for `only`\. Its columns are"):
        MathTask(path, only={"kind": "math"})


def test_several_files_are_one_data_set(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"problem": "1?", "answer": "1"}))
    (tmp_path / "b.jsonl").write_text(json.dumps({"problem": "2?", "answer": "2"}))
    task = MathTask([str(tmp_path / name) for name in ("b.jsonl", "a.jsonl")], expected_rows=2)
    assert [(problem.id, problem.answer) for problem in task] == [("0", "2"), ("1", "1")]
    with pytest.raises(ValueError, match="No data set at 'nowhere'"):
        MathTask([str(tmp_path / "a.jsonl"), "nowhere"])
