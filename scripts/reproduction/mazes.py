"""Mazes: what each experiment compares and claims, fixed before anything is looked at.

Chosen on the validation split of the mazes: the learning rate of 1e-4, 300 steps, that the change-over lies at 3/4 of
them (the quickstart's settings), and the cold start ``low``: with seed 100 its pass@16 is .003 after 25 imitation
steps, .006 after 30 (these it is), .019 after 40; no training from it was tried. Judged on the test split.
"""

from __future__ import annotations

from reproduction.domain import Claim, Domain, Experiment
from reproduction.maze_arms import ARMS, COLD_STARTS, MEASURES

LARGER = tuple(f"pass@{k} on {size}x{size}" for size in (5, 6, 7, 8) for k in (1, 8, 64))
BUDGETED = ("pass@1", "pass@8", "pass@16", "pass@64", "entropy", "with_advantage", "steps")
AS_MUCH = -0.03
"""More than this much of pass@1 would be a price."""

EXPERIMENTS: dict[str, Experiment] = {
    "explores": Experiment(
        "Pass@k against Pass@1 training",
        "Does Pass@k training keep or raise pass@k, entropy and the number of different answers, and what does pass@1 "
        "pay (figures 1, 4 to 6)? Also against Pass@1 training stopped where its pass@1 is the same.",
        "pass1",
        ("start", "pass1", "passk"),
        (
            Claim("Pass@4 training has more of pass@8 than Pass@1 training", "passk", "pass1", "pass@8"),
            Claim("... and of pass@64", "passk", "pass1", "pass@64"),
            Claim("... and a higher entropy", "passk", "pass1", "entropy"),
            Claim("... and more different answers", "passk", "pass1", "different"),
            Claim("... and pays less than .03 of pass@1", "passk", "pass1", "pass@1", above=AS_MUCH),
            Claim("It has more of pass@8 at equal pass@1 too", "passk", "pass1", "pass@8", at_equal_pass1=True),
            Claim("... and of pass@64", "passk", "pass1", "pass@64", at_equal_pass1=True),
            Claim("Its pass@64 is above the cold start's", "passk", "start", "pass@64"),
        ),
        seeds=10,
    ),
    "variants": Experiment(
        "Full sampling, bootstrap, analytic",
        "Is the order of table 7 seen at equal rollouts, and is it a matter of scale?",
        "full",
        ("full", "bootstrap", "passk", "full_unit", "bootstrap_unit", "passk_unit"),
        (
            Claim("The analytic form is above full sampling at pass@1", "passk", "full", "pass@1"),
            Claim("... and at pass@8", "passk", "full", "pass@8"),
            Claim("Bootstrap is above full sampling at pass@1", "bootstrap", "full", "pass@1"),
            Claim("The analytic form is above bootstrap at pass@8", "passk", "bootstrap", "pass@8"),
            Claim(
                "At equal scale the analytic form is above full sampling at pass@1", "passk_unit", "full_unit", "pass@1"
            ),
            Claim("... and at pass@8", "passk_unit", "full_unit", "pass@8"),
        ),
    ),
    "k_and_rate": Experiment(
        "k and the learning rate",
        "Which k, and which learning rate for it (section 3.4)?",
        "passk",
        ("passk", *(name for name in ARMS if name.startswith("k"))),
        (
            Claim("At one learning rate k = 8 is behind k = 4 at pass@1", "passk", "k8_lr1e-04", "pass@1"),
            Claim("Twice the rate brings k = 8 up to within .03 of it", "k8_lr2e-04", "passk", "pass@1", above=AS_MUCH),
            Claim("... with no less than .03 of its pass@8", "k8_lr2e-04", "passk", "pass@8", above=AS_MUCH),
            Claim("k = 8 has more of pass@64 than k = 4", "k8_lr1e-04", "passk", "pass@64"),
            Claim("k = 4 has more of pass@8 than k = 2", "passk", "k2_lr1e-04", "pass@8"),
            Claim("Twice the rate lifts pass@1 of k = 16", "k16_lr2e-04", "k16_lr1e-04", "pass@1"),
        ),
        notes=("k = 16 has groups of 32 and half as many prompts: as many rollouts a step as the others.",),
    ),
    "exploration": Experiment(
        "Against noise and an entropy bonus",
        "Are other ways to keep exploring as good (section 3.2)?",
        "passk",
        ("passk", "pass1", "noise_10", "noise_30", "entropy_1", "entropy_3"),
        tuple(
            Claim(f"Pass@4 training has more of {metric} than {what}", "passk", arm, metric)
            for metric in ("pass@8", "pass@64")
            for arm, what in (
                ("noise_10", "Pass@1 training with noise rewards (10 %)"),
                ("noise_30", "... with noise rewards (30 %)"),
                ("entropy_1", "... with an entropy bonus of 0.01"),
                ("entropy_3", "... with an entropy bonus of 0.03"),
            )
        ),
    ),
    "switching": Experiment(
        "Pass@k, then Pass@1",
        "Does changing over raise pass@1 above Pass@1 training, and where should one (tables 2 and 5)?",
        "pass1",
        ("pass1", "passk", "switch_150", "switch_225", "switch_275", "switch_twice"),
        (
            Claim(
                "Pass@4, then Pass@1 from 3/4 on, is above Pass@1 training at pass@1", "switch_225", "pass1", "pass@1"
            ),
            Claim("... at least within .03 of it", "switch_225", "pass1", "pass@1", above=AS_MUCH),
            Claim("... and above it at pass@64", "switch_225", "pass1", "pass@64"),
            Claim("It is above Pass@4 training at pass@1", "switch_225", "passk", "pass@1"),
            Claim(
                "Changing over late (275) keeps more of pass@64 than early (150)", "switch_275", "switch_150", "pass@64"
            ),
            Claim("Changing over twice is above once at pass@1", "switch_twice", "switch_225", "pass@1"),
        ),
    ),
    "adaptive": Experiment(
        "Exceeding, combination, adaptive",
        "Do the paper's extensions improve on Pass@k training (section 4.2)?",
        "passk",
        ("passk", "exceeding", "combination", "adaptive"),
        (
            Claim("Combination training is above Pass@4 training at pass@1", "combination", "passk", "pass@1"),
            Claim("... within .03 at pass@64", "combination", "passk", "pass@64", above=AS_MUCH),
            Claim("Training by entropy is above Pass@4 training at pass@1", "adaptive", "passk", "pass@1"),
            Claim("... within .03 at pass@64", "adaptive", "passk", "pass@64", above=AS_MUCH),
            Claim("Exceeding Pass@4 is above Pass@4 training at pass@64", "exceeding", "passk", "pass@64"),
        ),
    ),
    "larger": Experiment(
        "From training sizes to larger mazes",
        "Does what is gained on 5x5 and 6x6 mazes hold on 7x7 and 8x8 (table 7)?",
        "wide_pass1",
        ("wide_pass1", "wide_passk"),
        tuple(
            Claim(f"Pass@4 training has more of {metric}", "wide_passk", "wide_pass1", metric)
            for metric in ("pass@8 on 7x7", "pass@64 on 7x7", "pass@8 on 8x8", "pass@64 on 8x8")
        ),
        metrics=LARGER,
    ),
    "relatives": Experiment(
        "The relatives",
        "How do other estimators of the same or a near objective do at equal rollouts?",
        "passk",
        ("passk", "pass1", "max_at_k", "pkpo", "max_rl", "f_grpo", "order"),
        tuple(
            Claim(f"{what} has more of pass@8 than GRPO", arm, "pass1", "pass@8", source="its paper")
            for arm, what in (
                ("max_at_k", "MaxAtK(4)"),
                ("pkpo", "PKPO(4)"),
                ("max_rl", "MaxRL"),
                ("f_grpo", "FGRPO"),
            )
        ),
        notes=("With rewards of 0 and 1 `MaxAtK(4)` has the advantages of Pass@4, and so the same weights.",),
    ),
    "low": Experiment(
        "From a low pass rate",
        "The cold start solves less than 1 % of the mazes in 16 samples: what do k, dynamic sampling and samplers that "
        "go by pass rates gain for the same number of sampled tokens?",
        "low_passk",
        (
            "low_start",
            "low_passk",
            "low_pass1",
            "low_k8",
            "low_dynamic",
            "low_pass1_dynamic",
            "low_pools",
            "low_expected",
        ),
        (
            Claim(
                "Dynamic sampling is above plain Pass@4 training at pass@16",
                "low_dynamic",
                "low_passk",
                "pass@16",
                source="users",
            ),
            Claim(
                "ExpectedAdvantage is above Uniform at pass@16", "low_expected", "low_passk", "pass@16", source="users"
            ),
            Claim("DifficultyPools is above Uniform at pass@16", "low_pools", "low_passk", "pass@16", source="users"),
            Claim("Pass@4 training is above Pass@1 training at pass@16", "low_passk", "low_pass1", "pass@16"),
            Claim("k = 8 is above k = 4 at pass@16", "low_k8", "low_passk", "pass@16"),
        ),
        metrics=BUDGETED,
        notes=(
            "1,000 mazes to train on; a training ends with the step in which it has sampled 1.5 million completion "
            "tokens. `with_advantage` is the share of the groups trained on that had an advantage, `steps` how many RL "
            "steps it took.",
        ),
    ),
    "samplers": Experiment(
        "Which prompts a step has",
        "What do samplers that go by pass rates bring where seven groups of ten teach anyway?",
        "few_uniform",
        ("few_uniform", "few_pools", "few_expected"),
        (
            Claim(
                "ExpectedAdvantage has more groups with an advantage",
                "few_expected",
                "few_uniform",
                "with_advantage",
                source="docs/sampling.md",
            ),
            Claim("... and is above Uniform at pass@8", "few_expected", "few_uniform", "pass@8", source="users"),
            Claim("DifficultyPools is above Uniform at pass@8", "few_pools", "few_uniform", "pass@8", source="users"),
        ),
        metrics=BUDGETED,
        notes=("Budget and training mazes as in the experiment before.",),
    ),
}

MAZES = Domain(
    name="mazes",
    title="The paper's findings on small mazes",
    introduction="""A GPT-2 of 80,000 parameters imitates depth-first paths through 5x5 mazes (400 steps), then
trains for 300 RL steps of 512 completions (`configs/maze_cpu.yaml`); a seed is a cold start and its trainings. Every
training is judged on the same 512 mazes that neither training nor any choice of settings has seen, 64 samples each.
Settings and claims were fixed before these runs (`scripts/reproduction/mazes.py`, `maze_arms.py`), none was chosen
after looking; the settings on the validation split of the mazes. Experiments that show nothing stay.""",
    task="maze",
    configuration="configs/maze_cpu.yaml",
    test="configs/maze_test_cpu.yaml",
    sft="configs/maze_sft_cpu.yaml",
    cold_starts=COLD_STARTS,
    measures=MEASURES,
    arms=ARMS,
    experiments=EXPERIMENTS,
    steps=300,
    num_parts=4,
)
