"""Strategies as functions of flat rewards and a group index, inside verl and TRL, against both libraries' formulas."""

from __future__ import annotations

import statistics
import uuid
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lit_passk import AdvantageStrategy, advantages
from lit_passk.advantages import GRPO, PassKAnalytic, ReinforcePlusPlus, Schedule
from lit_passk.advantages.trial import trial_context
from lit_passk.bridges import group_advantages, make_strategy, trl_trainer, verl_estimator

ARGUMENTS = {
    "Surrogate": {"derivative": torch.reciprocal},
    "Schedule": {"strategies": [PassKAnalytic(2), GRPO()], "boundaries": [2]},
    "Blend": {"first": PassKAnalytic(2), "second": GRPO(), "start": 2, "end": 8},
    "Switch": {"first": PassKAnalytic(2), "second": GRPO(), "metric": "train/entropy", "below": 0.3},
}
NAMES = [
    name
    for name in advantages.__all__
    if isinstance(getattr(advantages, name), type)
    and issubclass(getattr(advantages, name), AdvantageStrategy)
    and not getattr(advantages, name).__abstractmethods__
]


@pytest.fixture
def flat():
    """Six groups of eight, shuffled: rewards of 0 and 1, what is known of each, and where each belongs."""
    generator = torch.Generator().manual_seed(1)
    correct = torch.rand(6, 8, generator=generator) < torch.tensor([0.0, 0.2, 0.4, 0.5, 0.9, 1.0])[:, None]
    logprob_mean = -torch.rand(6, 8, generator=generator)
    order = torch.randperm(48, generator=generator)
    return SimpleNamespace(correct=correct, logprob_mean=logprob_mean, order=order, index=order // 8)


def direct(strategy, flat):
    """What the strategy says of the groups as matrices, with their completions as they come in the flat order."""
    rows = torch.stack([flat.order[flat.index == p] for p in flat.index.unique()])  # (6, 8)
    correct, logprobs = flat.correct.flatten()[rows], flat.logprob_mean.flatten()[rows]
    rewards = correct.float()
    context = trial_context(correct, logprob_mean=logprobs, answers=rows % 3, step=3, max_steps=10)
    result = torch.zeros(48)
    result[rows] = strategy(rewards, context)
    return result[flat.order]


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_in_torch_and_numpy(flat, name):
    strategy = make_strategy(name, **ARGUMENTS.get(name, {}))
    expected = direct(strategy, flat)
    rewards = flat.correct.flatten()[flat.order].float()
    logprobs = flat.logprob_mean.flatten()[flat.order]
    answers = [f"answer {row % 3}" for row in flat.order.tolist()]
    known = {"step": 3, "max_steps": 10, "num_tokens": torch.full((48,), 5), "answers": answers}
    in_torch = group_advantages(rewards, flat.index, strategy, logprob_mean=logprobs, **known)
    assert in_torch.dtype == torch.float32
    torch.testing.assert_close(in_torch, expected)
    by_name = group_advantages(
        rewards.numpy(), flat.index.numpy(), name, logprob_mean=logprobs.numpy(), **known, **ARGUMENTS.get(name, {})
    )
    assert isinstance(by_name, np.ndarray)
    np.testing.assert_allclose(by_name, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_ragged_groups_of_any_index():
    """Ids as verl makes them; a group too small for k gets zeros, the others their own size's advantages."""
    a, b, c = (str(uuid.uuid4()) for _ in range(3))
    index = np.array([a, b, a, c, b, a, a, c], dtype=object)
    rewards = np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    result = group_advantages(rewards, index, k=3)
    expected = PassKAnalytic(k=3)(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))[0].numpy()
    np.testing.assert_allclose(result[[0, 2, 5, 6]], expected)
    assert not result[[1, 3, 4, 7]].any()
    assert group_advantages(torch.zeros(0), [], "GRPO").shape == (0,)


def test_statistics_of_the_batch_are_over_groups_of_all_sizes():
    rewards = np.array([1.0, 0.0, 3.0, 0.5, 0.25])
    mean, std = rewards.mean(), rewards.std()
    result = group_advantages(rewards, [0, 0, 1, 1, 1], ReinforcePlusPlus())
    np.testing.assert_allclose(result, (rewards - mean) / std, rtol=1e-6)


def test_who_is_correct():
    rewards = torch.tensor([1.5, -0.5, -0.5, -0.5])
    index = [7, 7, 7, 7]
    expected = PassKAnalytic(k=2)(torch.tensor([[1.0, 0.0, 0.0, 0.0]]))[0]
    torch.testing.assert_close(group_advantages(rewards, index, k=2, correct=rewards > 0), expected)
    torch.testing.assert_close(group_advantages(rewards, index, k=2, correct=[True, False, False, False]), expected)
    with pytest.raises(ValueError, match=r"PassKAnalytic needs `correct`.*not all 0 or 1"):
        group_advantages(rewards, index, k=2)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1.0, 0.0], [0]), {}, r"shapes \(2,\) and \(1,\)"),
        (([1.0, 0.0], [0, 0], "PassKAnalytik"), {}, "no strategy 'PassKAnalytik'. Choose from"),
        (([1.0, 0.0], [0, 0], GRPO()), {"std": "none"}, "GRPO is made already, and takes no more std"),
        (([1.0, 0.0], [0, 0]), {"k": 3}, r"k=3\) needs rollout.group_size >= 3, but got 2"),
        (([1.0, 0.0], [0, 0], "UCPO"), {}, "UCPO needs `logprob_mean`, which was not given"),
        (([1.0, 0.0], [0, 0], "Schedule"), ARGUMENTS["Schedule"], "Schedule needs `step`, which was not given"),
        (([1.0, 0.0], [0, 0], "UCPO"), {"logprob_mean": [0.1]}, "one entry for each of 2 rewards, but has 1"),
    ],
)
def test_what_is_missing_or_wrong_is_said(arguments, options, message):
    rewards, *rest = arguments
    with pytest.raises(ValueError, match=message):
        group_advantages(np.array(rewards), *rest, **options)


