"""Samplers over pass rates: what they prefer, and that ranks, resuming and looking ahead change nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from helpers.letters import Letters
from helpers.scripted import scripted_rollouts

from lit_passk.advantages import GRPO, PassKAnalytic, Schedule
from lit_passk.data.drawing import Drawing
from lit_passk.data.loader import PromptLoader
from lit_passk.data.pass_rates import Counts, PassRates
from lit_passk.data.samplers import Candidates, DifficultyPools, ExpectedAdvantage, PromptSampler, Uniform
from lit_passk.data.samplers.base import _by
from lit_passk.data.samplers.difficulty_pools import split
from lit_passk.errors import Refusal
from lit_passk.tasks.mixture import Mixture, MixtureTask

RATES = torch.tensor([0.0, 0.05, 0.2, 0.5, 0.8, 1.0], dtype=torch.float64)
NUM, PER_STEP, GROUP_SIZE = 24, 4, 6


def candidates(counts: Counts, step: int = 0, seed: int = 0) -> Candidates:
    rows = range(len(counts.scored))
    return Candidates(rows=rows, counts=counts, step=step, seed=seed, in_order=lambda count: list(rows[:count]))


def known(num: int = 1000) -> Counts:
    """Pass rates that are known well."""
    return Counts(RATES * num, torch.full_like(RATES, num))


def expected_advantage(strategy=None, group_size: int = 8, **settings) -> ExpectedAdvantage:
    sampler = ExpectedAdvantage(**settings)
    sampler.prepare(strategy or PassKAnalytic(4), group_size, 100)
    return sampler


def test_expected_advantage_is_that_of_simulated_groups():
    """Draw the rate from its posterior, then a group, then ask the strategy: the mean is the weight."""
    strategy, counts = PassKAnalytic(3), Counts(torch.tensor([0.0, 2.0, 7.0]), torch.tensor([0.0, 10.0, 8.0]))
    found = expected_advantage(strategy, group_size=8).expected(candidates(counts))
    random = torch.Generator().manual_seed(0)
    draws = 40_000
    for i in range(3):
        gammas = [torch._standard_gamma(x[i].expand(draws), generator=random) for x in (counts.a, counts.b)]
        rate = gammas[0] / (gammas[0] + gammas[1])
        correct = (torch.rand((draws, 8), generator=random) < rate[:, None]).float()
        mass = strategy(correct).abs().sum(dim=1)
        assert float(found[i]) == pytest.approx(float(mass.mean()), abs=5 * float(mass.std()) / draws**0.5)


def test_k_decides_what_is_preferred():
    at_1, at_4 = (
        expected_advantage(s, 16, uniform=0.0).weights(candidates(known())) for s in (GRPO(), PassKAnalytic(4))
    )
    assert at_1.argmax() == 3, "half of the completions correct"
    assert at_4.argmax() == 2, "one in five rather than half or one in twenty"
    assert at_4[1] / at_4[3] > 2 * at_1[1] / at_1[3], "and hard prompts rather than those half solved"
    assert at_4[5] < 1e-3
    sampler = expected_advantage(Schedule([PassKAnalytic(4), GRPO()], [10]), 16, uniform=0.0)
    assert torch.equal(sampler.weights(candidates(known(), step=9)), at_4)
    assert torch.equal(sampler.weights(candidates(known(), step=10)), at_1)


def test_draws_are_in_proportion_to_the_weights():
    class Fixed(PromptSampler):
        def weights(self, candidates):
            return torch.tensor([1, 2, 3, 4, 5, 5])

    first = Counter(Fixed().draw(candidates(known(), seed=100 * seed), 3)[0] for seed in range(1500))
    assert [first[i] / 1500 for i in range(6)] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.25], abs=0.04)
    assert sorted(Fixed().draw(candidates(known()), 6)) == list(range(6))


def test_a_share_of_the_chances_is_the_same_for_all():
    chances = expected_advantage(uniform=0.2).chances(candidates(known()))
    assert float(chances.sum()) == pytest.approx(1)
    assert float(chances[5]) == pytest.approx(0.2 / 6, abs=1e-4)
    solved = Counts(torch.tensor([1000.0, 999.0]), torch.full((2,), 1000.0))  # next to nothing is left to learn
    weights = expected_advantage(uniform=0.2).weights(candidates(solved))
    assert float(weights.sum()) == pytest.approx(1)
    assert float(weights[0]) > 0.2, "more than the share that is the same for all"


def test_prompts_of_weight_0_come_last():
    class OnlyTwo(PromptSampler):
        def weights(self, candidates):
            return torch.tensor([0, 0, 1, 0, 3, 0])

    for seed in range(20):
        drawn = OnlyTwo().draw(candidates(known(), seed=seed * 9), 4)
        assert set(drawn[:2]) == {2, 4}
        assert len(set(drawn)) == 4
    assert OnlyTwo().chances(candidates(known())).tolist() == pytest.approx([0, 0, 0.25, 0, 0.75, 0])


def test_without_any_weight_all_prompts_are_alike():
    class Nothing(PromptSampler):
        def weights(self, candidates):
            return torch.zeros(6)

    assert Nothing().chances(candidates(known())).tolist() == pytest.approx([1 / 6] * 6)
    assert sorted(Nothing().draw(candidates(known()), 6)) == list(range(6))
    silent = expected_advantage(PassKAnalytic(8), 8, uniform=0.0)  # of k = G no completion gets any advantage
    assert silent.weights(candidates(known())).tolist() == [0.0] * 6


def test_one_prompt_more_than_have_a_weight():
    last, key = torch.tensor([False, True, True, True]), torch.tensor([0.9, 0.3, 0.1, 0.2])
    assert _by(last, key, 1) == [0]
    assert _by(last, key, 2) == [0, 2]
    assert _by(last, key, 4) == [0, 2, 3, 1]


@pytest.mark.parametrize("wrong", [torch.ones(5), -torch.ones(6), torch.full((6,), torch.nan), torch.tensor(1.0)])
def test_wrong_weights_are_refused(wrong):
    class Wrong(PromptSampler):
        def weights(self, candidates):
            return wrong

    with pytest.raises(Refusal, match=r"Wrong\.weights must return 6 finite numbers"):
        Wrong().draw(candidates(known()), 2)


def test_pools_are_by_the_posterior_mean_and_shares_hold():
    sampler = DifficultyPools(easy=1, normal=2, hard=1, easy_from=0.75, hard_to=0.1)
    counts = Counts(torch.tensor([0.0, 0, 1, 8, 4] * 20), torch.tensor([0.0, 8, 8, 8, 8] * 20))
    assert sampler.pools(counts)[:5].tolist() == [1, 2, 1, 0, 1]  # unseen; (0 + 1) / 10 is hard, (1 + 1) / 10 is not
    drawn = Counter()
    for step in range(200):
        pools = Counter((sampler.pools(counts)[sampler.draw(candidates(counts, seed=step * 1000), 6)]).tolist())
        assert all(abs(pools[i] - 6 * share) < 1 for i, share in enumerate([0.25, 0.5, 0.25]))
        drawn.update(pools)
    assert drawn[1] == 600
    assert drawn[0] == pytest.approx(300, abs=40)
    assert sampler.metrics(counts) == pytest.approx({"easy": 0.2, "normal": 0.6, "hard": 0.2})


def test_a_rate_at_the_bound_of_a_pool_is_in_it():
    counts = Counts(torch.tensor([2.0, 0.0, 1.0]), torch.tensor([2.0, 2.0, 2.0]))  # means 3/4, 1/4 and 1/2, exactly
    assert DifficultyPools(easy_from=0.75, hard_to=0.25).pools(counts).tolist() == [0, 2, 1]
    counts = Counts(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]))  # unseen ones are normal, whatever 1/2 is
    assert DifficultyPools(easy_from=0.5, hard_to=0.1).pools(counts).tolist() == [1, 0]  # exact: numbers of pools


@pytest.mark.parametrize(
    ("correct", "weights"),
    [([8.0, 0.0, 4.0], [0.2, 0.2, 0.6]), ([8.0, 4.0, 4.0], [0.2, 0.3, 0.3]), ([8.0, 8.0, 8.0], [0.2 / 3] * 3)],
)
def test_the_prompts_of_a_pool_divide_its_share_among_them(correct, weights):
    counts = Counts(torch.tensor(correct), torch.full((3,), 8.0))
    assert DifficultyPools().weights(candidates(counts)).tolist() == pytest.approx(weights)
    others = [0.0 if rate == 8 else weight for rate, weight in zip(correct, weights, strict=True)]
    assert DifficultyPools(easy=0).weights(candidates(counts)).tolist() == pytest.approx(others)


def test_the_uncertainty_of_a_rate_is_that_of_its_beta_distribution():
    counts = Counts(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 3.0]))  # Beta(2, 2) and Beta(4, 1)
    variances = [a * b / ((a + b) ** 2 * (a + b + 1)) for a, b in ((2, 2), (4, 1))]
    assert counts.std.square().tolist() == pytest.approx(variances, rel=1e-6)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([9, 9, 9], [2, 5, 3]), ([1, 9, 0], [1, 9, 0]), ([0, 4, 9], [0, 4, 6]), ([0, 0, 10], [0, 0, 10])],
)
def test_what_a_pool_lacks_comes_from_the_others(sizes, expected):
    assert split(10, [1, 2, 1], sizes, offset=0.0) == expected
    assert split(4, [0, 1, 0], [3, 2, 3], offset=0.5) in ([1, 2, 1], [2, 2, 0], [0, 2, 2])
    assert split(2, [0, 1, 0], [3, 2, 3], offset=0.5) == [0, 2, 0]


def test_all_prompts_in_one_pool_is_said_once(recwarn):
    sampler = DifficultyPools()
    sampler.metrics(Counts(torch.zeros(3), torch.tensor([0.0, 8, 8])))
    assert not recwarn, "not every prompt was seen"
    counts = Counts(torch.zeros(3), torch.full((3,), 8.0))
    assert sampler.metrics(counts) == {"easy": 0.0, "normal": 0.0, "hard": 1.0}
    assert sampler.metrics(Counts(torch.zeros(1), torch.full((1,), 8.0)))["hard"] == 1.0  # exact: one of one
    assert [str(w.message)[:24] for w in recwarn] == ["All 3 prompts are hard b"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DifficultyPools(easy=-1), "shares of 0 or more"),
        (lambda: DifficultyPools(easy=0, normal=0, hard=0), "not all 0"),
        (lambda: DifficultyPools(easy_from=0.2, hard_to=0.3), "hard_to < easy_from"),
        (lambda: DifficultyPools(easy_from=1.5), "easy_from <= 1"),
        (lambda: ExpectedAdvantage(uniform=1.5), "from 0 to 1"),
        (lambda: PassRates(3, half_life=0), "above 0 RL steps"),
        (lambda: ExpectedAdvantage().weights(candidates(known())), "prepare"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(Refusal, match=message):
        make()


def test_counts_halve_with_the_half_life():
    rates = PassRates(3, half_life=4)
    rates.observe(0, [0, 2], [8, 0], [8, 8])
    rates.observe(4, [0], [0], [8])
    counts = rates.counts([0, 1, 2], step=8)
    assert counts.correct.tolist() == pytest.approx([2, 0, 0])
    assert counts.scored.tolist() == pytest.approx([2 + 4, 0, 2])
    assert counts.mean.tolist() == pytest.approx([3 / 8, 1 / 2, 1 / 4])
    low, high = Counts(torch.tensor([0.0]), torch.tensor([0.0])).interval(0, confidence=0.5)
    assert (low, high) == pytest.approx((0.25, 0.75))
    low, high = Counts(torch.tensor([1.0]), torch.tensor([1.0])).interval(0, confidence=0.5)  # below x is x^2
    assert (low, high) == pytest.approx((0.25**0.5, 0.75**0.5))
    with pytest.raises(Refusal, match=r"of 3 problems, but `data.train` has 4"):
        PassRates(4).load_state_dict(rates.state_dict())


def make_loader(sampler=None, rank: int = 0, world_size: int = 1, mixed: bool = False) -> PromptLoader:
    task = Letters(NUM)
    if mixed:
        task = Mixture({"a": MixtureTask(Letters(NUM // 2)), "b": MixtureTask(Letters(NUM // 2), 3.0)})
    prompts = [(i, [i + 1]) for i in range(NUM)]
    sampler = sampler or expected_advantage(PassKAnalytic(2), GROUP_SIZE, half_life=5)
    return PromptLoader(task, "train", prompts, PER_STEP, rank, world_size, 0, sampler)


def test_steps_are_counted_on_through_the_epochs():
    asked = []

    class Asked(PromptSampler):
        def weights(self, candidates):
            asked.append(candidates.step)
            return torch.ones(len(candidates.rows))

    drawing = Drawing(Letters(NUM - 1), range(NUM - 1), PER_STEP, 0, Asked())  # the last of six steps is a short one
    for epoch in range(2):
        for position in range(6):
            drawing.draw(epoch, position)
    assert asked == list(range(12))


def test_another_seed_draws_other_prompts():
    def drawn(seed):
        drawing = Drawing(Letters(NUM), range(NUM), PER_STEP, seed, DifficultyPools())
        return [drawing.draw(0, position) for position in range(4)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_rates_are_counted_from_here_on_where_the_checkpoint_has_none():
    uniform, pools = make_loader(Uniform()), make_loader(DifficultyPools())
    train(uniform, range(2))
    pools.load_state_dict(uniform.state_dict())
    assert pools.state_dict()["rates"]["scored"].sum() == 0


def rollouts_of(indices, step: int):
    """What would be sampled for these prompts at this step: harder by index; some completions cannot be scored."""
    rows = []
    for i in indices:
        random = torch.Generator().manual_seed(1000 * step + i)
        draws = torch.rand(GROUP_SIZE, generator=random).tolist()
        rows.append([None if d > 0.95 else float(d < i / NUM) for d in draws])
    made = scripted_rollouts(rows)
    return replace(made, groups=tuple(replace(g, index=i) for g, i in zip(made.groups, indices, strict=True)))


def train(loader: PromptLoader, steps: range, ahead: bool = False) -> list[list[int]]:
    """The prompts of each step; what they teach is observed before the next step is drawn."""
    found = []
    batches = iter(loader)
    for step in steps:
        try:
            batch = next(batches)
        except StopIteration:
            batches = iter(loader)
            batch = next(batches)
        found.append(list(batch.indices))
        loader.observe(step, rollouts_of(batch.indices, step))
        if ahead:
            loader.peek()
    return found


@pytest.mark.parametrize("make", [lambda: None, lambda: DifficultyPools(half_life=9)], ids=["advantage", "pools"])
@pytest.mark.parametrize("mixed", [False, True], ids=["one task", "mixture"])
@pytest.mark.parametrize("ahead", [False, True], ids=["in step", "one step ahead"])
def test_resumes_to_the_prompt(make, mixed, ahead):
    expected = train(make_loader(make(), mixed=mixed), range(14), ahead)
    assert all(len(set(step)) == PER_STEP for step in expected)
    for stop in (1, 7):
        first, second = make_loader(make(), mixed=mixed), make_loader(make(), mixed=mixed)
        done = train(first, range(stop), ahead)
        state = first.state_dict()
        train(first, range(stop, stop + 2))  # what was saved does not go on with it
        second.load_state_dict(state)
        assert done + train(second, range(stop, 14), ahead) == expected


def test_a_batch_that_was_asked_for_stays_though_more_becomes_known():
    """A source that draws before the step's rollouts are counted: a resumed run trains on the same prompts."""
    loader, again = make_loader(), make_loader()
    train(loader, range(6))
    ahead = list(loader.peek().indices)
    loader.observe(6, rollouts_of(range(NUM), 6))
    again.load_state_dict(loader.state_dict())
    assert list(loader.peek().indices) == list(again.peek().indices) == ahead
    assert train(loader, range(7, 12)) == train(again, range(7, 12))


