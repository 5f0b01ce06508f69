"""The trainings on mazes, from which cold starts, and how each is measured."""

from __future__ import annotations

from reproduction.domain import Arm, nested, strategy

PIECES = "reproduction.pieces"

GRPO, PASSK = nested("GRPO"), nested("PassKAnalytic", k=4)
EVERY = (1, 2, 3, 4)
K16 = ("--rollout.group_size", "32", "--data.prompts_per_step", "16")  # k must stay below the group size
RATES = (5.0e-5, 1.0e-4, 2.0e-4)
WIDE = ("--data.train.sizes", "[5,6]", "--rollout.sampling.max_tokens", "40")

COLD_STARTS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "wide": (
        "--data.train.sizes",
        "[5,6,7,8]",
        "--model.architecture.n_positions",
        "128",
        "--trainer.max_steps",
        "600",
    ),
    "low": ("--trainer.max_steps", "30"),
}
MEASURES: dict[str, tuple[str, ...]] = {
    "plain": (),
    "wide": ("--data.val.maze.sizes", "[5,6,7,8]", "--rollout.val_sampling.max_tokens", "52"),
}

TOKENS = 5000
"""Completion tokens a step that a budget has: about as many as a step of the plain cold start samples."""
FEW = ("--data.train.init_args.num_problems", "1000")  # so that mazes come again, and their pass rates are known
DYNAMIC = ("--rollout.source", "DynamicSampling")
POOLS = ("--data.sampler", "DifficultyPools")
EXPECTED = ("--data.sampler", "ExpectedAdvantage")


def budgeted(label: str, advantage: tuple[str, ...], *options: str, cold_start: str) -> Arm:
    """Return a training on few mazes that ends by sampled tokens."""
    return Arm(label, (*advantage, *FEW, *options), cold_start=cold_start, tokens_a_step=TOKENS)


ARMS: dict[str, Arm] = {
    "start": Arm("cold start", parts=(0,)),
    "pass1": Arm("Pass@1 (GRPO)", strategy("GRPO"), parts=EVERY),
    "passk": Arm("Pass@4", strategy("PassKAnalytic", k=4), parts=EVERY),
    "full": Arm("Pass@4, full sampling", strategy("PassKFullSampling", k=4)),
    "bootstrap": Arm("Pass@4, bootstrap", strategy("PassKBootstrap", k=4)),
    "full_unit": Arm(
        "Pass@4, full sampling, unit scale", strategy(f"{PIECES}.UnitScale", strategy=nested("PassKFullSampling", k=4))
    ),
    "bootstrap_unit": Arm(
        "Pass@4, bootstrap, unit scale", strategy(f"{PIECES}.UnitScale", strategy=nested("PassKBootstrap", k=4))
    ),
    "passk_unit": Arm("Pass@4, unit scale", strategy(f"{PIECES}.UnitScale", strategy=PASSK)),
    "noise_10": Arm("Pass@1, 10 % of wrong answers paid", strategy(f"{PIECES}.NoisyGRPO", share=0.1)),
    "noise_30": Arm("Pass@1, 30 % of wrong answers paid", strategy(f"{PIECES}.NoisyGRPO", share=0.3)),
    "entropy_1": Arm("Pass@1, entropy bonus 0.01", (*strategy("GRPO"), "--model.entropy_coef", "0.01")),
    "entropy_3": Arm("Pass@1, entropy bonus 0.03", (*strategy("GRPO"), "--model.entropy_coef", "0.03")),
    "switch_150": Arm("Pass@4, Pass@1 from step 150", strategy("Schedule", strategies=[PASSK, GRPO], boundaries=[150])),
    "switch_225": Arm("Pass@4, Pass@1 from step 225", strategy("Schedule", strategies=[PASSK, GRPO], boundaries=[225])),
    "switch_275": Arm("Pass@4, Pass@1 from step 275", strategy("Schedule", strategies=[PASSK, GRPO], boundaries=[275])),
    "switch_twice": Arm(
        "Pass@4, Pass@1, Pass@4, Pass@1 (100, 150, 250)",
        strategy("Schedule", strategies=[PASSK, GRPO, PASSK, GRPO], boundaries=[100, 150, 250]),
    ),
    "exceeding": Arm("Exceeding Pass@4", strategy("ExceedingPassK", k=4)),
    "combination": Arm("Combination", strategy("Combination", k=4)),
    "adaptive": Arm("Adaptive by entropy", strategy("AdaptiveEntropy", k=4)),
    "max_at_k": Arm("MaxAtK(4)", strategy("MaxAtK", k=4)),
    "pkpo": Arm("PKPO(4)", strategy("PKPO", k=4)),
    "max_rl": Arm("MaxRL", strategy("MaxRL")),
    "f_grpo": Arm("FGRPO", strategy("FGRPO")),
    "order": Arm("OrderStatistic(4, top:2)", strategy("OrderStatistic", k=4, statistic="top:2")),
    "wide_pass1": Arm("Pass@1, trained on 5x5 and 6x6", (*strategy("GRPO"), *WIDE), cold_start="wide"),
    "wide_passk": Arm("Pass@4, trained on 5x5 and 6x6", (*strategy("PassKAnalytic", k=4), *WIDE), cold_start="wide"),
    "few_uniform": budgeted("Uniform", strategy("PassKAnalytic", k=4), cold_start="plain"),
    "few_pools": budgeted("DifficultyPools", strategy("PassKAnalytic", k=4), *POOLS, cold_start="plain"),
    "few_expected": budgeted("ExpectedAdvantage", strategy("PassKAnalytic", k=4), *EXPECTED, cold_start="plain"),
    "low_start": Arm("cold start", cold_start="low", parts=(0,)),
    "low_pass1": budgeted("Pass@1 (GRPO)", strategy("GRPO"), cold_start="low"),
    "low_passk": budgeted("Pass@4", strategy("PassKAnalytic", k=4), cold_start="low"),
    "low_k8": budgeted("Pass@8", strategy("PassKAnalytic", k=8), cold_start="low"),
    "low_dynamic": budgeted("Pass@4, DynamicSampling", strategy("PassKAnalytic", k=4), *DYNAMIC, cold_start="low"),
    "low_pass1_dynamic": budgeted("Pass@1, DynamicSampling", strategy("GRPO"), *DYNAMIC, cold_start="low"),
    "low_pools": budgeted("Pass@4, DifficultyPools", strategy("PassKAnalytic", k=4), *POOLS, cold_start="low"),
    "low_expected": budgeted("Pass@4, ExpectedAdvantage", strategy("PassKAnalytic", k=4), *EXPECTED, cold_start="low"),
} | {
    f"k{k}_lr{rate:.0e}": Arm(
        f"Pass@{k}, learning rate {rate:.0e}",
        (*strategy("PassKAnalytic", k=k), "--model.optimizer.init_args.lr", str(rate), *(K16 if k == 16 else ())),
    )
    for k in (2, 4, 8, 16)
    for rate in RATES
    if (k, rate) != (4, 1.0e-4)  # that is "passk"
}
