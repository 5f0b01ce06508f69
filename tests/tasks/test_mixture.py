"""Several tasks as one: identities, scoring by the part, and what is refused."""

from __future__ import annotations

import pickle

import pytest

from lit_passk.errors import Refusal
from lit_passk.rewards import RewardedTask, RewardPart, Verdict
from lit_passk.scoring.scorer import Scorer
from lit_passk.tasks import ArithmeticTask, MazeTask, Mixture, MixtureTask
from lit_passk.tasks.base import Task
from lit_passk.tasks.mixture import paid_each
from lit_passk.types import CompletionText, Problem, Score


class Echo(Task):
    """Problem ids 0, 1, ...; correct is to repeat the id."""

    def __init__(self, num: int = 3, use_workers: bool = False, score_timeout: float | None = None) -> None:
        self.num, self.use_workers, self.score_timeout = num, use_workers, score_timeout
        self.warm = False

    def __len__(self):
        return self.num

    def __getitem__(self, index):
        if not 0 <= index < self.num:
            raise IndexError(index)
        return Problem(id=str(index), prompt="U" * (index + 1), answer="", source="letters/u" if index else None)

    def score(self, problem, completion):
        return Score(reward=2.0 * (completion == problem.id), correct=completion == problem.id, answer=problem.id)

    def warm_up(self):
        self.warm = True


@pytest.fixture
def mixture():
    return Mixture({"echo": MixtureTask(Echo(3)), "maze": MixtureTask(MazeTask(sizes=[5], num_problems=2), 3.0)})


def test_every_problem_of_every_task_with_an_id_of_its_own(mixture):
    problems = [mixture[i] for i in range(len(mixture))]
    assert [p.id for p in problems[:3]] == ["echo/0", "echo/1", "echo/2"]
    assert len({p.id for p in problems}) == len(mixture) == 5
    assert [p.source for p in problems[:3]] == [None, "letters/u", "letters/u"]
    maze = mixture.tasks["maze"].task
    assert (problems[4].prompt, problems[4].answer) == (maze[1].prompt, maze[1].answer)
    with pytest.raises(IndexError):
        mixture[5]


def test_each_task_scores_its_own_problems_by_its_own_ids(mixture):
    assert mixture.score(mixture[1], "1") == Score(reward=2.0, correct=True, answer="1")
    assert not mixture.score(mixture[1], "echo/1").correct
    assert mixture.demonstration(3) == mixture.tasks["maze"].task.demonstration(0)
    assert mixture.score(mixture[3], mixture.demonstration(3)).correct
    with pytest.raises(NotImplementedError, match="Echo has no demonstrations"):
        mixture.demonstration(0)


def test_workers_time_limits_and_warm_up_are_the_tasks():
    parts = {"a": MixtureTask(Echo()), "b": MixtureTask(Echo(use_workers=True, score_timeout=70.0))}
    mixture = Mixture(parts)
    assert mixture.use_workers
    assert (mixture.time_limit(10.0), mixture.time_limit(80.0)) == (70.0, 80.0)
    mixture.warm_up()
    assert all(part.task.warm for part in parts.values())
    plain = Mixture({"a": MixtureTask(Echo())})
    assert not plain.use_workers
    assert plain.time_limit(10.0) == 10.0
    assert not plain.scores_groups
    assert pickle.loads(pickle.dumps(mixture))[4].id == "b/1"


def test_only_tasks_that_score_groups_go_over_theirs():
    class Ranked(Echo):
        scores_groups = True

        def score_group(self, problem, completions, scores):
            return [Score(reward=float(len(problem.id)), correct=score.correct) for score in scores]

    mixture = Mixture({"plain": MixtureTask(Echo()), "ranked": MixtureTask(Ranked())})
    assert mixture.scores_groups
    scores = [Score(reward=0.25, correct=False)]
    assert mixture.score_group(mixture[0], ["x"], scores) == scores
    assert mixture.score_group(mixture[3], ["x"], scores) == [Score(reward=1.0, correct=False)]


def test_rewards_of_its_own_stand_in_the_place_of_those_of_all():
    class Long(RewardPart):
        def value(self, problem, completion, score):
            return float(len(completion))

    own = MixtureTask(Echo(), rewards={"long": Long(0.5), "verdict": Verdict(2.0)})
    mixture = Mixture({"own": own, "plain": MixtureTask(Echo())})
    score = mixture.score(mixture[1], CompletionText("1"))
    assert (score.reward, score.correct, dict(score.parts)) == (4.5, True, {"long": 1.0, "verdict": 2.0})
    assert mixture.score(mixture[4], CompletionText("1")).parts == {}
    every = paid_each(RewardedTask(mixture, {"verdict": Verdict()}))
    assert every.score(every[1], CompletionText("1")).reward == 4.5
    assert every.score(every[4], CompletionText("1")).parts == {"verdict": 2.0}


@pytest.mark.seconds
def test_scored_in_workers():
    arithmetic = ArithmeticTask(num_problems=2)
    arithmetic.use_workers = True
    mixture = Mixture({"maze": MixtureTask(MazeTask(sizes=[5], num_problems=1)), "products": MixtureTask(arithmetic)})
    with Scorer({"train": mixture}, num_workers=1) as scorer:
        right = [scorer.submit("train", mixture[i], text) for i, text in [(0, mixture.demonstration(0)), (1, "none")]]
        assert [future.result().correct for future in right] == [True, False]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({}, "at least one task"),
        ({"a": Echo()}, r"needs MixtureTask\(task"),
        ({"a/b": MixtureTask(Echo())}, "'/' or '.'"),
        ({"a.b": MixtureTask(Echo())}, "'/' or '.'"),
        ({"": MixtureTask(Echo())}, "empty"),
        ({"loss": MixtureTask(Echo())}, "other metrics"),
        ({"a": MixtureTask(Echo(), -1.0), "b": MixtureTask(Echo())}, "'a' has -1.0"),
        ({"a": MixtureTask(Echo(), float("nan"))}, "'a' has nan"),
        ({"a": MixtureTask(Echo(), float("inf"))}, "'a' has inf"),
        ({"a": MixtureTask(Echo(), 0.0), "b": MixtureTask(Echo(), 0)}, "a, b are all 0"),
        ({"a": MixtureTask(Echo(0)), "b": MixtureTask(Echo())}, "'a' has none"),
        ({"a": MixtureTask(Mixture({"b": MixtureTask(Echo())}))}, "may not be a Mixture"),
    ],
)
def test_refuses(tasks, message):
    with pytest.raises(Refusal, match=message):
        Mixture(tasks)
