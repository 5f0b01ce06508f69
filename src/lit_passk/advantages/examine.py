"""What a strategy does, found out by trying it on every group there is: for tests and for docs/strategies."""

from __future__ import annotations

import warnings
from typing import Any, cast

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, GroupSizeWarning
from lit_passk.advantages.trial import trial_context
from lit_passk.types import GroupContext


def every_group(group_size: int) -> Tensor:
    """Every way in which G completions can be correct or not, shape ``(2^G, G)``, float32 of 0 and 1.

    Example:
        >>> every_group(2).int().tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]

    """
    bits = torch.arange(2**group_size)[:, None] >> torch.arange(group_size - 1, -1, -1)  # (2^G, G)
    return (bits % 2).float()


def _context(correct: Tensor, step: int = 0) -> GroupContext:
    """Log-probabilities drawn between -1 and -0.1 per token, wrong answers of three kinds, RL step ``step`` of 100."""
    drawn = torch.rand(correct.shape, generator=torch.Generator().manual_seed(0))  # (P, G)
    answers = torch.where(correct.bool(), 0, 1 + torch.arange(correct.shape[1]) % 3)
    return trial_context(correct, logprob_mean=-0.1 - 0.9 * drawn, answers=answers, step=step, max_steps=100)


def advantages_of(strategy: AdvantageStrategy, correct: Tensor, rewards: Tensor | None = None, step: int = 0) -> Tensor:
    """What a strategy makes of groups, in a context where all completions differ; shape ``(P, G)``, float64.

    Args:
        strategy: The strategy.
        correct: Shape ``(P, G)``, 0 and 1.
        rewards: Shape ``(P, G)``; None pays 1 for what is correct.
        step: RL step.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GroupSizeWarning)
        return strategy(correct if rewards is None else rewards, _context(correct, step)).double()


def expected_gradient(strategy: AdvantageStrategy, group_size: int, solve_rate: float) -> float:
    """The gradient a strategy estimates, on average over every group that a policy of one parameter can sample.

    The policy is correct with probability p; the gradient is ``(1 / G) sum_i A_i d log P(i) / dp``, a mean over the
    completions, and its mean over all ``2^G`` groups is exact. A strategy that ascends F has ``F'(p)`` here, up to the
    bias of its estimate and a constant factor.

    Args:
        strategy: The strategy; one that draws at random is only as exact as its draws.
        group_size: Completions G per group, at most about 12.
        solve_rate: p, between 0 and 1, both excluded.

    Example:
        >>> from lit_passk.advantages import RLOO, MaxRL
        >>> [round(expected_gradient(RLOO(), 4, p), 4) for p in (0.2, 0.5)]  # F(p) = p
        [1.0, 1.0]
        >>> round(expected_gradient(MaxRL(), 4, 0.5), 4)  # 1 + (1 - p) + (1 - p)^2
        1.75

    """
    correct = every_group(group_size)  # (2^G, G)
    advantages = advantages_of(strategy, correct)  # (2^G, G)
    right = correct.double()
    chance = torch.where(right > 0, solve_rate, 1 - solve_rate).prod(dim=1)  # (2^G,)
    slope = torch.where(right > 0, 1 / solve_rate, -1 / (1 - solve_rate))  # (2^G, G)
    return float((chance * (advantages * slope).mean(dim=1)).sum())


def prompt_weights(strategy: AdvantageStrategy, other: AdvantageStrategy, group_size: int) -> Tensor | None:
    """The weight per prompt that makes one strategy out of another, or None where there is none.

    Args:
        strategy: Which is to be ``other`` times a weight.
        other: What is weighed.
        group_size: Completions G per group, at most about 12.

    Returns:
        Shape ``(2^G,)``, float64, for the groups of ``every_group``, none negative; NaN where neither gives an
        advantage. None if some group's advantages are not in proportion.

    Example:
        >>> from lit_passk.advantages import GRPO, DrGRPO, WReinforce
        >>> weights = prompt_weights(DrGRPO(), GRPO(), 4)
        >>> weights[every_group(4).sum(dim=1) == 1].round(decimals=4).unique()
        tensor([0.4330], dtype=torch.float64)
        >>> prompt_weights(WReinforce(), GRPO(), 4) is None
        True

    """
    correct = every_group(group_size)
    return proportion(advantages_of(strategy, correct), advantages_of(other, correct))


def proportion(ours: Tensor, theirs: Tensor) -> Tensor | None:
    """The weight of each row that makes ``ours`` of ``theirs``, as ``prompt_weights``; both of shape ``(P, G)``."""
    largest, at = theirs.abs().max(dim=1, keepdim=True)  # (P, 1)
    weights = torch.where(largest < 1e-7, torch.nan, ours.gather(1, at) / theirs.gather(1, at))  # (P, 1)
    close = (ours - weights.nan_to_num() * theirs).abs() <= 1e-5 * ours.abs().amax(dim=1, keepdim=True) + 1e-7
    if not close.all() or bool((weights < -1e-6).any()):
        return None
    return weights[:, 0].abs()  # a rounded 0 may have a sign


def context_fields(strategy: AdvantageStrategy, group_size: int = 8) -> set[str]:
    """What a strategy looks at besides the rewards: the names of ``GroupContext`` that it reads.

    Example:
        >>> from lit_passk.advantages import FGRPO, GRPO
        >>> context_fields(FGRPO()), context_fields(GRPO())
        ({'correct'}, set())

    """
    correct = every_group(2).repeat(1, -(-group_size // 2))[:, :group_size]
    context = _context(correct)
    read: set[str] = set()

    class Watched:
        def __getattr__(self, name: str) -> Any:
            read.add(name)
            return getattr(context, name)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GroupSizeWarning)
        strategy(correct, cast(GroupContext, Watched()))
    return read
