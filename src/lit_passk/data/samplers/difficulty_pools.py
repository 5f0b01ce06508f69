"""So many easy, normal and hard prompts in every step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lit_passk.data.pass_rates import Counts
from lit_passk.data.samplers.base import Candidates, PromptSampler
from lit_passk.errors import Refusal
from lit_passk.functional.random import uniform
from lit_passk.logged import Logged

POOLS = ("easy", "normal", "hard")


LOGGED = (
    Logged(
        "sampler/easy sampler/normal sampler/hard",
        means="Share of all prompts in each pool of `DifficultyPools`.",
        healthy="None of them at 1.",
        otherwise="All in one pool: move `easy_from` and `hard_to`.",
    ),
)


class DifficultyPools(PromptSampler):
    """Draws given shares of every step from easy, normal and hard prompts, by their estimated pass rates.

    A prompt is easy from a pass rate of ``easy_from`` on (its posterior mean), hard up to ``hard_to``, else normal; one
    without rollouts is normal. Within a pool all prompts have the same chance. What a pool lacks comes from the others,
    by their shares; from a pool with a share of 0 only where there is no other. Shares hold on average over the steps,
    and in each step to less than one prompt a pool.

    ``sampler/easy``, ``sampler/normal`` and ``sampler/hard`` say what share of all prompts is in each pool.

    Args:
        easy: Share of easy prompts in a step, as a part of the sum of the three.
        normal: The same of normal ones.
        hard: The same of hard ones.
        easy_from: Lowest pass rate of easy prompts.
        hard_to: Highest pass rate of hard prompts.
        half_life: RL steps after which a completion counts half, because the policy has changed; None counts all alike.
            A prompt that is not drawn any more becomes normal again in time, and is looked at once more.
    """

    def __init__(
        self,
        easy: float = 0.2,
        normal: float = 0.6,
        hard: float = 0.2,
        easy_from: float = 0.75,
        hard_to: float = 0.25,
        half_life: float | None = 100.0,
    ) -> None:
        shares = [easy, normal, hard]
        if not all(math.isfinite(share) and share >= 0 for share in shares) or sum(shares) == 0:
            raise Refusal(
                "`DifficultyPools` needs shares of 0 or more, not all 0, but got "
                f"easy={easy}, normal={normal}, hard={hard}."
            )
        if not 0 <= hard_to < easy_from <= 1:
            raise Refusal(
                f"`DifficultyPools` needs 0 <= hard_to < easy_from <= 1, but got {hard_to=} and {easy_from=}."
            )
        self.shares = shares
        self.easy_from = easy_from
        self.hard_to = hard_to
        self.half_life = half_life
        self._warned = False

    def pools(self, counts: Counts) -> Tensor:
        """Each prompt's pool as its number in ``POOLS``, shape ``(n,)``, int64."""
        rate = counts.mean
        unseen = counts.scored == 0
        return torch.where((rate >= self.easy_from) & ~unseen, 0, torch.where((rate <= self.hard_to) & ~unseen, 2, 1))

    def weights(self, candidates: Candidates) -> Tensor:
        """The share of each prompt's pool, divided by the prompts in it, shape ``(n,)``."""
        pool = self.pools(candidates.counts)
        per_prompt = torch.tensor(self.shares, dtype=torch.float64) / pool.bincount(minlength=3).clamp(min=1)  # (3,)
        return per_prompt[pool]

    def draw(self, candidates: Candidates, count: int) -> list[int]:
        """Draw from each pool what is its share of this step."""
        pool, key = self.pools(candidates.counts), candidates.random()
        offset = float(uniform(torch.tensor([candidates.seed]), 1))
        wanted = split(count, self.shares, pool.bincount(minlength=3).tolist(), offset)
        chosen = []
        for number, size in enumerate(wanted):
            members = (pool == number).nonzero()[:, 0]
            chosen += members[key[members].topk(size, largest=False).indices].tolist()
        return [candidates.rows[i] for i in sorted(chosen, key=key.tolist().__getitem__)]

    def metrics(self, counts: Counts) -> dict[str, float]:
        """The share of all prompts that is in each pool."""
        pool = self.pools(counts)
        shares = (pool.bincount(minlength=3) / max(1, len(pool))).tolist()
        if not self._warned and max(shares) == 1 and bool((counts.scored > 0).all()):
            self._warned = True
            rank_zero_warn(
                f"All {len(pool)} prompts are {POOLS[shares.index(1)]} by now, so `DifficultyPools` draws them all "
                f"alike. Move `easy_from` ({self.easy_from:g}) or `hard_to` ({self.hard_to:g}), or take other prompts."
            )
        return dict(zip(POOLS, shares, strict=True))


def split(count: int, shares: Sequence[float], sizes: Sequence[int], offset: float) -> list[int]:
    """How many prompts of each pool make a step.

    Args:
        count: Prompts of the step, at most the sum of ``sizes``.
        shares: Of each pool, not all 0.
        sizes: Prompts in each pool.
        offset: In ``[0, 1)``, another one each step: shares that are no whole numbers are rounded up in as many steps
            as makes them hold on average.

    Example:
        >>> split(10, [0.25, 0.5, 0.25], [9, 9, 9], offset=0.0), split(10, [0.25, 0.5, 0.25], [1, 9, 0], offset=0.0)
        ([2, 5, 3], [1, 9, 0])

    """
    taken = [0] * len(sizes)
    while (left := count - sum(taken)) > 0:
        room = [size - number for size, number in zip(sizes, taken, strict=True)]
        parts = [share if free else 0.0 for share, free in zip(shares, room, strict=True)]
        if not any(parts):
            parts = [float(free) for free in room]
        begin, total = 0, 0.0
        for i, part in enumerate(parts):
            total += part
            last = not any(parts[i + 1 :])
            end = left if last else min(left, math.floor(left * total / sum(parts) + offset))
            taken[i] += min(max(0, end - begin), room[i])
            begin = end
    return taken
