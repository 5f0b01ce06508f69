"""Prefers the prompts that are expected to carry the most advantage, for the strategy and the k in use."""

from __future__ import annotations

from torch import Tensor

from lit_passk.advantages import AdvantageStrategy
from lit_passk.advantages.base import leaves
from lit_passk.advantages.mass import advantage_mass, check_counts_suffice
from lit_passk.data.samplers.base import Candidates, PromptSampler
from lit_passk.errors import Refusal
from lit_passk.functional.beta_binomial import beta_binomial_mean


class ExpectedAdvantage(PromptSampler):
    r"""Draws a prompt in proportion to the advantage that its next group is expected to carry.

    What a group carries is the sum of :math:`|A_i|` over its completions, which depends on how many are correct. With
    the posterior Beta(a, b) of the prompt's pass rate, c of its next G completions are correct with the beta-binomial
    probability, and the weight is the mean of the sum over c. The sum comes from ``model.advantage`` itself, at the
    step in use: Pass@1 Training has the most of prompts that are solved every other time, Pass@4 Training of those
    solved one time in four. docs/sampling.md derives it, with the closed form of ``PassKAnalytic``.

    A prompt without rollouts may have any pass rate, so it is preferred to those known to carry nothing. Where more is
    expected prompts come more often: the policy is trained on another distribution of prompts than the task's.

    Strategies that go by more than who is correct (``AdaptiveEntropy``, ``ReinforcePlusPlus``) are refused. With shaped
    rewards, what strategies over rewards would give rewards of 0 and 1 is taken.

    Args:
        uniform: Share of the chances that is the same for all prompts, from 0 to 1: so that those that seem to carry
            nothing are looked at again.
        half_life: RL steps after which a completion counts half, because the policy has changed; None counts all alike.
    """

    def __init__(self, uniform: float = 0.1, half_life: float | None = 100.0) -> None:
        if not 0 <= uniform <= 1:
            raise Refusal(f"`ExpectedAdvantage` needs `uniform` from 0 to 1, but got {uniform}.")
        self.uniform = uniform
        self.half_life = half_life
        self._run: tuple[AdvantageStrategy, int, int] | None = None  # strategy, group size, steps
        self._mass: tuple[int, Tensor] | None = None  # of the last step that was asked for

    def prepare(self, strategy: AdvantageStrategy, group_size: int, max_steps: int) -> None:
        """Take the strategy and the group size, and refuse what does not go by who is correct."""
        self._run, self._mass = (strategy, group_size, max_steps), None
        for part in leaves(strategy):
            check_counts_suffice(part, group_size, max_steps)

    def weights(self, candidates: Candidates) -> Tensor:
        """The chances, shape ``(n,)``: expected advantage, mixed with the same for all."""
        expected = self.expected(candidates)
        total = expected.sum()
        share = expected / total if total > 0 else expected
        return (1 - self.uniform) * share + self.uniform / len(share)

    def expected(self, candidates: Candidates) -> Tensor:
        """The advantage that the next group of each prompt is expected to carry, shape ``(n,)``, float64."""
        if self._run is None:
            raise Refusal("`ExpectedAdvantage` needs `prepare` first, which tells it the strategy and the group size.")
        strategy, group_size, max_steps = self._run
        if self._mass is None or self._mass[0] != candidates.step:
            mass = advantage_mass(strategy, group_size, candidates.step, max_steps)  # (G + 1,)
            self._mass = candidates.step, mass
        return beta_binomial_mean(self._mass[1], candidates.counts.a, candidates.counts.b)
