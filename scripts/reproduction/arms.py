"""Which trainings each experiment compares. Settings are fixed here before anything is looked at.

Chosen on the validation split of the mazes: the learning rate of 1e-4, 300 steps, and that the change-over lies at 3/4
of them (the quickstart's settings). Judged on the test split.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

STEPS = 300
PIECES = "reproduction.pieces"


@dataclass(frozen=True)
class Arm:
    """One training, from the cold start of its seed."""

    label: str
    options: tuple[str, ...] = ()
    """Options of ``lit-passk fit`` that differ from configs/maze_cpu.yaml."""
    cold_start: str = "plain"
    """Which cold start: a key of ``COLD_STARTS``."""
    measured_at: tuple[int, ...] = (STEPS,)
    """RL steps whose checkpoint is measured."""


@dataclass(frozen=True)
class Experiment:
    """A question, the trainings that answer it, and which of them the others are compared with."""

    title: str
    question: str
    baseline: str
    arms: tuple[str, ...]
    ks: tuple[int, ...] = (1, 8, 64)
    notes: tuple[str, ...] = field(default_factory=tuple)


def strategy(name: str, **arguments: object) -> tuple[str, ...]:
    """Return the options that choose an advantage strategy, with nothing of the configuration's carried over."""
    return ("--model.advantage", json.dumps({"class_path": name, "init_args": arguments}))


def nested(name: str, **arguments: object) -> dict[str, object]:
    """Return a strategy as an argument of another one."""
    return {"class_path": name, "init_args": arguments}


GRPO, PASSK = nested("GRPO"), nested("PassKAnalytic", k=4)
EVERY = (75, 150, 225, 300)
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
}
MEASURES: dict[str, tuple[str, ...]] = {
    "plain": (),
    "wide": ("--data.val.maze.sizes", "[5,6,7,8]", "--rollout.val_sampling.max_tokens", "52"),
}

ARMS: dict[str, Arm] = {
    "pass1": Arm("Pass@1 (GRPO)", strategy("GRPO"), measured_at=EVERY),
    "passk": Arm("Pass@4", strategy("PassKAnalytic", k=4), measured_at=EVERY),
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
} | {
    f"k{k}_lr{rate:.0e}": Arm(
        f"Pass@{k}, learning rate {rate:.0e}",
        (*strategy("PassKAnalytic", k=k), "--model.optimizer.init_args.lr", str(rate), *(K16 if k == 16 else ())),
    )
    for k in (2, 4, 8, 16)
    for rate in RATES
    if (k, rate) != (4, 1.0e-4)  # that is "passk"
}

EXPERIMENTS: dict[str, Experiment] = {
    "explores": Experiment(
        "Pass@k against Pass@1 training",
        "Does Pass@k training keep or raise pass@k, entropy and the number of different answers, and what does pass@1 "
        "pay (figures 1, 4 to 6)? Also against Pass@1 training stopped where its pass@1 is the same.",
        "pass1",
        ("pass1", "passk"),
    ),
    "variants": Experiment(
        "Full sampling, bootstrap, analytic",
        "Is the order of table 7 seen at equal rollouts, and is it a matter of scale?",
        "full",
        ("full", "bootstrap", "passk", "full_unit", "bootstrap_unit", "passk_unit"),
    ),
    "k_and_rate": Experiment(
        "k and the learning rate",
        "Which k, and which learning rate for it (section 3.4)?",
        "passk",
        ("passk", *(name for name in ARMS if name.startswith("k"))),
        notes=("k = 16 has groups of 32 and half as many prompts: as many rollouts a step as the others.",),
    ),
    "exploration": Experiment(
        "Against noise and an entropy bonus",
        "Are other ways to keep exploring as good (section 3.2)?",
        "passk",
        ("passk", "pass1", "noise_10", "noise_30", "entropy_1", "entropy_3"),
    ),
    "switching": Experiment(
        "Pass@k, then Pass@1",
        "Does changing over raise pass@1 above Pass@1 training, and where should one (tables 2 and 5)?",
        "pass1",
        ("pass1", "passk", "switch_150", "switch_225", "switch_275", "switch_twice"),
    ),
    "adaptive": Experiment(
        "Exceeding, combination, adaptive",
        "Do the paper's extensions improve on Pass@k training (section 4.2)?",
        "passk",
        ("passk", "exceeding", "combination", "adaptive"),
    ),
    "larger": Experiment(
        "From training sizes to larger mazes",
        "Does what is gained on 5x5 and 6x6 mazes hold on 7x7 and 8x8 (table 7)?",
        "wide_pass1",
        ("wide_pass1", "wide_passk"),
    ),
    "relatives": Experiment(
        "The relatives",
        "How do other estimators of the same or a near objective do at equal rollouts?",
        "passk",
        ("passk", "pass1", "max_at_k", "pkpo", "max_rl", "f_grpo", "order"),
    ),
}
