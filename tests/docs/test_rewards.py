"""docs/rewards.md: its YAML is what the data module takes, its functions and classes do what the page says."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser

import lit_passk.commands.train  # short names
import lit_passk.rewards
from lit_passk.data import PromptDataModule
from lit_passk.rewards import FunctionReward, GroupRewardPart, RewardedTask, RewardPart
from lit_passk.tasks.scores import group_scores_of, score_of
from lit_passk.types import CompletionText

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/rewards.md").read_text()
CODE = {re.match(r"# (\S+)", block)[1]: block for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)}
YAML = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)
ROW = {"question": "1 + 1?", "answer": "2", "solution": r"\boxed{2}"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, code in CODE.items():
        (tmp_path / name).write_text(code)
    (tmp_path / "train.jsonl").write_text(json.dumps(ROW))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("parts", None)


def parts_of(text: str, tokenizer: str) -> RewardedTask:
    """What the command line builds of the page's ``data``."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(PromptDataModule, "data")
    config = parser.parse_object({"data": {"tokenizer": tokenizer, **yaml.safe_load(text)["data"]}})
    return parser.instantiate_classes(config).data.train


def paid(task: RewardedTask, *completions: str) -> list[dict[str, float]]:
    texts = [CompletionText(text, num_tokens=10, token_ids=[1] * 10) for text in completions]
    scores = [score_of(task, task[0], text) for text in texts]
    scores = group_scores_of(task, task[0], texts, scores) if task.scores_groups else scores
    assert [score.error for score in scores] == [None] * len(scores)
    return [dict(score.parts) for score in scores]


def test_the_first_example(folder, maze_policy):
    right, wrong = paid(
        parts_of(YAML[0], maze_policy), r"<think>a</think><answer>\boxed{2}</answer>", r"\boxed{3} " * 201
    )
    assert right == {"verdict": 1, "format": 1, "overlong": 0, "brevity": 1}
    assert wrong == {"verdict": 0, "format": 0, "overlong": 0, "brevity": 0}


def test_the_functions(folder, maze_policy):
    names = re.findall(r"^(?:async )?def (\w+)", CODE["rewards.py"], flags=re.M)
    assert len(names) == 5
    kwargs = {"brevity": {"limit": 2}}
    rewards = {name: FunctionReward(f"rewards.py:{name}", kwargs.get(name)) for name in names}
    with pytest.warns(UserWarning, match="hold no Verdict"):
        task = RewardedTask(parts_of(YAML[0], maze_policy).task, rewards)
    found = paid(task, r"\boxed{2} #### 2", r"\boxed{3}", r"\boxed{3} #### 9")
    assert found == [
        {"brevity": 0, "first_of_its_kind": 1, "compute_score": 1, "has_a_box": 1, "judged": 1},
        pytest.approx({"brevity": 1, "first_of_its_kind": 0, "compute_score": 0.1, "has_a_box": 1, "judged": 0}),
        pytest.approx({"brevity": 0, "first_of_its_kind": 0, "compute_score": 0.1, "has_a_box": 1, "judged": 0}),
    ]


def test_parts_of_ones_own(folder, maze_policy):
    found = paid(parts_of(YAML[1], maze_policy), r"Perhaps, maybe \boxed{2}", r"\boxed{3}", r"\boxed{3}")
    assert [parts["hedging"] for parts in found] == [-2, 0, 0]
    assert [parts["rare"] for parts in found] == pytest.approx([2 / 3, 1 / 3, 1 / 3])


def test_the_table_has_every_part():
    classes = [getattr(lit_passk.rewards, name) for name in lit_passk.rewards.__all__]
    parts = {c.__name__ for c in classes if issubclass(c, RewardPart)} - {RewardPart.__name__, GroupRewardPart.__name__}
    assert set(re.findall(r"^\| `([A-Z]\w+)\(", PAGE, flags=re.M)) == parts
