"""How much advantage a group carries, by how many of its completions are correct: asked of the strategy itself."""

from __future__ import annotations

import warnings
from copy import deepcopy

import torch
from torch import Tensor

from lit_passk.advantages.base import AdvantageStrategy, GroupSizeWarning
from lit_passk.advantages.trial import trial_context
from lit_passk.errors import Refusal
from lit_passk.types import BatchStats, GroupContext

_ARRANGEMENTS = 16


def advantage_mass(
    strategy: AdvantageStrategy, group_size: int, step: int = 0, max_steps: int = -1, varied: bool = False
) -> Tensor:
    r"""The sum of :math:`|A_i|` over a group, for each number of correct completions: eq. 16 of arXiv 2508.10751.

    The strategy is given groups of 0 to G correct completions, with a reward of 1 where correct and else 0. A strategy
    that draws at random, or goes by the order of sampling, is averaged over 16 groups of each kind.

    Args:
        strategy: Any strategy; a copy is asked, as one may remember what it saw.
        group_size: G.
        step: RL step, from 0.
        max_steps: RL steps of the run, -1 when unknown.
        varied: Whether the completions differ in all else as well: entropy, length, truncation, ...

    Returns:
        Shape ``(G + 1,)``, float64.

    Example:
        >>> from lit_passk.advantages import GRPO, PassKAnalytic
        >>> advantage_mass(PassKAnalytic(k=2), group_size=4)
        tensor([0.0000, 2.0000, 1.7889, 0.0000, 0.0000], dtype=torch.float64)
        >>> advantage_mass(GRPO(), group_size=4)
        tensor([0.0000, 3.4641, 4.0000, 3.4641, 0.0000], dtype=torch.float64)

    """
    random = torch.Generator().manual_seed(0)
    counts = torch.arange(group_size + 1).repeat(_ARRANGEMENTS)  # (P,)
    first = torch.arange(group_size).expand(len(counts), group_size)  # (P, G)
    places = torch.rand((len(counts), group_size), generator=random).argsort(dim=1)  # (P, G)
    correct = (first < counts[:, None]).gather(1, places)
    if varied:
        context = _varied(correct, step, max_steps, random)
    else:
        context = trial_context(correct, step=step, max_steps=max_steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GroupSizeWarning)
        advantages = deepcopy(strategy)(correct.float(), context)
    return advantages.double().abs().sum(dim=1).view(_ARRANGEMENTS, group_size + 1).mean(dim=0)


def check_counts_suffice(strategy: AdvantageStrategy, group_size: int, max_steps: int = -1) -> None:
    """Refuse a strategy whose advantages depend on more than who of a group is correct.

    Raises:
        Refusal: Naming the strategy.
    """
    try:
        plain, varied = (advantage_mass(strategy, group_size, 0, max_steps, differ) for differ in (False, True))
    except ValueError as error:
        raise Refusal(_refused(strategy, f"asked for groups that are correct or wrong, it says: {error}")) from error
    if not torch.allclose(plain, varied, rtol=1e-3, atol=1e-5):
        raise Refusal(_refused(strategy, "its advantages also depend on answers, entropies, lengths or the batch."))


def _refused(strategy: AdvantageStrategy, why: str) -> str:
    return (
        f"`ExpectedAdvantage` needs a strategy that goes by who of a group is correct, and {type(strategy).__name__} "
        f"does not: {why} Use `DifficultyPools`, which asks for pass rates alone, or another `model.advantage`."
    )


def _varied(correct: Tensor, step: int, max_steps: int, random: torch.Generator) -> GroupContext:
    """A context in which everything differs from completion to completion."""

    def number() -> Tensor:  # (P, G), from 0.5 to 1.5
        return torch.rand(correct.shape, generator=random) + 0.5

    entropy = number()
    return trial_context(
        correct,
        entropy=entropy,
        logprob_mean=-number(),
        num_tokens=(10 * number()).long(),
        truncated=number() < 1,
        answers=(100 * number()).long().masked_fill(correct, 0),
        step=step,
        max_steps=max_steps,
        batch=BatchStats(reward_mean=0.3, reward_std=0.7, prompt_entropy=entropy.mean(dim=1)),
    )
