"""Moments of a run: an RL step, or a share of the run's RL steps."""

from __future__ import annotations

import math

from lit_passk.errors import Refusal

Moment = int | float
"""An integer is an RL step, counted from 0; a fraction is a share of the run's RL steps, which must then be known."""


def place(name: str, moment: Moment, max_steps: int) -> int:
    """The first RL step at or past a moment.

    Args:
        name: Of the strategy that asks, for the error.
        moment: The moment.
        max_steps: RL steps of the whole run, -1 when unknown.

    Raises:
        Refusal: For a share of a run of unknown length.
    """
    if isinstance(moment, int):
        return moment
    if max_steps < 1:
        raise Refusal(
            f"{name} cannot place the fraction {moment} of a run of unknown length. Set the number of RL steps of the "
            "run, or give the boundary as an RL step."
        )
    # Rounded first: 0.07 * 100 is a little more than 7, and the next integer would be a step late.
    return math.ceil(round(moment * max_steps, 6))
