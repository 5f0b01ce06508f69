"""One strategy after another, or one k after another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy
from lit_passk.advantages.moments import Moment, place
from lit_passk.errors import Refusal
from lit_passk.types import GroupContext


class Schedule(AdvantageStrategy):
    """Switches to the next strategy at each boundary: Pass@k first and Pass@1 then, or k over time.

    Steps are those of the run, also within another ``Schedule``, a ``Blend`` or a ``Switch``. Pass@k Training, then
    Pass@1 Training (arXiv 2508.10751) in YAML; four strategies and three boundaries do it twice, and a falling k is one
    strategy several times over::

        advantage:
          class_path: Schedule
          init_args:
            strategies: [{class_path: PassKAnalytic, init_args: {k: 8}}, {class_path: GRPO}]
            boundaries: [0.5]

    Args:
        strategies: At least one, in order of use.
        boundaries: When to go on, one fewer than there are strategies, ascending. An integer is an RL step: from that
            step on (steps count from 0) the next strategy is used. A fraction in (0, 1) is a share of the run's RL
            steps, which must then be known.

    Raises:
        ValueError: When boundaries do not fit, when a fraction meets a run of unknown length, or without a context.

    Example:
        >>> from lit_passk.advantages import GRPO, PassKAnalytic
        >>> schedule = Schedule([PassKAnalytic(k=8), GRPO()], boundaries=[0.5])
        >>> [type(schedule.strategy_at(step, max_steps=4)).__name__ for step in range(4)]
        ['PassKAnalytic', 'PassKAnalytic', 'GRPO', 'GRPO']

    """

    def __init__(self, strategies: list[AdvantageStrategy], boundaries: list[Moment]) -> None:
        if len(boundaries) != len(strategies) - 1:
            raise Refusal(
                f"Schedule needs one boundary fewer than strategies, but got {len(strategies)} strategies and "
                f"{len(boundaries)} boundaries."
            )
        for boundary in boundaries:
            whole = isinstance(boundary, int) and not isinstance(boundary, bool)
            if not (boundary >= 1 if whole else isinstance(boundary, float) and 0 < boundary < 1):
                raise Refusal(
                    "Schedule needs boundaries that are RL steps (integers from 1) or fractions of the run (between 0 "
                    f"and 1, both excluded), but got {boundary!r}."
                )
        for kind in (int, float):  # how steps and fractions lie to each other is known with the length of the run
            values = [boundary for boundary in boundaries if isinstance(boundary, kind)]
            if any(left >= right for left, right in pairwise(values)):
                raise Refusal(f"Schedule needs ascending boundaries, but got {boundaries}.")
        self.strategies = list(strategies)
        self.boundaries = list(boundaries)

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, by the strategy of ``context.step``."""
        if context is None:
            raise ValueError("Schedule goes by the RL step, but was called without a context. Pass a GroupContext.")
        return self.strategy_at(context.step, context.max_steps)(rewards, context)

    def strategy_at(self, step: int, max_steps: int = -1) -> AdvantageStrategy:
        """The strategy in use at an RL step.

        Args:
            step: RL step, from 0.
            max_steps: RL steps of the whole run, -1 when unknown.

        """
        starts = [place("Schedule", boundary, max_steps) for boundary in self.boundaries]
        if starts != sorted(starts):
            raise Refusal(
                f"Schedule needs ascending boundaries, but {self.boundaries} are steps {starts} of {max_steps}."
            )
        return self.strategies[sum(step >= start for start in starts)]

    def parts(self) -> Sequence[AdvantageStrategy]:
        """All of them."""
        return self.strategies

    def check_group_size(self, group_size: int) -> None:
        """Ask every strategy, so that a later one does not fail in the middle of a run."""
        for strategy in self.strategies:
            strategy.check_group_size(group_size)

    def check_run(self, max_steps: int) -> None:
        """Place the boundaries, and ask every strategy."""
        self.strategy_at(0, max_steps)
        for strategy in self.strategies:
            strategy.check_run(max_steps)
