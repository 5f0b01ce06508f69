"""Countdown, the second domain: the claims of the mazes' first and fifth experiment, put to the test elsewhere.

All is fixed here before anything is looked at. Chosen on the validation split with seed 100: 400 imitation steps, after
which pass@1 is .03 and pass@64 .75; 200 steps of Pass@4 training from there ended with .06 and .77. The learning rate,
the length of the training and where it changes over are those of the mazes. Judged on the test split.

From there k made no difference that five seeds told. Arithmetic offers a reason: where few of a group are correct, the
advantages of Pass@4 are nearly those of Pass@1 times a constant. ``often`` puts it to the test, by a cold start whose
prompts are solved often: 1,600 imitation steps, after which pass@1 is .21 (seed 100, validation split); no training
from it was tried. It did make one, and ``often_switching`` asks from there, with the claims of the mazes, what
``switching`` asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reproduction.domain import Arm, Claim, Domain, Experiment, strategy
from reproduction.mazes import MAZES

OFTEN_ARMS = {
    "often_start": Arm("cold start of 1,600 steps", cold_start="often", parts=(0,)),
    "often_pass1": Arm("Pass@1 (GRPO)", strategy("GRPO"), cold_start="often"),
    "often_passk": Arm("Pass@4", strategy("PassKAnalytic", k=4), cold_start="often"),
    "often_switch": Arm("Pass@4, Pass@1 from step 225", MAZES.arms["switch_225"].options, cold_start="often"),
}
NAMES = {"pass1": "often_pass1", "passk": "often_passk", "switch_225": "often_switch"}
"""Of the mazes' trainings, from there."""


def from_there(claims: Sequence[Claim]) -> tuple[Claim, ...]:
    """Return the mazes' claims, of the trainings from the longer cold start."""
    return tuple(replace(claim, arm=NAMES[claim.arm], baseline=NAMES[claim.baseline]) for claim in claims)


OFTEN = Experiment(
    "Where prompts are solved often",
    "Does k make a difference on Countdown where a prompt's pass rate is as on mazes?",
    "often_pass1",
    ("often_start", "often_pass1", "often_passk"),
    from_there(MAZES.experiments["explores"].claims[:5]),
)
OFTEN_SWITCHING = Experiment(
    "Changing over, where prompts are solved often",
    "Does changing over raise pass@1 above Pass@1 training there?",
    "often_pass1",
    ("often_pass1", "often_passk", "often_switch"),
    from_there(MAZES.experiments["switching"].claims[:4]),
)

COUNTDOWN = Domain(
    name="countdown",
    title="The paper's findings on Countdown",
    introduction="""A GPT-2 of 80,000 parameters imitates sums that make four digits into a target
(`scripts/reproduction/countdown_sft.yaml`), then trains for 300 RL steps of 512 completions
(`scripts/reproduction/countdown.yaml`); a seed is a cold start and its trainings. Every training is judged on the same
512 problems that neither training nor any choice of settings has seen, 64 samples each, by the library's own verifier.
Settings and claims were fixed before these runs (`scripts/reproduction/countdown.py`); the length of the imitation on
the validation split, all else is as it is for mazes.""",
    task="countdown",
    configuration="scripts/reproduction/countdown.yaml",
    test="scripts/reproduction/countdown_test.yaml",
    sft="scripts/reproduction/countdown_sft.yaml",
    cold_starts={"plain": (), "often": ("--trainer.max_steps", "1600")},
    arms={
        name: MAZES.arms[name]
        for name in ("start", "pass1", "passk", "switch_150", "switch_225", "switch_275", "switch_twice")
    }
    | OFTEN_ARMS,
    experiments={name: MAZES.experiments[name] for name in ("explores", "switching")}
    | {"often": OFTEN, "often_switching": OFTEN_SWITCHING},
    steps=MAZES.steps,
    num_parts=MAZES.num_parts,
)