# --- verl ---------------------------------------------------------------------------------------------------------


def verl_registry():
    """verl's own, where it is installed; else a decorator that keeps functions by name, as its documentation says."""
    try:
        from verl.trainer.ppo.core_algos import get_adv_estimator_fn, register_adv_est
    except ImportError:
        registry = {}

        def register_adv_est(name):
            return lambda function: registry.setdefault(name, function)

        get_adv_estimator_fn = registry.__getitem__
    return register_adv_est, get_adv_estimator_fn


def verl_batch(rewards, index, seed=0):
    """What verl passes: the reward on the last token of each answer."""
    lengths = torch.randint(1, 6, (len(rewards),), generator=torch.Generator().manual_seed(seed))
    mask = (torch.arange(6) < lengths[:, None]).long()
    token_rewards = torch.zeros(len(rewards), 6)
    token_rewards[torch.arange(len(rewards)), lengths - 1] = rewards
    return {"token_level_rewards": token_rewards, "response_mask": mask, "index": index, "config": SimpleNamespace()}


def test_inside_verl():
    register_adv_est, get_adv_estimator_fn = verl_registry()
    register_adv_est("passk_analytic")(verl_estimator("PassKAnalytic", k=2, correct_above=0.0))
    index = np.array([str(uuid.uuid4()) for _ in range(2)], dtype=object)[[0, 1, 0, 1, 0, 1, 0, 1]]
    rewards = torch.tensor([1.0, 1.0, -1.0, 1.0, -1.0, -1.0, -1.0, -1.0])  # of 1 and -1, as in DAPO's recipe
    batch = verl_batch(rewards, index)
    result, returns = get_adv_estimator_fn("passk_analytic")(**batch, reward_baselines=None)
    assert result is returns
    first, second = PassKAnalytic(k=2)(torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]]))
    each = torch.stack([first, second], dim=1).flatten()
    torch.testing.assert_close(result, each[:, None] * batch["response_mask"])


def test_verl_steps_are_counted_and_missing_ids_refused():
    schedule = Schedule([PassKAnalytic(2), GRPO()], boundaries=[1])
    estimator = verl_estimator(schedule)
    rewards = torch.tensor([1.0, 0.0, 0.0, 0.0])
    for expected in (PassKAnalytic(2), GRPO()):
        batch = verl_batch(rewards, [0, 0, 0, 0])
        torch.testing.assert_close(estimator(**batch)[0][:, 0], expected(rewards[None])[0])
    with pytest.raises(ValueError, match="verl passed no `index`"):
        estimator(batch["token_level_rewards"], batch["response_mask"])


# --- parity: their documented formulas, written down here, against our strategies ---------------------------------


@pytest.fixture(params=range(3))
def groups(request):
    """Random groups of uneven sizes with graded rewards: ``(rewards, index)``."""
    generator = np.random.default_rng(request.param)
    index = np.repeat(np.arange(5), generator.integers(2, 9, size=5))
    generator.shuffle(index)
    return generator.uniform(-1, 2, size=len(index)), index


