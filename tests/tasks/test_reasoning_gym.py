"""Tasks of the reasoning-gym package, judged by its own verifiers."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest

from lit_passk.scoring.scorer import Scorer
from lit_passk.tasks.reasoning_gym import INSTRUCTION, ReasoningGymTask

needs_package = pytest.mark.skipif(find_spec("reasoning_gym") is None, reason="reasoning-gym is not installed")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", None)  # what `import` finds when there is none
    with pytest.raises(RuntimeError, match="reasoning-gym package, which is not installed: pip install reasoning-gym"):
        ReasoningGymTask("chain_sum")


@pytest.mark.parametrize("name", ["chain_sum", "spell_backward", "countdown", "leg_counting", "basic_arithmetic"])
@needs_package
def test_the_reference_answer_scores_1_and_nothing_else_does(name):
    task = ReasoningGymTask(name, size=5, seed=3)
    for index in range(len(task)):
        problem = task[index]
        right = task.score(problem, f"<answer>7</answer> no: <answer> {task.dataset[index]['answer']} </answer>")
        assert (right.reward, right.correct) == (1.0, True)
        assert not task.score(problem, "<answer>nonsense</answer>").correct
        assert task.score(problem, "no tags").answer is None


@needs_package
def test_problems_depend_on_the_seed_alone():
    first, again, other = (ReasoningGymTask("chain_sum", size=3, seed=seed) for seed in (1, 1, 2))
    assert [first[i] for i in range(3)] == [again[i] for i in range(3)]
    assert [first[i].prompt for i in range(3)] != [other[i].prompt for i in range(3)]
    assert first[0].prompt.endswith("\n" + INSTRUCTION)
    with pytest.raises(IndexError):
        first[3]


@needs_package
def test_what_reasoning_gym_does_not_know_is_refused():
    with pytest.raises(ValueError, match=r"has no task 'chess'. It has .*chain_sum"):
        ReasoningGymTask("chess")
    with pytest.raises(ValueError, match=r"refused config={'depth': 3}"):
        ReasoningGymTask("chain_sum", config={"depth": 3})
    with pytest.raises(ValueError, match=r"refused config={'min_terms': 0}"):
        ReasoningGymTask("chain_sum", config={"min_terms": 0})
    with pytest.raises(ValueError, match="size >= 1"):
        ReasoningGymTask("chain_sum", size=0)


@needs_package
def test_it_scores_in_worker_processes():
    task = ReasoningGymTask("chain_sum", size=4)
    with Scorer({"sums": task}, num_workers=2, timeout=60) as scorer:
        futures = [scorer.submit("sums", task[i], f"<answer>{task[i].answer}</answer>") for i in range(4)]
        assert [future.result().correct for future in futures] == [True] * 4
