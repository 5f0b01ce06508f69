"""Functions with the signatures that people have, from files and modules; what fits none is refused at once."""

from __future__ import annotations

import json
import logging
import os
import pickle
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy
import pytest
import torch

import lit_passk
from lit_passk.errors import Refusal
from lit_passk.rewards import FunctionReward
from lit_passk.tasks.base import Task
from lit_passk.tasks.scores import BadScore
from lit_passk.types import CompletionText, Problem, Score

FUNCTIONS = '''
import asyncio
from dataclasses import dataclass

import numpy as np


@dataclass
class Judge:
    """What dataclasses ask their module for shows whether it is one."""

    limit: int = 5

    def __call__(self, completion):
        return float(len(completion) <= self.limit)


short = Judge()


class Table:
    @staticmethod
    def paid(completion):
        return 2.0


# --- ours
def by_answer(completion, answer):
    return float(completion.strip() == answer)

def by_everything(problem, completion, score, prompt, level):
    return [problem.id, completion.num_tokens, completion.truncated, score.reward, prompt, level]

async def later(problem, completion):
    await asyncio.sleep(0)
    return float(problem.answer in completion)

def sometimes(completion):
    return 1 if "a" in completion else None

def ranks(problem, completions, scores):
    order = sorted(range(len(completions)), key=lambda i: completions[i].num_tokens)
    return [order.index(i) + 10 * scores[i].correct for i in range(len(completions))]

# --- verl
def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    assert not kwargs or kwargs == {"bonus": 4}
    return {"score": len(solution_str) + kwargs.get("bonus", 0), "acc": 1.0, "seen": [data_source, extra_info]}

def of_verl_seen(data_source, solution_str, ground_truth, extra_info):
    return [data_source, solution_str, ground_truth, extra_info]

def like_gsm8k(solution_str, ground_truth, method="strict", format_score=0.0, score=1.0):
    return score if solution_str == ground_truth else format_score

def meddles(data_source, solution_str, ground_truth, extra_info):
    return float(extra_info.pop("index"))

def batch_of_verl(data_sources, solution_strs, ground_truths, extra_infos, **reward_kwargs):
    rows = zip(data_sources, solution_strs, ground_truths, extra_infos, strict=True)
    return [{"score": f"{source} {text} {truth} {info['index']}"} for source, text, truth, info in rows]

async def asynchronous_of_verl(data_source, solution_str, ground_truth, extra_info, reward_model_tokenizer=None):
    return {"score": float(solution_str == ground_truth)}

def forgets(data_source, solution_str, ground_truth, extra_info):
    pass

# --- TRL
def lengths(completions, **kwargs):
    return [float(len(completion)) for completion in completions]

def tokens(completion_ids, **kwargs):
    return np.array([len(ids) for ids in completion_ids], dtype=np.float32)

def tokens_by_the_older_name(completions_ids, **kwargs):
    return [len(ids) for ids in completions_ids]

def by_column(prompts, completions, solution, **kwargs):
    return [f"{p}|{c}|{s}" for p, c, s in zip(prompts, completions, solution, strict=True)]

def content(completions, **kwargs):
    return [float(len(completion[0]["content"])) for completion in completions]

def of_one_task(prompts, completions, task, **kwargs):
    return [1.0 if t == "math" else None for t in task]

def everything(prompts, completions, **kwargs):
    return [dict(kwargs, prompt=prompt) for prompt in prompts]

async def asynchronous(prompts, completions, log_metric=None, **kwargs):
    await asyncio.sleep(0)
    return [1.0 for _ in completions]

# --- slime
async def of_slime(args, sample, **kwargs):
    return f"{sample.prompt} {sample.response} {sample.response_length} {sample.label} {sample.metadata['level']}"

def group_of_slime(args, samples, **kwargs):
    return [sample.response_length for sample in samples]

# --- none of them
def nothing_known(a, b):
    return 0.0

def unknown_besides(data_source, solution_str, ground_truth, tokenizer):
    return 0.0

def positional(completion, /):
    return 0.0

def anything(*args, **kwargs):
    return 0.0

number = 3
'''

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1"}]
ROW = {
    "data_source": "openai/gsm8k",
    "ability": "math",
    "reward_model": {"style": "rule", "ground_truth": {"target": 2}},
    "extra_info": {"index": 7, "split": "train"},
}
PLAIN = Problem(id="p", prompt="1 + 1", answer="2", source="sums", metadata={"level": 5, "solution": "2 it is"})
VERL = Problem(id="v", prompt=CHAT, answer="2", source="openai/gsm8k", metadata=ROW)
TEXTS = [CompletionText("2", 2, token_ids=[4, 1]), CompletionText("longer", 9, truncated=True, token_ids=[5] * 9)]
SCORES = [Score(reward=1.0, correct=True), Score(reward=0.25, correct=False)]


