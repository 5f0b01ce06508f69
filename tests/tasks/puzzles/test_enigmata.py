"""Enigmata's rows are judged by verifiers of its kind, inside the sandbox."""

from __future__ import annotations

import json

import pytest
from helpers.sandbox import require_sandbox

from lit_passk.errors import Refusal
from lit_passk.tasks.code.sandbox.sandbox import Limits
from lit_passk.tasks.puzzles import EnigmataTask

require_sandbox()
LIMITS = Limits(seconds=1, total_seconds=10)
VERIFIER = """
import json, re
def verify(pred, answer, meta):
    block = re.findall(r"```(.*?)```", pred, re.DOTALL)[-1].strip()
    return 1 if eval(block) == meta["target"] and json.loads(answer) == [meta["target"]] else 0
"""


@pytest.fixture
def clone(tmp_path):
    for name, source in (("sums", VERIFIER), ("always", "def verify(pred, answer, meta):\n    return 1.0\n")):
        folder = tmp_path / "Enigmata/verifiable_tasks/tasks" / name
        folder.mkdir(parents=True)
        (folder / "verifier.py").write_text(source)
    return str(tmp_path / "Enigmata")


def task_of(tmp_path, clone, *rows, **kwargs) -> EnigmataTask:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return EnigmataTask(str(path), clone, limits=LIMITS, **kwargs)


SUM = {
    "prompt": "Reach 3.",
    "answer": "[3]",
    "task_name": "sums",
    "meta": json.dumps({"target": 3, "difficulty": "easy"}),
}
OTHER = {"question": "?", "answer": {"a": 1}, "task_name": "always", "meta": None}


def test_verifiers_decide(tmp_path, clone):
    task = task_of(tmp_path, clone, SUM, OTHER, expected_rows=2)
    assert [problem.prompt for problem in task.problems] == ["Reach 3.", "?"]
    assert task.score(task[0], "<think>```4```</think>```\n1 + 2\n```").correct
    assert not task.score(task[0], "```1 + 1```").correct
    assert not task.score(task[0], "no block: an exception").correct
    assert task.score(task[1], "anything").correct
    # What the verifier evaluates can neither reach this machine nor hang it.
    for hostile in ("open('/etc/passwd').read()", "__import__('os')._exit(0)", "[0 for _ in iter(int, 1)]"):
        score = task.score(task[0], f"```{hostile}```")
        assert (score.correct, score.error) == (False, None)


def test_kinds_are_chosen_and_missing_verifiers_named(tmp_path, clone):
    with pytest.warns(UserWarning, match="has 1 rows, but the published data set has 4758"):
        task = task_of(tmp_path, clone, SUM, OTHER, tasks=["sums"], expected_rows=4758)
    assert len(task) == 1
    with pytest.raises(Refusal, match=r"has no puzzle of tasks=\['maze'\]"):
        task_of(tmp_path, clone, SUM, tasks=["maze"])
    with pytest.raises(
        Refusal, match=r"a puzzle 'sums', whose verifier is not at .*verifier.py: set `verifiers` to a clone"
    ):
        task_of(tmp_path, str(tmp_path), SUM)
    for meta in ("{", "[" * 100_000):
        with pytest.raises(Refusal, match="needs an object or its JSON text in column 'meta'"):
            task_of(tmp_path, clone, {**SUM, "meta": meta})
