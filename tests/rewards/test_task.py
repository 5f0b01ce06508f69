"""Tasks that are paid by parts: sums in exact fractions, what stays the verdict, and what becomes of failures."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from helpers.reward_functions import Sums
from helpers.scoring_tasks import Grouped

from lit_passk.errors import Refusal
from lit_passk.rewards import (
    Format,
    FunctionReward,
    GroupRewardPart,
    LengthPenalty,
    RelativeLength,
    RewardedTask,
    RewardPart,
    SoftOverlong,
    Verdict,
)
from lit_passk.scoring.scorer import Scorer
from lit_passk.tasks.base import Task
from lit_passk.tasks.mixture import Mixture, MixtureTask, paid_each
from lit_passk.tasks.scores import BadScore, CannotScore, group_scores_of, score_of
from lit_passk.types import CompletionText, Score

PATIENT = 60.0


class Fixed(RewardPart):
    def __init__(self, *values: float | None, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.given = values

    def value(self, problem, completion, score):
        return self.given[completion.num_tokens % len(self.given)]


class Rank(GroupRewardPart):
    """The place of each completion by the reward of its verdict, the best first."""

    def group_values(self, problem, completions, scores):
        order = sorted(range(len(scores)), key=lambda i: -scores[i].reward)
        return [float(order.index(i)) for i in range(len(scores))]


def texts(*said: str) -> list[CompletionText]:
    return [CompletionText(text, num_tokens) for num_tokens, text in enumerate(said)]


def scores_of(task: Task, completions: list[CompletionText], problem: int = 1) -> list[Score]:
    """As a scorer does it."""
    scores = [score_of(task, task[problem], completion) for completion in completions]
    return group_scores_of(task, task[problem], completions, scores) if task.scores_groups else scores


def test_the_reward_is_the_weighted_sum_and_the_rest_the_verdict():
    weights, values = [Fraction(3, 10), Fraction(7, 5), Fraction(0)], [Fraction(1, 3), Fraction(-2, 7), Fraction(9)]
    parts: dict[str, RewardPart] = {
        f"part{i}": Fixed(float(v), weight=float(w)) for i, (w, v) in enumerate(zip(weights, values, strict=True))
    }
    task = RewardedTask(Sums(), {"verdict": Verdict(weight=2.0), **parts})
    assert (task.use_workers, task.scores_groups, len(task), task[2]) == (False, False, 3, Sums()[2])
    added = float(sum(w * v for w, v in zip(weights, values, strict=True)))
    right, wrong = scores_of(task, texts("2", "3"))
    assert (right.reward, wrong.reward) == pytest.approx((2 + added, 1 + added))
    assert (right.correct, right.answer, wrong.correct, wrong.answer) == (True, "2", False, "3")
    assert right.parts == pytest.approx({"verdict": 1, "part0": 1 / 3, "part1": -2 / 7, "part2": 9})
    assert list(right.parts) == ["verdict", "part0", "part1", "part2"]


def test_what_the_task_could_not_score_stays_unscored():
    task = RewardedTask(Sums(), {"verdict": Verdict(), "rank": Rank()})
    assert [score.error for score in scores_of(task, texts("?", "2", "?"))] == ["unreadable", None, "unreadable"]


def test_without_a_verdict_being_correct_is_not_paid_and_this_is_said():
    with pytest.warns(UserWarning, match=r"rewards short, one of Sums hold no Verdict: being correct is not paid"):
        task = RewardedTask(Sums(), {"short": LengthPenalty(0.5), "one": Fixed(1.0)})
    (right,) = scores_of(task, [CompletionText("2", 4)])
    assert (right.reward, right.correct) == (-1, True)


def test_a_part_that_does_not_apply_adds_nothing_and_none_that_applies_is_no_score():
    task = RewardedTask(Sums(), {"verdict": Verdict(), "odd": Fixed(None, 4.0)})
    even, odd = scores_of(task, texts("2", "2"))
    assert (even.reward, even.parts, odd.reward, odd.parts) == (1, {"verdict": 1}, 5, {"verdict": 1, "odd": 4})
    with pytest.warns(UserWarning, match="hold no Verdict"):
        alone = RewardedTask(Sums(), {"odd": Fixed(None, 4.0), "other": Fixed(None, None)})
    even, odd = scores_of(alone, texts("2", "2"))
    assert (even.error, even.parts, odd.reward) == ("none of the rewards odd, other applies", {}, 4)


def test_parts_about_the_group_see_those_that_could_be_scored_with_their_verdicts():
    task = RewardedTask(
        Sums(),
        {"verdict": Verdict(), "rank": Rank(weight=10), "overlong": SoftOverlong(4, 2), "length": RelativeLength()},
    )
    assert task.scores_groups
    wrong, unscored, right, worse = scores_of(task, texts("1", "?", "2", "7"))
    assert unscored.error == "unreadable"
    found = [(score.parts["rank"], score.parts["overlong"], score.parts["length"]) for score in (wrong, right, worse)]
    assert found == [(1, 0, 0), (0, 0, pytest.approx(0.5 - 2 / 3)), (2, -0.5, -0.5)]
    assert list(right.parts) == ["verdict", "rank", "overlong", "length"]
    assert [s.reward for s in (wrong, right, worse)] == pytest.approx([0.5 + 10, 1 + 0.5 - 2 / 3, 0.5 + 20 - 0.5 - 0.5])


def test_a_verdict_that_looks_at_the_group_itself_is_paid_as_it_comes_out():
    task = RewardedTask(Grouped(), {"verdict": Verdict(weight=2), "fixed": Fixed(1.0)})
    found = scores_of(task, texts("a", "b"), problem=0)
    assert [(score.reward, score.parts) for score in found] == [(5, {"shown": 2, "verdict": 2, "fixed": 1})] * 2


def test_rewards_on_top_of_rewards_pay_for_the_sum_below():
    inner = RewardedTask(Sums(), {"verdict": Verdict(), "rank": Rank()})
    (right, wrong) = scores_of(RewardedTask(inner, {"below": Verdict(weight=3), "one": Fixed(1.0)}), texts("2", "3"))
    assert (right.reward, right.parts) == (3 * 1 + 1, {"verdict": 1, "rank": 0, "below": 1, "one": 1})
    assert (wrong.reward, wrong.parts) == (3 * 1.5 + 1, {"verdict": 0.5, "rank": 1, "below": 1.5, "one": 1})
    with pytest.raises(BadScore, match=r"RewardedTask names a part of its reward 'rank', and so do its rewards"):
        scores_of(RewardedTask(inner, {"verdict2": Verdict(), "rank": Rank()}), texts("2"))


def test_a_mixture_stays_one_and_each_of_its_tasks_is_paid_alike():
    mixture = Mixture({"sums": MixtureTask(Sums(), weight=2.0), "groups": MixtureTask(Grouped())})
    paid = paid_each(RewardedTask(mixture, {"verdict": Verdict(), "fixed": Fixed(1.0, weight=0.5)}))
    assert isinstance(paid, Mixture)
    assert [part.weight for part in paid.tasks.values()] == [2, 1]
    assert [score.reward for score in scores_of(paid, texts("2", "3"))] == [1.5, 1]
    assert [score.reward for score in scores_of(paid, texts("a", "b"), problem=3)] == [2.5, 2.5]


def test_a_column_of_one_task_of_a_mixture_is_enough(tmp_path):
    (tmp_path / "f.py").write_text(
        "def f(completions, level, **kwargs): return [None if v is None else v for v in level]"
    )
    rewards = {"verdict": Verdict(), "level": FunctionReward(f"{tmp_path}/f.py:f")}
    mixture = Mixture({"sums": MixtureTask(Sums()), "groups": MixtureTask(Grouped())})
    paid = paid_each(RewardedTask(mixture, rewards))
    assert [score.reward for score in scores_of(paid, texts("2"))] == [2]
    assert [score.reward for score in scores_of(paid, texts("a"), problem=3)] == [1], "a group of one"
    with pytest.raises(Refusal, match="needs a column 'level', but no row of Grouped has one"):
        RewardedTask(Grouped(), rewards)


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        ({}, "at least one part, but got none"),
        (
            {"a": Verdict(weight=-1.0)},
            "weights of 0 or more, but 'a' has -1.0: a penalty is a part whose values are neg",
        ),
        ({"a": Verdict(weight=float("nan"))}, "'a' has nan"),
        ({"a": Verdict(weight=float("inf"))}, "'a' has inf"),
        ({"a": Verdict(weight=0.0), "b": Fixed(1.0, weight=0.0)}, "a weight above 0, but those of a, b are all 0"),
        ({"a/b": Verdict()}, "may not be empty nor hold '/' or '.', but got 'a/b'"),
        ({"a.b": Verdict()}, "but got 'a.b'"),
        ({"": Verdict()}, "but got ''"),
        ({"a": Sums()}, "RewardParts by name, but 'a' is <"),
    ],
)
def test_parts_that_cannot_be_added_up_are_refused(rewards, message):
    with pytest.raises(Refusal, match=message):
        RewardedTask(Sums(), rewards)


@pytest.mark.parametrize("value", ["1", [1.0], {"score": 1.0}, 1j])
def test_what_is_no_number_stops_the_run(value):
    task = RewardedTask(Sums(), {"verdict": Verdict(), "odd": Fixed(value)})
    with pytest.raises(BadScore, match=r"Reward 'odd' \(Fixed\) must give a number for every completion, or None"):
        scores_of(task, texts("2"))


@pytest.mark.parametrize("weight", [0.0, 1.0])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400])
def test_a_value_that_is_not_finite_leaves_its_completion_without_a_score(value, weight):
    odd = Fixed(value)
    odd.weight = weight
    (score,) = scores_of(RewardedTask(Sums(), {"verdict": Verdict(), "odd": odd}), texts("2"))
    assert score.error is not None
    assert f"the part 'odd' of its reward is {float('nan') if value != value else float('inf')}" in score.error


def test_in_a_group_it_costs_its_completion_alone():
    class Lengths(GroupRewardPart):
        def group_values(self, problem, completions, scores):
            return [float("nan") if completion == "7" else 0.5 for completion in completions]

    scores = scores_of(RewardedTask(Sums(), {"verdict": Verdict(), "odd": Lengths()}), texts("2", "7", "3"))
    assert [score.error is None for score in scores] == [True, False, True]
    assert [score.reward for score in scores if score.error is None] == [1.5, 1.0]


def test_what_a_part_raises_names_the_part():
    task = RewardedTask(Sums(), {"verdict": Verdict(), "odd": Fixed()})
    with pytest.raises(CannotScore, match=r"^reward 'odd' raised ZeroDivisionError: "):
        task.score(task[0], CompletionText("0"))


def test_who_needs_worker_processes():
    def needs(part: RewardPart) -> bool:
        return RewardedTask(Sums(), {"verdict": Verdict(), "part": part}).use_workers

    assert not needs(Format(tags=["a"]))
    assert needs(Format(pattern="a"))
    assert needs(FunctionReward("helpers.reward_functions:obey"))
    assert RewardedTask(Grouped(), {"verdict": Verdict()}).use_workers


def test_a_task_that_watches_the_clock_leaves_the_parts_their_own_time():
    slow = Sums()
    assert RewardedTask(slow, {"verdict": Verdict()}).time_limit(10.0) == 10
    slow.score_timeout = 60.0
    assert RewardedTask(slow, {"verdict": Verdict()}).time_limit(10.0) == 70
    assert RewardedTask(slow, {"verdict": Verdict()}).time_limit(90.0) == 90


# --- in worker processes ----------------------------------------------------------------------------------------------


def ask(scorer: Scorer, *completions: str) -> list[Score]:
    return scorer.submit_group("sums", Sums()[1], texts(*completions)).result()


@pytest.mark.seconds
def test_a_function_that_fails_costs_its_completion_alone(caplog):
    parts = {"verdict": Verdict(), "obey": FunctionReward("helpers.reward_functions:obey")}
    with Scorer({"sums": RewardedTask(Sums(), parts)}, num_workers=2, timeout=2.0) as scorer:
        found = ask(scorer, "2", "raise boom", "sleep 1000", "exit 3", "raise other", "return None", "return 2")
        assert "the part 'obey' of its reward is nan" in str(ask(scorer, "return float('nan')")[0].error)
        for bad in ("'text'", "[1.0]"):
            with pytest.raises(
                BadScore, match=r"Reward 'obey' \(FunctionReward helpers.reward_functions:obey\) must give"
            ):
                ask(scorer, f"return {bad}")
    errors = ["reward 'obey' raised KeyError: 'boom'", "timeout after 2 s", "worker exited with code 3"]
    assert [score.error for score in found[1:4]] == errors
    assert [score.reward for score in (found[0], *found[5:])] == [2, 0.5, 2.5]
    assert [record.getMessage().count("KeyError: 'boom'") > 0 for record in caplog.records] == [True], "logged once"
    assert "in obey" in caplog.text


@pytest.mark.seconds
def test_a_function_that_fails_for_a_group_costs_the_group():
    parts = {"verdict": Verdict(), "obey": FunctionReward("helpers.reward_functions:obey_as_a_group")}
    with Scorer({"sums": RewardedTask(Sums(), parts)}, num_workers=1, timeout=1.0) as scorer:
        assert [score.reward for score in ask(scorer, "2", "3")] == [2, 1.5]
        first, unreadable, last = ask(scorer, "2", "?", "raise boom")
        assert [first.error, unreadable.error, last.error] == [
            "reward 'obey' raised KeyError: 'boom'",
            "unreadable",
            "reward 'obey' raised KeyError: 'boom'",
        ]
        assert replace(first, error=None) == Score(reward=0.0, correct=False, answer="2")
        assert [score.error for score in ask(scorer, "2", "sleep 1000")] == ["timeout after 2 s"] * 2
        assert [score.error for score in ask(scorer, "exit 4", "2")] == ["worker exited with code 4"] * 2
        with pytest.raises(
            BadScore, match=r"must give a list with one number for each of the 2 completions.*gave \[1.0\]"
        ):
            ask(scorer, "only 1", "2")


@pytest.mark.seconds
def test_a_pattern_that_takes_for_ever_is_stopped():
    parts = {"verdict": Verdict(), "form": Format(pattern=r"^(a+)+$")}
    with Scorer({"sums": RewardedTask(Sums(), parts)}, num_workers=1, timeout=1.0) as scorer:
        hung, after = ask(scorer, "a" * 64 + "b", "aaa")
    assert (hung.error, after.parts) == ("timeout after 1 s", {"verdict": 0.5, "form": 1})