def test_a_batch_that_was_asked_for_is_drawn_anew_where_the_prompts_are_others():
    """Its rows are of the prompts before: they would be others now, or none."""
    whole = [(index, [5]) for index in range(NUM)]
    loader, again = (
        PromptLoader(Letters(NUM), "train", prompts, PER_STEP, seed=0, sampler=DifficultyPools())
        for prompts in (whole, whole[-PER_STEP:])
    )
    loader.peek()
    with pytest.warns(UserWarning, match="Those that come next are drawn anew"):
        again.load_state_dict(loader.state_dict())
    assert sorted(again.peek().indices) == [index for index, _ in whole[-PER_STEP:]]


def test_prompts_that_carry_more_come_more_often():
    loader = make_loader(expected_advantage(PassKAnalytic(2), GROUP_SIZE, half_life=None, uniform=0.0))
    drawn = Counter(i for step in train(loader, range(80)) for i in step)
    assert sum(drawn[i] for i in range(4, 14)) > 2 * sum(drawn[i] for i in range(16, 24))
    learned = loader.observe(80, rollouts_of(range(NUM), 80))
    assert learned.keys() == {"sampler/pass_rate", "sampler/pass_rate_std", "sampler/effective_prompts"}
    assert learned["sampler/pass_rate"] == pytest.approx(0.5, abs=0.1)
    assert 8 < learned["sampler/effective_prompts"] < NUM


