"""What every strategy promises, whatever its formula."""

import pytest
import torch

from lit_passk import advantages
from lit_passk.advantages import (
    FGRPO,
    GRPO,
    PKPO,
    RLOO,
    RSGRPO,
    UCPO,
    AdaptiveEntropy,
    AdvantageStrategy,
    BayesianBoundary,
    Blend,
    Combination,
    DifferentialSmoothing,
    DrGRPO,
    ExceedingPassK,
    GroupAdvantage,
    LeaveOneOutMaxK,
    LogMeanExp,
    MaxAtK,
    MaxRL,
    OrderStatistic,
    PassKAnalytic,
    PassKBootstrap,
    PassKFullSampling,
    PassKStrategy,
    ReinforcePlusPlus,
    Schedule,
    Surrogate,
    Switch,
    Unlikeliness,
    VoteAtK,
    WReinforce,
)

PASS_AT_K = [PassKFullSampling, PassKBootstrap, PassKAnalytic, Combination, ExceedingPassK, AdaptiveEntropy]
PASS_AT_1 = [GRPO, DrGRPO, RLOO, ReinforcePlusPlus]
PROMPT_WEIGHTS = [MaxRL, RSGRPO, FGRPO, BayesianBoundary]
WITHIN_GROUP = [WReinforce, Unlikeliness, UCPO, DifferentialSmoothing]
REWARDS_OF_K = [GroupAdvantage, MaxAtK, OrderStatistic, PKPO]  # and the two that take all G completions together
OF_REWARDS = [*REWARDS_OF_K, LeaveOneOutMaxK, LogMeanExp]
ALL = [*PASS_AT_K, *PASS_AT_1, *PROMPT_WEIGHTS, *WITHIN_GROUP, *OF_REWARDS, VoteAtK]


def make_all():
    strategies = [cls() for cls in ALL]
    two = PassKAnalytic(2), GRPO()
    over_time = [Schedule(list(two), [1]), Blend(*two, end=10), Switch(*two, metric="train/entropy", below=0.3)]
    return [*strategies, Surrogate(torch.reciprocal), *over_time]


every_strategy = pytest.mark.parametrize("strategy", make_all(), ids=lambda strategy: type(strategy).__name__)


@pytest.fixture
def batch(make_context):
    """Six prompts of eight completions with shaped rewards, and a context that knows the whole batch."""
    generator = torch.Generator().manual_seed(0)
    correct = torch.rand(6, 8, generator=generator) < torch.tensor([0.0, 0.1, 0.3, 0.5, 0.8, 1.0])[:, None]
    rewards = correct.float() + 0.1 * torch.rand(6, 8, generator=generator)
    entropy = torch.rand(6, 8, generator=generator)
    problem_ids = torch.tensor([12, 3, 7, 40, 1, 5])
    answers = torch.where(correct, 0, torch.randint(-1, 4, (6, 8), generator=generator))

    def context(rows):
        return make_context(
            correct[rows],
            problem_ids=problem_ids[rows],
            entropy=entropy[rows],
            answers=answers[rows],
            step=3,
            max_steps=10,
            reward_stats=(float(rewards.mean()), float(rewards.std(correction=0))),
            batch_entropy=entropy.mean(dim=1),
        )

    return rewards, context


def test_every_public_strategy_is_covered():
    classes = {getattr(advantages, name) for name in advantages.__all__}
    public = {cls for cls in classes if issubclass(cls, AdvantageStrategy)} - {AdvantageStrategy, PassKStrategy}
    assert public == {*ALL, Surrogate, Schedule, Blend, Switch}
    assert {type(strategy) for strategy in make_all()} == public


def test_one_name_has_one_default_everywhere():
    assert {cls().k for cls in [*PASS_AT_K, *REWARDS_OF_K, VoteAtK]} == {4}
    with_std = [strategy for strategy in make_all() if hasattr(strategy, "std")]
    assert len(with_std) > 5
    assert {strategy.std for strategy in with_std} == {"population"}


