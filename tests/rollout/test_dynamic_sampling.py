"""Which groups have an advantage, which prompts are drawn for more of them, and what is kept."""

from __future__ import annotations

from functools import partial
from itertools import combinations

import pytest
from helpers.scripted import scripted_rollouts

from lit_passk.advantages import (
    GRPO,
    PKPO,
    RLOO,
    UCPO,
    AdaptiveEntropy,
    AdvantageStrategy,
    BayesianBoundary,
    Combination,
    DifferentialSmoothing,
    DrGRPO,
    ExceedingPassK,
    LeaveOneOutMaxK,
    LogMeanExp,
    MaxAtK,
    OrderStatistic,
    PassKAnalytic,
    PassKBootstrap,
    PassKFullSampling,
    ReinforcePlusPlus,
    Schedule,
    Unlikeliness,
    VoteAtK,
    WReinforce,
)
from lit_passk.data.loader import PromptLoader
from lit_passk.modules import compute_advantages
from lit_passk.modules.advantage import has_advantage
from lit_passk.rollout.dynamic_sampling import DynamicSampling
from lit_passk.rollout.step import Step
from lit_passk.tasks.base import Task
from lit_passk.types import Problem, PromptBatch, Sampling, Score, ScoredGroup

GROUP_SIZE = 7
COUNTS = [(c, u) for c in range(GROUP_SIZE + 1) for u in range(GROUP_SIZE + 1 - c)]  # correct, unscored


def group(num_correct: int, num_unscored: int = 0, size: int = GROUP_SIZE) -> ScoredGroup:
    wrong = size - num_correct - num_unscored
    return scripted_rollouts([[1.0] * num_correct + [0.0] * wrong + [None] * num_unscored]).groups[0]


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_signal_is_that_groups_of_k_differ(k):
    """Every k of the scored completions, one by one: some of these groups hold a right answer and some do not."""
    for c, u in COUNTS:
        scored = [1] * c + [0] * (GROUP_SIZE - c - u)
        outcomes = {max(chosen) for chosen in combinations(scored, k)}
        assert has_advantage(PassKAnalytic(k), group(c, u)) == (outcomes == {0, 1}), (c, u)


@pytest.mark.parametrize(
    "strategy",
    [
        PassKAnalytic(3), ExceedingPassK(2), PassKFullSampling(2), PassKBootstrap(3), Combination(3),
        GRPO(), DrGRPO(), RLOO(), MaxAtK(3), OrderStatistic(2, "min"), PKPO(3, "s"), LeaveOneOutMaxK(), VoteAtK(3),
        WReinforce(), Unlikeliness(), UCPO(), DifferentialSmoothing(), BayesianBoundary(),
    ],
    ids=lambda s: type(s).__name__,
)  # fmt: skip
def test_groups_with_signal_are_those_with_advantages(strategy):
    for c, u in COUNTS:
        one = group(c, u)
        rollouts = scripted_rollouts([[None if s.error else s.reward for s in one.scores]])
        advantages = compute_advantages(strategy, rollouts)
        assert has_advantage(strategy, one) == bool((advantages != 0).any()), (c, u)


@pytest.mark.parametrize("strategy", [ReinforcePlusPlus(), AdaptiveEntropy(3)], ids=lambda s: type(s).__name__)
def test_what_compares_with_the_whole_step_needs_a_correct_and_a_wrong_completion(strategy):
    """Which prompts explore, or are above the mean, is known when the step is chosen and not before."""
    assert [has_advantage(strategy, group(c)) for c in (0, 1, GROUP_SIZE - 1, GROUP_SIZE)] == [False, True, True, False]


def test_graded_rewards_count_for_strategies_that_look_at_them():
    graded = scripted_rollouts([[0.1, 0.2, 0.3, 0.3, 0.3, 0.3]]).groups[0]  # all wrong
    equal = scripted_rollouts([[0.3] * 6]).groups[0]
    best_equal = scripted_rollouts([[0.1, 0.1, 0.3, 0.3, 0.3, 0.3]]).groups[0]
    for strategy in (MaxAtK(2), OrderStatistic(2, "median"), GRPO(), LogMeanExp()):
        assert has_advantage(strategy, graded)
        assert not has_advantage(strategy, equal)
    assert not has_advantage(MaxAtK(4), best_equal), "every four hold one of the four best"
    assert has_advantage(MaxAtK(2), best_equal)
    assert not has_advantage(PassKAnalytic(2), graded)


def test_a_strategy_is_asked_for_the_step_and_keeps_no_memory_of_it():
    class Counting(AdvantageStrategy):
        calls = 0

        def __call__(self, rewards, context=None):
            self.calls += 1
            return rewards * context.step

    strategy = Counting()
    assert not has_advantage(strategy, group(2), step=0)
    assert has_advantage(strategy, group(2), step=1)
    assert strategy.calls == 0


def test_a_schedule_is_asked_as_the_strategy_of_the_step():
    schedule = Schedule([PassKAnalytic(5), PassKAnalytic(2), GRPO()], [3, 0.5])
    two_wrong = group(5)
    assert [has_advantage(schedule, two_wrong, step, 20) for step in (0, 2, 3, 9, 10)] == [False] * 2 + [True] * 3
    with pytest.raises(ValueError, match="unknown length"):
        schedule.check_run(-1)
    with pytest.raises(ValueError, match="ascending"):
        schedule.check_run(4)
    schedule.check_run(20)