class Rows(Task):
    """Problems that were given."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems

    def __len__(self) -> int:
        return len(self.problems)

    def __getitem__(self, index: int) -> Problem:
        return self.problems[index]

    def score(self, problem: Problem, completion: str) -> Score:
        return SCORES[0]


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("functions") / "my rewards.py"
    file.write_text(FUNCTIONS)
    return file


@pytest.fixture
def function(file):
    return lambda name, **settings: FunctionReward(f"{file}:{name}", **settings)


def one(part: FunctionReward, problem: Problem = PLAIN, row: int = 0):
    assert not part.needs_group
    return part.value(problem, TEXTS[row], SCORES[row])


def group(part: FunctionReward, problem: Problem = PLAIN):
    assert part.needs_group
    return list(part.group_values(problem, TEXTS, SCORES))


def test_functions_about_one_completion(function):
    assert [one(function("by_answer"), row=row) for row in (0, 1)] == [1, 0]
    assert one(function("by_everything"), row=1) == ["p", 9, True, 0.25, "1 + 1", 5]
    assert [one(function("later"), row=row) for row in (0, 1)] == [1, 0]
    assert [one(function("sometimes")), one(function("short")), one(function("short"), row=1)] == [None, 1, 0]
    assert one(function("Table.paid")) == 2


def test_functions_about_a_group(function):
    assert group(function("ranks")) == [10, 1]


def test_functions_of_verl(function):
    assert [one(function("compute_score"), VERL, row) for row in (0, 1)] == [1, 6]
    assert one(function("compute_score", kwargs={"bonus": 4}), VERL) == 5
    assert one(function("of_verl_seen"), VERL) == ["openai/gsm8k", "2", {"target": 2}, {"index": 7, "split": "train"}]
    rows_that_are_not_verls = ["sums", "2", "2", {"level": 5, "solution": "2 it is"}]
    assert one(function("of_verl_seen")) == rows_that_are_not_verls
    assert [one(function("like_gsm8k"), row=row) for row in (0, 1)] == [1, 0]
    assert one(function("like_gsm8k", kwargs={"format_score": 0.5}), row=1) == 0.5
    assert group(function("batch_of_verl"), VERL) == [
        "openai/gsm8k 2 {'target': 2} 7",
        "openai/gsm8k longer {'target': 2} 7",
    ]
    assert [one(function("asynchronous_of_verl"), row=row) for row in (0, 1)] == [1, 0]


def test_a_function_that_meddles_with_its_arguments_changes_no_row(function):
    assert [one(function("meddles"), VERL) for _ in range(2)] == [7, 7]


def test_verl_takes_none_for_a_mistake(function):
    with pytest.raises(BadScore, match=r":forgets returned None for problem 'v', but verl's compute_score.* a number"):
        one(function("forgets"), VERL)


def test_functions_of_trl(function):
    assert group(function("lengths")) == [1, 6]
    assert list(function("tokens").group_values(PLAIN, TEXTS, SCORES)) == [2, 9]
    assert group(function("tokens_by_the_older_name")) == [2, 9]
    assert group(function("by_column")) == ["1 + 1|2|2 it is", "1 + 1|longer|2 it is"]
    assert group(function("content"), VERL) == [1, 6], "completions of a chat are chats"
    assert group(function("asynchronous")) == [1, 1]
    tasks = [Problem(id="x", prompt="", answer="", metadata={"task": task}) for task in ("math", "code")]
    assert [group(function("of_one_task"), problem) for problem in tasks] == [[1, 1], [None, None]]


def test_trls_functions_get_every_column_of_the_row(function):
    first, _ = group(function("everything"))
    assert first == {
        "prompt": "1 + 1",
        "completion_ids": [[4, 1], [5] * 9],
        "completions_ids": [[4, 1], [5] * 9],
        **{"answer": ["2", "2"], "level": [5, 5], "solution": ["2 it is"] * 2},
    }
    first, _ = group(function("everything"), VERL)
    assert first["prompt"] == CHAT
    assert first["reward_model"] == [ROW["reward_model"]] * 2


def test_functions_of_slime(function):
    assert one(function("of_slime"), row=1) == "1 + 1 longer 9 2 5"
    assert group(function("group_of_slime")) == [2, 9]


def test_result_files_have_no_tokens(function):
    texts = [CompletionText("2", 2), CompletionText("x", 3)]
    assert list(function("lengths").group_values(PLAIN, texts, SCORES)) == [1, 1]
    with pytest.raises(BadScore, match=r":tokens needs completion_ids.*a result file has none"):
        function("tokens").group_values(PLAIN, texts, SCORES)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("absent", {}, r"my rewards.py has no 'absent'. What can be called there: .*by_answer"),
        ("Table.absent", {}, r"has no 'Table.absent'. What can be called there: paid"),
        ("number", {}, r"is no function, but int"),
        ("nothing_known", {}, r":nothing_known has the parameters \(a, b\), which fit none of .*solution_str.*columns"),
        ("positional", {}, r"which fit none of the signatures"),
        ("anything", {}, r"which fit none of the signatures"),
        ("Judge", {}, r"Judge has the parameters \(limit: int = 5\), which fit none"),
        (
            "unknown_besides",
            {},
            r"called as verl's compute_score.* which says nothing of its 'tokenizer': give it in `kw",
        ),
        ("by_answer", {"kwargs": {"x": 1}}, r":by_answer takes no 'x', which `kwargs` of the FunctionReward gives it"),
    ],
)
def test_what_is_no_reward_function_is_refused(function, name, settings, message):
    with pytest.raises(Refusal, match=message):
        function(name, **settings)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("somewhere/rewards.py:f", r"There is no file '.*/somewhere/rewards.py' to take a function from"),
        ("rewards.py", r"given as `path/to/file.py:name` or `package.module:name`, but got 'rewards.py'"),
        (":f", r"but got ':f'"),
        ("json:", r"but got 'json:'"),
        (
            "absent_package.rewards:f",
            r"no module 'absent_package.rewards' to take a function from: install it, work in",
        ),
        ("json:absent", r"json has no 'absent'. What can be called there: .*dumps"),
    ],
)
def test_what_is_not_there_is_refused(reference, message):
    with pytest.raises(Refusal, match=message):
        FunctionReward(reference)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(:", r"raised SyntaxError"),
        ("import absent_package", r"raised ModuleNotFoundError: No module named 'absent_package'"),
        ("import sys; sys.exit(3)", r"raised SystemExit: 3"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_refused(tmp_path, source, message):
    (tmp_path / "broken.py").write_text(source)
    with pytest.raises(Refusal, match=f"Loading .*broken.py to take a function from {message}"):
        FunctionReward(f"{tmp_path}/broken.py:f")


CHANGES = """
import logging, os, random, sys, warnings
import numpy, torch
os.chdir("/")
os.environ["CUDA_VISIBLE_DEVICES"] = "none"
os.environ.pop("PATH")
sys.stdout = sys.stderr = None
warnings.simplefilter("error")
logging.disable(logging.CRITICAL)
logging.basicConfig(level=logging.CRITICAL, force=True)
torch.set_num_threads(torch.get_num_threads() + 1)
torch.set_default_dtype(torch.float64)
torch.set_grad_enabled(False)
for seed in (random.seed, numpy.random.seed, torch.manual_seed):
    seed(0)