def of_each(groups, function):
    rewards, index = groups
    return np.array([function(rewards[i], rewards[index == index[i]]) for i in range(len(rewards))])


@pytest.mark.parametrize(("library", "epsilon"), [("verl", 1e-6), ("TRL", 1e-4)])
def test_grpo_is_theirs_up_to_the_epsilon_in_the_std(groups, library, epsilon):
    """Both divide by the Bessel standard deviation plus an epsilon, ours by the deviation itself."""
    theirs = of_each(groups, lambda r, group: (r - group.mean()) / (statistics.stdev(group) + epsilon))
    ours = group_advantages(*groups, "GRPO", std="bessel")
    spread = of_each(groups, lambda r, group: statistics.stdev(group))
    np.testing.assert_allclose(ours * spread / (spread + epsilon), theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours, theirs, rtol=1.5 * epsilon / spread.min() + 1e-5, atol=1e-6)


def test_dr_grpo_is_theirs(groups):
    """verl's `norm_adv_by_std_in_grpo=False`, TRL's `scale_rewards="none"`."""
    theirs = of_each(groups, lambda r, group: r - group.mean())
    np.testing.assert_allclose(group_advantages(*groups, "DrGRPO"), theirs, rtol=1e-5, atol=1e-6)


def test_rloo_is_theirs(groups):
    """verl: n/(n-1) r - n/(n-1) mean. TRL's RLOOTrainer: r minus the mean of the others."""
    in_verl = of_each(groups, lambda r, g: len(g) / (len(g) - 1) * r - len(g) / (len(g) - 1) * g.mean())
    in_trl = of_each(groups, lambda r, g: r - (g.sum() - r) / (len(g) - 1))
    ours = group_advantages(*groups, "RLOO")
    np.testing.assert_allclose(ours, in_verl, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours, in_trl, rtol=1e-5, atol=1e-6)


def test_reinforce_plus_plus_is_verls_on_answers_of_one_length(groups):
    """verl whitens over tokens with Bessel's correction and 1e-8 in the variance: at equal lengths of L tokens the
    variance is N L / (N L - 1) times ours. With answers of different lengths it weighs long answers more."""
    rewards, index = groups
    length = 7
    tokens = np.repeat(rewards, length)
    theirs = (rewards - tokens.mean()) / np.sqrt(tokens.var(ddof=1) + 1e-8)
    ours = group_advantages(rewards, index, "ReinforcePlusPlus")
    factor = np.sqrt(1 - 1 / len(tokens))
    np.testing.assert_allclose(ours * factor, theirs, rtol=1e-5, atol=1e-6)


def test_max_rl_is_the_released_one_up_to_its_epsilon():
    rewards, index = np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]), np.array([0, 0, 0, 1, 1, 1, 2, 2])
    theirs = of_each((rewards, index), lambda r, group: (r - group.mean()) / (group.mean() + 1e-6))
    np.testing.assert_allclose(group_advantages(rewards, index, "MaxRL"), theirs, rtol=1e-5, atol=1e-6)


# --- TRL ----------------------------------------------------------------------------------------------------------


class StandInTrainer:
    """What a strategy touches of TRL 1.16's GRPOTrainer: two methods and five attributes."""

    num_generations, num_generations_eval = 4, 2

    def __init__(self, rewards, process=0):
        self.of_all = torch.as_tensor(rewards, dtype=torch.float32)  # (N of all processes, functions)
        self.reward_weights = torch.tensor([1.0, 0.5][: self.of_all.shape[1]])
        self.accelerator = SimpleNamespace(process_index=process)
        self.state = SimpleNamespace(global_step=0, max_steps=10)
        self.model = SimpleNamespace(training=True)

    def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):
        return self.of_all

    def _generate_and_score_completions(self, inputs):
        each = self._calculate_rewards(inputs, prompts=None, completions=None, completion_ids_list=None)
        local = len(each) // 2 if len(inputs) < len(each) else len(each)
        return {"advantages": torch.full((local,), 9.0), "completion_ids": "kept"}


def test_inside_trl():
    made = trl_trainer(StandInTrainer, "PassKAnalytic", k=2)
    assert made.__name__ == "PassKAnalyticStandInTrainer"
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    expected = PassKAnalytic(k=2)(rewards)
    output = made(rewards.reshape(8, 1))._generate_and_score_completions(range(8))
    torch.testing.assert_close(output["advantages"], expected.flatten())
    assert output["completion_ids"] == "kept"
    for process in (0, 1):  # each sees the rewards of both and takes its part
        output = made(rewards.reshape(8, 1), process)._generate_and_score_completions(range(4))
        torch.testing.assert_close(output["advantages"], expected[process])


