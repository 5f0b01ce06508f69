"""How often each prompt was solved: counts from past rollouts, and what they say of its pass rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_passk.errors import Refusal


@dataclass(frozen=True)
class Counts:
    """Correct and scored completions of n prompts, and the posterior of each prompt's pass rate.

    Before its first completion any pass rate is as likely as any other: Beta(1, 1). The posterior is Beta(a, b) with
    ``a = correct + 1`` and ``b = scored - correct + 1``.

    Args:
        correct: Shape ``(n,)``, float64; discounted, so not whole.
        scored: Shape ``(n,)``, float64.

    Example:
        >>> counts = Counts(torch.tensor([0.0, 7.0]), torch.tensor([0.0, 8.0]))
        >>> counts.mean
        tensor([0.5000, 0.8000])
        >>> [round(bound, 3) for bound in counts.interval(1)]
        [0.518, 0.972]

    """

    correct: Tensor
    scored: Tensor

    @property
    def a(self) -> Tensor:
        """First parameter of the posterior, shape ``(n,)``."""
        return self.correct + 1

    @property
    def b(self) -> Tensor:
        """Second parameter of the posterior, shape ``(n,)``."""
        return self.scored - self.correct + 1

    @property
    def mean(self) -> Tensor:
        """Posterior mean of the pass rate, shape ``(n,)``."""
        return self.a / (self.a + self.b)

    @property
    def std(self) -> Tensor:
        """Posterior standard deviation of the pass rate, shape ``(n,)``."""
        return (self.mean * (1 - self.mean) / (self.a + self.b + 1)).sqrt()

    def interval(self, prompt: int, confidence: float = 0.95) -> tuple[float, float]:
        """The central interval that holds a prompt's pass rate with this probability."""
        from mpmath import betainc

        def bound(chance: float) -> float:
            low, high = 0.0, 1.0
            for _ in range(50):  # halvings
                middle = (low + high) / 2
                below = betainc(float(self.a[prompt]), float(self.b[prompt]), 0, middle, regularized=True)
                low, high = (middle, high) if below < chance else (low, middle)
            return (low + high) / 2

        tail = (1 - confidence) / 2
        return bound(tail), bound(1 - tail)


class PassRates:
    """Counts correct and scored completions per prompt over a run; old ones count less if told so.

    Args:
        num_problems: Problems of the task.
        half_life: RL steps after which a completion counts half; None counts all alike.

    Example:
        >>> rates = PassRates(num_problems=2, half_life=10)
        >>> rates.observe(0, [1], [4], [8])
        >>> [round(float(correct), 4) for correct in rates.counts([0, 1], step=10).correct]
        [0.0, 2.0]

    """

    def __init__(self, num_problems: int, half_life: float | None = None) -> None:
        if half_life is not None and not half_life > 0:
            raise Refusal(f"`half_life` needs to be above 0 RL steps, or null to forget nothing, but got {half_life}.")
        self.half_life = half_life
        self._correct = torch.zeros(num_problems, dtype=torch.float64)
        self._scored = torch.zeros(num_problems, dtype=torch.float64)
        self._step = torch.zeros(num_problems, dtype=torch.int64)
        """When each problem's numbers were discounted last."""

    def observe(self, step: int, indices: Sequence[int], correct: Sequence[int], scored: Sequence[int]) -> None:
        """Add the completions of an RL step.

        Args:
            step: The RL step.
            indices: Problems, none twice.
            correct: Correct completions of each.
            scored: Completions of each that could be scored.
        """
        rows = torch.tensor(indices, dtype=torch.int64)
        before = self.counts(indices, step)
        self._correct[rows] = before.correct + torch.tensor(correct, dtype=torch.float64)
        self._scored[rows] = before.scored + torch.tensor(scored, dtype=torch.float64)
        self._step[rows] = step

    def counts(self, indices: Sequence[int], step: int) -> Counts:
        """What is known of some problems at an RL step."""
        rows = torch.tensor(indices, dtype=torch.int64)  # (n,)
        correct, scored = self._correct[rows], self._scored[rows]
        if self.half_life is not None:
            kept = torch.pow(2.0, -(step - self._step[rows]).to(torch.float64) / self.half_life)  # (n,)
            correct, scored = correct * kept, scored * kept
        return Counts(correct, scored)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that was counted."""
        return {"correct": self._correct.clone(), "scored": self._scored.clone(), "step": self._step.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from what was counted.

        Raises:
            ValueError: If it was counted on a task of another size.
        """
        if len(state["step"]) != len(self._step):
            raise Refusal(
                f"The checkpoint has pass rates of {len(state['step'])} problems, but `data.train` has "
                f"{len(self._step)}: it is not the task that they were counted on."
            )
        self._correct, self._scored = state["correct"].clone(), state["scored"].clone()
        self._step = state["step"].clone()
