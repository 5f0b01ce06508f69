"""Which groups have an advantage, which prompts are drawn for more of them, and what is kept."""

from __future__ import annotations

from itertools import combinations

import pytest
from helpers.scripted import scripted_rollouts

from lit_passk.advantages import (
    GRPO,
    RLOO,
    AdaptiveEntropy,
    AdvantageStrategy,
    Combination,
    DrGRPO,
    ExceedingPassK,
    PassKAnalytic,
    PassKBootstrap,
    PassKFullSampling,
    ReinforcePlusPlus,
    Schedule,
)
from lit_passk.data.loader import PromptLoader
from lit_passk.modules import compute_advantages
from lit_passk.rollout.dynamic_sampling import DynamicSampling, has_advantage
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
        assert has_advantage(group(c, u), min_wrong=k) == (outcomes == {0, 1}), (c, u)


@pytest.mark.parametrize(
    "strategy",
    [PassKAnalytic(3), PassKAnalytic(1), ExceedingPassK(2), GRPO(), DrGRPO(), RLOO(), Combination(3)],
    ids=lambda s: f"{type(s).__name__}-{getattr(s, 'k', '')}",
)
@pytest.mark.filterwarnings("ignore:.*sees a single group")
def test_groups_with_signal_are_those_with_advantages(strategy):
    for c, u in COUNTS:
        one = group(c, u)
        rollouts = scripted_rollouts([[None if s.error else s.reward for s in one.scores]])
        advantages = compute_advantages(strategy, rollouts)
        if isinstance(strategy, Combination) and GROUP_SIZE - u < strategy.k:
            continue  # it needs k scored completions, which the counts do not know
        assert has_advantage(one, strategy.min_wrong(0, -1)) == bool((advantages != 0).any()), (c, u)


def test_what_each_strategy_needs():
    ks = [PassKAnalytic(3), ExceedingPassK(3), PassKBootstrap(3), PassKFullSampling(3)]
    ones = [GRPO(), DrGRPO(), RLOO(), ReinforcePlusPlus(), Combination(3), AdaptiveEntropy(3)]

    class Users(AdvantageStrategy):
        def __call__(self, rewards, context=None):
            return rewards

    assert [s.min_wrong(0, -1) for s in ks] == [3] * 4
    assert [s.min_wrong(0, -1) for s in [*ones, Users()]] == [1] * 7
    schedule = Schedule([PassKAnalytic(5), PassKAnalytic(2), GRPO()], [3, 0.5])
    assert [schedule.min_wrong(step, 20) for step in (0, 2, 3, 9, 10, 19)] == [5, 5, 2, 2, 1, 1]
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

    at = Step(number=step, batch=batch, loader=prompts, sampling=Sampling(n=6), seed=0, min_wrong=4, is_last=False)
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
