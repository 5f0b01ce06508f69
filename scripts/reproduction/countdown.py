"""Countdown, the second domain: the claims of the mazes' first and fifth experiment, put to the test elsewhere.

All is fixed here before anything is looked at. Chosen on the validation split with seed 100: 400 imitation steps, after
which pass@1 is .03 and pass@64 .75; 200 steps of Pass@4 training from there ended with .06 and .77. The learning rate,
the length of the training and where it changes over are those of the mazes. Judged on the test split.
"""

from __future__ import annotations

from reproduction.domain import Domain
from reproduction.mazes import MAZES

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
    cold_starts={"plain": ()},
    arms={
        name: MAZES.arms[name]
        for name in ("start", "pass1", "passk", "switch_150", "switch_225", "switch_275", "switch_twice")
    },
    experiments={name: MAZES.experiments[name] for name in ("explores", "switching")},
    steps=MAZES.steps,
    num_parts=MAZES.num_parts,
)
