"""Groups of k completions: which ones there are, and what a completion gets for the groups that it is in.

The three ways of Pass@k Training (arXiv 2508.10751, sections 2.2 to 2.4) differ in the groups alone:
``disjoint_groups``, ``draw_groups`` or ``all_groups``. ``share_among_members`` does the rest for any reward of a group.
"""

from __future__ import annotations

import itertools
from typing import Literal, get_args

import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.functional.g_pass_at_k import hypergeometric_pmf
from lit_passk.functional.passk_advantage import Std, bessel_factor, normalize_groups
from lit_passk.functional.random import uniform

Reduction = Literal["sum", "mean"]
"""What a completion gets of the advantages of the groups that hold it."""


def check_reduction(reduction: str) -> None:
    """Raise a Refusal unless ``reduction`` is ``sum`` or ``mean``."""
    if reduction not in get_args(Reduction):
        raise Refusal(f"`reduction` must be sum or mean, but got {reduction!r}.")


def disjoint_groups(group_size: int, k: int) -> Tensor:
    """Every k completions in a row, shape ``(G // k, k)``, int64; the last G mod k are in no group.

    Example:
        >>> disjoint_groups(5, k=2).tolist()
        [[0, 1], [2, 3]]

    """
    num_groups = group_size // k
    return torch.arange(num_groups * k).reshape(num_groups, k)


def draw_groups(group_size: int, k: int, num_groups: int, seeds: Tensor) -> Tensor:
    """Random groups of k different completions for P prompts: the same for the same seed, whatever the other prompts.

    Floyd's way (Bentley, Floyd 1987): the last k places are gone through, at each a completion is drawn among those up
    to it, and the last of them is taken where the drawn one was in the group already. Every group is equally likely.

    Args:
        group_size: Completions G of a prompt.
        k: Completions in a group, at most G.
        num_groups: Groups M of a prompt.
        seeds: One for each prompt, shape ``(P,)``, int64.

    Returns:
        Shape ``(P, M, k)``, int64. ``O(k^2)`` for a group, and k random numbers.

    Example:
        >>> groups = draw_groups(5, 3, 2, torch.tensor([6, 7]))
        >>> groups.shape, bool((groups[1:] == draw_groups(5, 3, 2, torch.tensor([7]))).all())
        (torch.Size([2, 2, 3]), True)

    """
    shape = (len(seeds), k, num_groups)
    numbers = uniform(seeds[:, None], torch.arange(k * num_groups)).view(shape).transpose(0, 1)  # (k, P, M)
    members = torch.empty(numbers.shape, dtype=torch.int32)
    for place, last in enumerate(range(group_size - k, group_size)):
        drawn = (numbers[place] * (last + 1)).int()  # (P, M), from 0 to `last`
        known = (members[:place] == drawn).any(dim=0)
        members[place] = drawn.masked_fill_(known, last)
    return members.long().permute(1, 2, 0)


def all_groups(group_size: int, k: int) -> Tensor:
    """All C(G, k) groups, shape ``(C(G, k), k)``, int64.

    Example:
        >>> all_groups(3, k=2).tolist()
        [[0, 1], [0, 2], [1, 2]]

    """
    members = list(itertools.combinations(range(group_size), k))
    return torch.tensor(members, dtype=torch.int64).reshape(len(members), k)


def share_among_members(
    group_rewards: Tensor, members: Tensor, group_size: int, reduction: Reduction = "mean", std: Std = "population"
) -> Tensor:
    """Normalise the rewards of M groups (eqs. 1-3) and give every completion what its groups got.

    Args:
        group_rewards: Shape ``(P, M)``, float64.
        members: Which completions each group has, int64: shape ``(M, k)`` for the same groups of all P prompts, or
            ``(P, M, k)``.
        group_size: Completions G of a prompt.
        reduction: ``sum`` over the groups that hold a completion, or their ``mean``.
        std: What the centred group rewards are divided by.

    Returns:
        Shape ``(P, G)``, float64; 0 for a completion that is in no group.

    Example:
        >>> share_among_members(torch.tensor([[1.0, 0.0]]), torch.tensor([[0, 1], [2, 3]]), 5).round(decimals=4)
        tensor([[ 1.,  1., -1., -1.,  0.]])

    """
    advantages = normalize_groups(group_rewards, std)  # (P, M)
    members = members.expand(len(advantages), -1, -1).movedim(-1, 0)  # (k, P, M)
    places = members + group_size * torch.arange(len(advantages))[:, None]  # (k, P, M), among all completions
    size = advantages.shape[0] * group_size
    collected = torch.bincount(places.flatten(), advantages.expand(places.shape).flatten(), minlength=size)
    if reduction == "mean":
        collected = collected / torch.bincount(places.flatten(), minlength=size).clamp(min=1)
    return collected.to(advantages.dtype).view(-1, group_size)


def share_by_count(group_rewards: Tensor, group_size: int, std: Std = "population") -> Tensor:
    """The mean advantage over all C(G, k) groups where rewards are 0 and 1, for every number of ones.

    A group reward that does not depend on the order of its members then depends on nothing but how many of them are 1,
    and a group with n of them is one of C(c, n) C(G - c, k - n): no group is ever formed.

    Args:
        group_rewards: Reward of a group with 0, 1, ..., k ones, shape ``(k + 1,)``, float64.
        group_size: Completions G of a prompt, at least k.
        std: Divide by the standard deviation over the groups with 1/M, with 1/(M - 1), or not at all.

    Returns:
        Shape ``(G + 1, 2)``, float64: row c is for c ones, column 0 what a completion of reward 0 gets, column 1 what
        one of reward 1 gets (0 where there is none).

    Example:
        >>> share_by_count(torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64), group_size=4)[:3]
        tensor([[ 0.0000,  0.0000],
                [-0.3333,  1.0000],
                [-0.4472,  0.4472]], dtype=torch.float64)

    """
    k = len(group_rewards) - 1
    counts = torch.arange(group_size + 1)
    chance = hypergeometric_pmf(counts, group_size, k)  # (G + 1, k + 1)
    # From the likeliest reward on: where nearly all groups have it, the deviations stay exact.
    rewards = group_rewards - group_rewards[chance.argmax(dim=1), None]  # (G + 1, k + 1)
    deviations = rewards - (chance * rewards).sum(dim=1, keepdim=True)
    differs = ((rewards != 0) & (chance > 0)).any(dim=1, keepdim=True)  # (G + 1, 1)
    if std != "none":
        spread = (chance * deviations.square()).sum(dim=1, keepdim=True).sqrt()
        deviations = deviations * (bessel_factor(group_size, k, std) / spread)
    deviations = deviations.where(differs, 0.0)
    result = torch.zeros(group_size + 1, 2, dtype=torch.float64)
    for one in (0, 1):  # the other k - 1 members of a completion's group, drawn from the other G - 1 completions
        exists = counts[one : group_size + one]  # c from 0 to G - 1, or from 1 to G
        others = hypergeometric_pmf(exists - one, group_size - 1, k - 1)  # (G, k)
        result[exists, one] = (others * deviations[exists, one : k + one]).sum(dim=1)
    return result