@every_strategy
def test_shape_dtype_and_no_mutation(strategy, batch):
    rewards, make = batch
    context = make(torch.arange(6))
    copies = {name: getattr(context, name).clone() for name in ("correct", "entropy", "problem_ids")}
    before = rewards.clone()
    result = strategy(rewards, context)
    assert (result.shape, result.dtype, result.requires_grad) == ((6, 8), torch.float32, False)
    assert torch.isfinite(result).all()
    assert torch.equal(rewards, before)
    assert all(torch.equal(getattr(context, name), copy) for name, copy in copies.items())
    result.zero_()  # the caller may do what it likes with the result
    assert torch.equal(rewards, before)


@every_strategy
def test_ranks_buckets_and_order_of_prompts_do_not_matter(strategy, batch):
    rewards, make = batch
    whole = strategy(rewards, make(torch.arange(6)))
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    for rows in ([order], [order[:1], order[1:]], [order[:2], order[2:5], order[5:]]):
        parts = torch.cat([strategy(rewards[part], make(part)) for part in rows])
        assert torch.equal(parts, whole[order])


@every_strategy
def test_no_prompts(strategy, batch):
    rewards, make = batch
    none = torch.arange(0)
    result = strategy(rewards[none], make(none))
    assert (result.shape, result.dtype) == ((0, 8), torch.float32)


@every_strategy
@pytest.mark.parametrize("num_correct", [0, 1, 2, 512, 1023, 1024])
def test_large_groups_do_not_overflow(strategy, make_context, group, num_correct):
    rewards = group(1024, num_correct)
    answers = (1 - rewards).long()
    context = make_context(rewards, answers=answers, step=3, max_steps=10, reward_stats=(0.5, 0.5))
    assert torch.isfinite(strategy(rewards, context)).all()


@pytest.mark.parametrize("cls", PASS_AT_K)
@pytest.mark.parametrize("k", [4, 512])
def test_large_groups_with_large_k(cls, k, make_context, group):
    rewards = group(1024, 3)
    advantages = cls(k=k)(rewards, make_context(rewards))
    assert torch.isfinite(advantages).all()
    assert advantages[0, :3].mean() > 0 > advantages[0, 3:].mean()  # one by one, drawn groups have noise


@every_strategy
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64, torch.bool])
def test_any_number_type_gives_the_same(strategy, batch, dtype):
    _, make = batch
    context = make(torch.arange(6))
    rewards = context.correct.to(dtype)
    assert torch.equal(strategy(rewards, context), strategy(context.correct.float(), context))


@pytest.mark.parametrize("cls", PASS_AT_K)
def test_pass_at_k_strategies_look_at_correct_alone(cls, batch):
    rewards, make = batch
    context = make(torch.arange(6))
    assert torch.equal(cls()(rewards, context), cls()(context.correct.float(), context))
    assert torch.equal(cls()(-7 * rewards, context), cls()(rewards, context))


@pytest.mark.parametrize("cls", [cls for cls in PASS_AT_K if cls is not AdaptiveEntropy])  # it needs a context anyway
@pytest.mark.parametrize("value", [0.5, -1.0, 0.99999994, 1.1])
def test_rewards_that_do_not_say_who_is_right_are_refused(cls, value):
    with pytest.raises(ValueError, match=f"one is {value:g}.*`correct`.*MaxAtK"):
        cls()(torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, value]]))


@pytest.mark.parametrize("cls", [*PASS_AT_K, *REWARDS_OF_K, LeaveOneOutMaxK, VoteAtK])
def test_k_above_the_group_size_is_refused(cls, make_context, group):
    message = (
        rf"{cls.__name__}\(k=32\) needs rollout.group_size >= 32, but got 16. Raise rollout.group_size or lower k."
    )
    with pytest.raises(ValueError, match=message):
        cls(k=32).check_group_size(16)
    with pytest.raises(ValueError, match=message):
        cls(k=32)(group(16, 4), make_context(group(16, 4)))