def test_several_reward_functions_weights_and_completions_that_none_could_score():
    nan = float("nan")
    rewards = [[1.0, 0.0], [0.0, 1.0], [nan, 2.0], [nan, nan]]
    trainer = trl_trainer(StandInTrainer, "DrGRPO")(rewards)
    output = trainer._generate_and_score_completions(range(4))
    torch.testing.assert_close(output["advantages"], torch.tensor([1 - 2.5 / 3, 0.5 - 2.5 / 3, 1 - 2.5 / 3, 0.0]))
    shaped = trl_trainer(StandInTrainer, "PassKAnalytic", k=2, correct_above=0.7)(rewards)
    expected = PassKAnalytic(k=2)(torch.tensor([[1.0, 0.0, 1.0]]))[0]
    torch.testing.assert_close(shaped._generate_and_score_completions(range(4))["advantages"][:3], expected)


def test_trl_evaluates_with_its_own_number_of_completions():
    trainer = trl_trainer(StandInTrainer, "DrGRPO")([[1.0], [0.0], [0.0], [0.0]])
    trainer.model.training = False
    output = trainer._generate_and_score_completions(range(4))
    torch.testing.assert_close(output["advantages"], torch.tensor([0.5, -0.5, 0.0, 0.0]))


def test_a_trainer_without_the_two_methods_is_refused():
    with pytest.raises(ValueError, match=r"object has no method _calculate_rewards.*TRL 1.16"):
        trl_trainer(object)


@pytest.mark.seconds
def test_verl_itself_agrees(groups):
    """Its own functions, where verl is installed; the formulas above are read from them."""
    core = pytest.importorskip("verl.trainer.ppo.core_algos")
    rewards, index = groups
    batch = verl_batch(torch.tensor(rewards, dtype=torch.float32), index.astype(object))
    mask, config = batch["response_mask"], SimpleNamespace(gamma=1.0)
    for name, ours in (
        ("rloo", group_advantages(rewards, index, "RLOO")),
        ("grpo", group_advantages(rewards, index, "GRPO", std="bessel")),
        ("grpo_vectorized", group_advantages(rewards, index, "GRPO", std="bessel")),
    ):
        theirs = core.get_adv_estimator_fn(name)(**(batch | {"config": None if name == "grpo" else config}))[0]
        np.testing.assert_allclose((ours[:, None] * mask.numpy()), theirs.numpy(), rtol=1e-4, atol=1e-5)
    plain = core.compute_grpo_outcome_advantage(
        batch["token_level_rewards"], mask, index.astype(object), norm_adv_by_std_in_grpo=False
    )[0]
    ours = group_advantages(rewards, index, "DrGRPO")
    np.testing.assert_allclose((ours[:, None] * mask.numpy()), plain.numpy(), rtol=1e-4, atol=1e-5)
    full = torch.ones_like(mask)  # answers of one length
    whitened = core.get_adv_estimator_fn("reinforce_plus_plus")(
        torch.nn.functional.pad(torch.tensor(rewards, dtype=torch.float32)[:, None], (5, 0)), full, config=config
    )[0]
    ours = group_advantages(rewards, index, "ReinforcePlusPlus") * np.sqrt(1 - 1 / full.numel())
    np.testing.assert_allclose(ours[:, None] * full.numpy(), whitened.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.seconds
@pytest.mark.filterwarnings("ignore")
def test_trl_itself_trains_on_our_advantages(maze_policy, tmp_path):
    """One step of TRL's trainer, where it is installed."""
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    seen = []

    class Recorder(trl.GRPOTrainer):
        def _compute_loss(self, model, inputs):
            seen.append(inputs["advantages"].clone())
            return super()._compute_loss(model, inputs)

    def alternating(prompts, completions, **_):
        return [1.0, 0.0, 0.0, 0.0] * (len(prompts) // 4)

    arguments = trl.GRPOConfig(
        str(tmp_path), per_device_train_batch_size=8, num_generations=4, max_completion_length=4, max_steps=1,
        use_cpu=True, report_to="none", bf16=False,
    )  # fmt: skip
    data = datasets.Dataset.from_dict({"prompt": ["SE*", "S.E"]})
    trainer = trl_trainer(Recorder, "PassKAnalytic", k=2)(
        maze_policy, reward_funcs=alternating, args=arguments, train_dataset=data
    )
    trainer.train()
    expected = PassKAnalytic(k=2)(torch.tensor([[1.0, 0.0, 0.0, 0.0]] * 2)).flatten()
    torch.testing.assert_close(torch.cat(seen).sort().values, expected.sort().values)