def test_a_mixture_draws_from_fewer_prompts_than_it_has():
    """A quarter of the draws among the first twelve, the others among the last: 1 / (12 / 48^2 + 12 / 16^2)."""
    loader = make_loader(expected_advantage(PassKAnalytic(2), GROUP_SIZE, uniform=1.0), mixed=True)
    found = loader.observe(0, rollouts_of(range(4), 0))["sampler/effective_prompts"]
    assert found == pytest.approx(1 / (12 / 48**2 + 12 / 16**2))


def test_groups_that_are_not_trained_on_count():
    whole = rollouts_of(range(6), 0)
    loaders = [make_loader(), make_loader()]
    loaders[0].observe(0, whole)
    loaders[1].observe(0, replace(whole, groups=whole.groups[:2], not_trained=whole.groups[2:]))
    one, other = (loader.state_dict()["rates"] for loader in loaders)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert one["scored"].sum() == sum(s.error is None for g in whole.groups for s in g.scores)


@pytest.mark.parametrize("mixed", [False, True], ids=["one task", "mixture"])
def test_ranks_draw_the_same_and_so_do_further_prompts(mixed):
    loaders = [make_loader(rank=rank, world_size=world, mixed=mixed) for rank, world in [(0, 1), (0, 2), (1, 2)]]
    for loader in loaders:
        loader.observe(0, rollouts_of(range(NUM), 0))
    whole, *shares = (loader.peek() for loader in loaders)
    dealt = [None] * PER_STEP
    for rank, share in enumerate(shares):
        dealt[rank::2] = share.indices
    assert dealt == list(whole.indices)
    extra = [list(loader.draw_extra(3, whole.indices)) for loader in loaders]
    assert extra[0] == extra[1] == extra[2]
    assert sorted([*extra[0], *whole.indices]) == list(range(NUM))


def test_further_prompts_follow_the_sampler():
    loader = make_loader(expected_advantage(PassKAnalytic(2), GROUP_SIZE, half_life=None, uniform=0.0))
    for step in range(20):
        loader.observe(step, rollouts_of(range(NUM), step))
    first = [next(loader.draw_extra(step, [])) for step in range(60)]
    assert sum(4 <= i < 14 for i in first) > 2 * sum(i >= 16 for i in first)


def test_a_sampler_that_draws_nonsense_is_named():
    class Twice(PromptSampler):
        def weights(self, candidates):
            raise AssertionError

        def draw(self, candidates, count):
            return [0] * count

    with pytest.raises(Refusal, match=r"Twice\.draw must return 4 different numbers among the 24"):
        make_loader(Twice()).peek()
