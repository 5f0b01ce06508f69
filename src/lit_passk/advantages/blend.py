"""Two strategies at once, with a weight that changes over time."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy
from lit_passk.advantages.moments import Moment, place
from lit_passk.errors import Refusal
from lit_passk.types import GroupContext


class Blend(AdvantageStrategy):
    """``(1 - w) * first + w * second`` with a weight ``w`` that goes linearly from one value to another.

    From Pass@k to Pass@1 over the second half of a run, in YAML::

        advantage:
          class_path: Blend
          init_args:
            first: {class_path: PassKAnalytic, init_args: {k: 8}}
            second: GRPO
            start: 0.5

    Before ``start`` the weight is ``start_weight``, from ``end`` on ``end_weight``. With two equal weights it never
    changes. The advantages are mixed as they are: strategies of different scales (with and without a standard
    deviation, sums and means over groups) do not mix half and half at 0.5.

    Args:
        first: Has all the weight at ``w = 0``.
        second: Has all the weight at ``w = 1``.
        start: When the weight begins to change: an RL step (integer, from 0) or a share of the run (0.0 to 1.0).
        end: When it has changed, given likewise; 1.0 is the end of the run, one step past the last.
        start_weight: Weight of ``second`` up to ``start``, in [0, 1].
        end_weight: Weight of ``second`` from ``end`` on, in [0, 1].

    Raises:
        ValueError: When the settings do not fit, when a share meets a run of unknown length, or without a context.

    Example:
        >>> from lit_passk.advantages import GRPO, PassKAnalytic
        >>> blend = Blend(PassKAnalytic(k=8), GRPO(), start=2, end=6, end_weight=0.8)
        >>> [round(blend.weight_at(step), 2) for step in range(8)]
        [0.0, 0.0, 0.0, 0.2, 0.4, 0.6, 0.8, 0.8]

    """

    def __init__(
        self,
        first: AdvantageStrategy,
        second: AdvantageStrategy,
        start: Moment = 0,
        end: Moment = 1.0,
        start_weight: float = 0.0,
        end_weight: float = 1.0,
    ) -> None:
        for moment in (start, end):
            whole = isinstance(moment, int) and not isinstance(moment, bool)
            if not (moment >= 0 if whole else isinstance(moment, float) and 0 <= moment <= 1):
                raise Refusal(
                    "Blend needs start and end that are RL steps (integers from 0) or shares of the run (0.0 to 1.0), "
                    f"but got {moment!r}."
                )
        if not (0 <= start_weight <= 1 and 0 <= end_weight <= 1):
            raise Refusal(f"Blend needs weights in [0, 1], but got {start_weight} and {end_weight}.")
        self.first = first
        self.second = second
        self.start = start
        self.end = end
        self.start_weight = start_weight
        self.end_weight = end_weight
        if type(start) is type(end):  # a step and a share lie to each other as the length of the run says
            self._check_order(start, end)

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, with the weight of ``context.step``."""
        if context is None:
            raise ValueError("Blend goes by the RL step, but was called without a context. Pass a GroupContext.")
        weight = self.weight_at(context.step, context.max_steps)
        if weight in (0, 1):
            return (self.second if weight else self.first)(rewards, context)
        return (1 - weight) * self.first(rewards, context) + weight * self.second(rewards, context)

    def weight_at(self, step: int, max_steps: int = -1) -> float:
        """The weight of ``second`` at an RL step.

        Args:
            step: RL step, from 0.
            max_steps: RL steps of the whole run, -1 when unknown.
        """
        if self.start_weight == self.end_weight:
            return self.start_weight
        start, end = place("Blend", self.start, max_steps), place("Blend", self.end, max_steps)
        self._check_order(start, end)
        done = min(max((step - start) / (end - start), 0.0), 1.0)
        return self.start_weight + done * (self.end_weight - self.start_weight)

    def parts(self) -> Sequence[AdvantageStrategy]:
        """Both."""
        return self.first, self.second

    def check_group_size(self, group_size: int) -> None:
        """Ask both."""
        for part in self.parts():
            part.check_group_size(group_size)

    def check_run(self, max_steps: int) -> None:
        """Place the moments, and ask both."""
        self.weight_at(0, max_steps)
        for part in self.parts():
            part.check_run(max_steps)

    def _check_order(self, start: Moment, end: Moment) -> None:
        if not start < end:
            raise Refusal(f"Blend needs start before end, but got {self.start} and {self.end} (steps {start}, {end}).")