class Numbers(Task):
    """Problem i; the first prompt is missing from the loader, as one that is too long would be."""

    def __len__(self):
        return 21

    def __getitem__(self, index):
        return Problem(id=str(index), prompt="U", answer="")

    def score(self, problem, completion):
        return Score(reward=0.0, correct=False)


def loader(rank: int = 0, world_size: int = 1, seed: int = 0) -> PromptLoader:
    return PromptLoader(Numbers(), "train", [(i, [i]) for i in range(1, 21)], 4, rank, world_size, seed)


def test_further_prompts_are_the_rest_of_the_task_in_an_order_of_seed_and_step():
    used = [3, 4, 5]
    one = list(loader().draw_extra(7, used))
    drawn = [loader().prompts[place][0] for place in one]
    assert sorted(drawn) == [i for i in range(1, 21) if i not in used]
    assert one == list(loader(rank=1, world_size=2).draw_extra(7, used))
    assert one[:5] == [place for place, _ in zip(loader().draw_extra(7, used), range(5), strict=False)]
    assert one != list(loader().draw_extra(8, used))
    assert one != list(loader(seed=1).draw_extra(7, used))
    there = loader()
    before = there.state_dict()
    list(there.draw_extra(0, []))
    assert there.state_dict() == before


def run(with_signal: set[int], max_rounds: int = 3, step: int = 0):
    """Fill up one batch of four, where only the given problems have an advantage; also return the batches sampled."""
    prompts = loader()
    batch = next(iter(prompts))
    sampled: list[list[int]] = []

    class Scripted:
        """In the place of a Sampler."""

        full_precision = True

        def sample(self, part: PromptBatch, sampling: Sampling, seeds: list[int], version: int) -> list[ScoredGroup]:
            sampled.append(list(part.indices))
            return script(part)

    def script(part: PromptBatch) -> list[ScoredGroup]:
        made = []
        for index, problem in zip(part.indices, part.problems, strict=True):
            pattern = group(2 if index in with_signal else 0, size=6)
            fields = {name: getattr(pattern, name) for name in ("prompt_ids", "completions", "texts", "scores", "seed")}
            made.append(ScoredGroup(problem=problem, index=index, **fields))
        return made

    has = partial(has_advantage, PassKAnalytic(4))
    at = Step(
        number=step, batch=batch, loader=prompts, sampling=Sampling(n=6), seed=0, has_advantage=has, is_last=False
    )
    drawn = DynamicSampling(max_rounds=max_rounds).rollouts(at, Scripted())
    others = [prompts.prompts[place][0] for place in prompts.draw_extra(step, batch.indices)]
    return drawn, sampled, list(batch.indices) + others


def indices(groups) -> list[int]:
    return [g.index for g in groups]


def test_a_batch_with_signal_costs_nothing_more():
    drawn, sampled, order = run(set(range(21)))
    assert sampled == [order[:4]]
    assert indices(drawn.groups) == order[:4]
    assert list(drawn.not_trained) == []
    assert drawn.metrics["dynamic_sampling/rounds"] == drawn.metrics["dynamic_sampling/surplus"] == 0
    assert drawn.metrics["dynamic_sampling/share"] == 1


def test_the_first_with_signal_are_kept_and_the_costs_told():
    *_, order = run(set())
    useful = {order[1], order[3], order[5], order[6], order[7]}
    drawn, sampled, _ = run(useful)
    assert sampled == [order[:4], order[4:8]]  # 2 of 4 have an advantage, 2 are missing: 4 more should do
    assert indices(drawn.groups) == [order[1], order[3], order[5], order[6]]
    assert drawn.positions.tolist() == [0, 1, 2, 3]
    assert indices(drawn.not_trained) == [order[0], order[2], order[4], order[7]]
    assert {k: v for k, v in drawn.metrics.items() if k != "time/further_rollouts"} == {
        "dynamic_sampling/prompts": 8,
        "dynamic_sampling/completions": 48,
        "dynamic_sampling/share": 5 / 8,
        "dynamic_sampling/rounds": 1,
        "dynamic_sampling/surplus": 1,
    }


def test_the_size_of_a_round_follows_the_share_of_this_step():
    *_, order = run(set())
    _, sampled, _ = run({order[0], order[1], order[2], order[7]})
    # 3 of 4, 1 missing: 2 more; 3 of 6: 2 more, of which one has an advantage
    assert sampled == [order[:4], order[4:6], order[6:8]]


@pytest.mark.parametrize("max_rounds", [1, 2, 3])
def test_silent_groups_fill_the_step_up_when_the_rounds_end(max_rounds):
    *_, order = run(set())
    drawn, sampled, _ = run({order[6]}, max_rounds)
    assert sampled == [order[i : i + 4] for i in range(0, 4 * (max_rounds + 1), 4)]
    assert indices(drawn.groups) == [*order[:3], order[6]]
    assert drawn.metrics["dynamic_sampling/rounds"] == max_rounds
    assert len(drawn.groups) + len(drawn.not_trained) == 4 * (max_rounds + 1)


def test_a_step_never_has_a_prompt_twice_and_ends_with_the_task():
    drawn, sampled, _ = run(set(), max_rounds=100)
    flat = [i for part in sampled for i in part]
    assert sorted(flat) == list(range(1, 21))
    assert drawn.metrics["dynamic_sampling/rounds"] == 4
    assert len(drawn.groups) == 4


def test_no_rounds_at_all_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        DynamicSampling(max_rounds=0)