@pytest.mark.parametrize("cls", PASS_AT_K)
def test_k_equal_to_the_group_size_warns(cls, make_context, group):
    with pytest.warns(UserWarning, match="always zero"):
        cls(k=16).check_group_size(16)
    context = make_context(group(16, 4))  # a batch of one prompt: at its own median, so AdaptiveEntropy takes Pass@k
    with pytest.warns(UserWarning, match="always zero"):
        advantages = cls(k=16)(group(16, 4), context)
    assert bool(advantages.any()) == (cls is Combination)  # its Pass@1 part is left


@pytest.mark.parametrize("cls", [*PASS_AT_K, *REWARDS_OF_K, LeaveOneOutMaxK, VoteAtK])
@pytest.mark.parametrize("k", [0, -1, 2.0, True])
def test_k_must_be_a_positive_integer(cls, k):
    with pytest.raises(ValueError, match=f"{cls.__name__} needs an integer k >= [12].*, but got k = "):
        cls(k=k)


@every_strategy
def test_bad_rewards_are_refused(strategy, batch):
    rewards, make = batch
    context = make(torch.arange(6))
    for value in ("nan", "inf", "-inf"):
        broken = rewards.clone()
        broken[2, 3] = float(value)
        with pytest.raises(ValueError, match="finite"):
            strategy(broken, context)
    with pytest.raises(ValueError, match=r"shape \(P, G\)"):
        strategy(rewards[0], context)


@pytest.mark.parametrize("cls", PASS_AT_K)
def test_correct_of_another_shape_is_refused(cls, batch):
    rewards, make = batch
    with pytest.raises(ValueError, match=r"\(6, 8\), but got \(5, 8\)"):
        cls()(rewards, make(torch.arange(5)))


@pytest.mark.parametrize("cls", [OrderStatistic, VoteAtK])
def test_comparing_with_groups_without_the_completion_needs_one_more(cls, make_context, group):
    context = make_context(group(8, 3), answers=group(8, 3).long())
    with pytest.raises(ValueError, match=r"k=8\) .* rollout.group_size >= 9, but got 8"):
        cls(k=8)(group(8, 3), context)


@pytest.mark.parametrize("cls", OF_REWARDS)
def test_reward_strategies_look_at_rewards_alone(cls, batch, make_context):
    rewards, make = batch
    assert torch.equal(cls()(rewards, make(torch.arange(6))), cls()(rewards))
    assert cls()(rewards - 5).any(), "all-wrong groups have an advantage where their rewards differ"


@pytest.mark.parametrize("strategy", [*(cls() for cls in OF_REWARDS), GroupAdvantage("min")])
@pytest.mark.parametrize("value", [0.1, -1 / 3, 1e-30, 1e30])
def test_equal_rewards_give_exact_zeros(strategy, value):
    assert not strategy(torch.full((2, 7), value)).any()


@pytest.mark.parametrize("strategy", [cls() for cls in OF_REWARDS], ids=lambda strategy: type(strategy).__name__)
def test_a_large_offset_costs_no_precision(strategy):
    """1e6 and more in float32, whose neighbours are 1/16 apart: the advantages are those of the differences alone."""
    small = torch.tensor([[3.0, -2.0, 0.5, 0.5, 7.0, 1.0, -4.0], [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]])
    torch.testing.assert_close(strategy(small + 1e6), strategy(small), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("strategy", [cls() for cls in OF_REWARDS], ids=lambda s: type(s).__name__)
def test_order_of_completions_does_not_matter(strategy, batch):
    rewards, _ = batch
    order = torch.tensor([3, 7, 0, 1, 6, 2, 5, 4])
    torch.testing.assert_close(strategy(rewards[:, order]), strategy(rewards)[:, order])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_strategy
def test_result_lies_where_the_rewards_lie(strategy, batch):
    rewards, make = batch
    context = make(torch.arange(6))
    result = strategy(rewards.cuda(), context)
    assert result.device.type == "cuda"
    assert torch.equal(result.cpu(), strategy(rewards, context))