def f(completion): return 1.0
"""


def test_what_a_file_changes_as_it_is_loaded_is_put_back(tmp_path):
    def state():
        torch_is = (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads())
        drawn = (random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
        told_by = (sys.stdout, sys.stderr, list(warnings.filters))
        logged = (logging.root.manager.disable, logging.root.level, list(logging.root.handlers))
        return torch_is, drawn, told_by, logged, os.getcwd(), dict(os.environ)

    (tmp_path / "changes.py").write_text(CHANGES)
    before = state()
    FunctionReward(f"{tmp_path}/changes.py:f")
    assert state() == before


def test_a_column_that_no_row_has_is_refused_and_one_that_some_have_is_none_elsewhere(function):
    part = function("by_column")
    without = Problem(id="w", prompt="2 + 2", answer="4", metadata={"level": 1})
    part.check(Rows(PLAIN))
    part.check(Rows(without, PLAIN))
    with pytest.raises(
        Refusal, match=r"needs a column 'solution', but no row of Rows has one: the first has answer, le"
    ):
        part.check(Rows(without, VERL))
    function("by_column", kwargs={"solution": ["x", "y"]}).check(Rows(without))
    function("lengths").check(Rows())
    assert group(part, without) == ["2 + 2|2|None", "2 + 2|longer|None"]


def test_a_function_travels_by_its_name_and_not_by_the_folder_one_works_in(tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("LIMIT = 3")
    (tmp_path / "mine.py").write_text(
        "from beside import LIMIT\ndef f(completion): return float(len(completion) < LIMIT)"
    )
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(FunctionReward("mine.py:f", weight=2.0))
    code = (
        "import json, pickle, sys; from lit_passk.types import CompletionText as T, Problem; "
        "part = pickle.loads(bytes.fromhex(sys.argv[1])); "
        "problem = Problem(id='1', prompt='', answer=''); "
        "print(json.dumps([part.weight, *(part.value(problem, T(t), None) for t in ('ab', 'abc'))])); "
        "assert 'torch' not in sys.modules"
    )
    output = subprocess.run(
        [sys.executable, "-c", code, pickled.hex()],
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(Path(lit_passk.__file__).parents[1])},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert json.loads(output) == [2, 1, 0]


def test_functions_of_one_file_share_their_module(tmp_path):
    (tmp_path / "counting.py").write_text(
        "n = [0]\ndef f(completion): n[0] += 1; return n[0]\ndef g(completion): return n[0]"
    )
    f, g = (FunctionReward(f"{tmp_path}/counting.py:{name}") for name in "fg")
    assert [one(f), one(f), one(g)] == [1, 2, 2]
