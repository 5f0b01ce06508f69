"""From one strategy to another when a logged quantity says so, and back."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy
from lit_passk.distributed import rank
from lit_passk.errors import Refusal
from lit_passk.types import GroupContext

log = logging.getLogger(__name__)


class Switch(AdvantageStrategy):
    """Uses ``first`` until a logged quantity crosses a bound, then ``second``.

    Pass@1 until the entropy has fallen, Pass@k until it has recovered, in YAML::

        advantage:
          class_path: Switch
          init_args:
            first: GRPO
            second: {class_path: PassKAnalytic, init_args: {k: 8}}
            metric: train/entropy
            below: 0.3
            back: 0.5

    The quantity is that of the RL step before, over all ranks. Two bounds apart from each other (hysteresis) and
    ``steps`` keep noise from switching to and fro. Which strategy is in use is part of a checkpoint.

    Useful quantities: ``train/entropy``; ``train/with_advantage``, the share of groups with an advantage from the
    strategy in use (groups without one above 0.7 is ``below: 0.3``); ``train/pass@1``; ``train/solved``.

    Args:
        first: In use at first.
        second: In use after the switch.
        metric: What to watch: a name that a training step logs, ``train/...``.
        below: Switch when the quantity is below this.
        above: Switch when the quantity is above this; exactly one of the two is given.
        back: Return to ``first`` when the quantity is on the other side of this; None never returns.
        steps: RL steps in a row that must say the same.

    Raises:
        ValueError: When the bounds do not fit, or the quantity is not logged.

    Example:
        >>> from lit_passk.advantages import GRPO, PassKAnalytic
        >>> switch = Switch(GRPO(), PassKAnalytic(k=8), metric="train/entropy", below=0.3, back=0.5)
        >>> used = []
        >>> for entropy in (0.6, 0.4, 0.2, 0.4, 0.6):
        ...     switch.observe({"train/entropy": entropy})
        ...     used.append(type(switch.active).__name__)
        >>> used
        ['GRPO', 'GRPO', 'PassKAnalytic', 'PassKAnalytic', 'GRPO']

    """

    def __init__(
        self,
        first: AdvantageStrategy,
        second: AdvantageStrategy,
        metric: str,
        below: float | None = None,
        above: float | None = None,
        back: float | None = None,
        steps: int = 1,
    ) -> None:
        if not metric.startswith("train/"):
            raise Refusal(f"Switch watches what training steps log, train/..., but got the metric {metric!r}.")
        if (below is None) == (above is None):
            raise Refusal(f"Switch needs either below or above, but got below={below} and above={above}.")
        if steps < 1:
            raise Refusal(f"Switch needs steps of at least 1, but got {steps}.")
        if back is not None and not (back >= below if below is not None else back <= above):  # type: ignore[operator]
            bound = f"below={below}" if below is not None else f"above={above}"
            raise Refusal(f"Switch cannot go back at once: back={back} lies within {bound}. Move it to the other side.")
        self.first = first
        self.second = second
        self.metric = metric
        self.below = below
        self.above = above
        self.back = back
        self.steps = steps
        self._switched = False
        self._in_a_row = 0  # steps that have said so already

    @property
    def active(self) -> AdvantageStrategy:
        """The strategy in use."""
        return self.second if self._switched else self.first

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, by the strategy in use."""
        return self.active(rewards, context)

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Switch, if the step says so."""
        if self.metric not in metrics:
            raise Refusal(
                f"Switch watches {self.metric!r}, which training does not log. It logs {', '.join(sorted(metrics))}."
            )
        value = metrics[self.metric]
        self._in_a_row = self._in_a_row + 1 if self._crossed(value) else 0
        if self._in_a_row >= self.steps:  # above, where a resumed run asks for fewer
            self._switched, self._in_a_row = not self._switched, 0
            if rank() == 0:
                log.info("%s is %.4g: the advantages are those of %s now.", self.metric, value, self.active)

    def state_dict(self) -> dict[str, Any]:
        """Which strategy is in use, and how many steps in a row were for the other."""
        return {"switched": self._switched, "in_a_row": self._in_a_row}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a run stopped."""
        self._switched, self._in_a_row = state["switched"], state["in_a_row"]

    def parts(self) -> Sequence[AdvantageStrategy]:
        """Both."""
        return self.first, self.second

    def check_group_size(self, group_size: int) -> None:
        """Ask both."""
        for part in self.parts():
            part.check_group_size(group_size)

    def check_run(self, max_steps: int) -> None:
        """Ask both."""
        for part in self.parts():
            part.check_run(max_steps)

    def _crossed(self, value: float) -> bool:
        """Whether a value asks for the strategy that is not in use; NaN never does."""
        if not self._switched:
            return value < self.below if self.below is not None else value > self.above  # type: ignore[operator]
        if self.back is None:
            return False
        return value > self.back if self.below is not None else value < self.back
