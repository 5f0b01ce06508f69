"""Weighted order statistics of k completions, averaged over all groups of k, in one sort.

A statistic is a weighted sum of the k rewards of a group in ascending order: the maximum is the weights (0, ..., 0, 1),
the mean (1/k, ..., 1/k). For a completion i and another one j, let k - 1 of the remaining G - 2 join either of them.
What the statistic gains by having i instead of j is a sum over the gaps between neighbouring rewards that lie between
the two; the gain in a gap is the gap times the mean weight of the place that i takes there. That mean depends on how
many rewards lie below the gap, on nothing else, so every difference of two completions is one of two partial sums over
the sorted rewards. Nothing large is ever subtracted from something large, and equal rewards give exact zeros.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.functional.g_pass_at_k import hypergeometric_pmf
from lit_passk.functional.passk_advantage import Std, bessel_factor


def statistic_advantage(rewards: Tensor, weights: tuple[float, ...], std: Std = "none") -> Tensor:
    """The mean advantage of a completion over all C(G, k) groups of k, each rewarded by an order statistic.

    ``A_i = (E[L(S) | i in S] - E[L(S)]) / std(L(S))`` over the groups S, ``L(S) = sum_j weights[j] R_(j)``.

    Args:
        rewards: Shape ``(P, G)``, float64, G at least k.
        weights: Of the k rewards of a group in ascending order.
        std: Divide by the standard deviation of L over the groups with 1/M, with 1/(M - 1), or not at all.

    Returns:
        Shape ``(P, G)``, float64; zeros where all groups are rewarded alike. O(G log G) per prompt; with a standard
        deviation and more than one weight O(G^2).

    Example:
        >>> statistic_advantage(torch.tensor([[1.0, 3.0, 2.0]], dtype=torch.float64), (0.0, 1.0))
        tensor([[-0.1667,  0.3333, -0.1667]], dtype=torch.float64)

    """
    group_size, k = rewards.shape[1], len(weights)
    if k == group_size:
        return torch.zeros_like(rewards)
    low = rewards.amin(dim=1, keepdim=True)  # (P, 1)
    span = rewards.amax(dim=1, keepdim=True) - low
    ranked, order = ((rewards - low) / span.where(span > 0, 1.0)).sort(dim=1)  # (P, G) in [0, 1]
    gains = torch.zeros_like(ranked)
    gains[:, 1:] = (ranked.diff(dim=1) * _mean_weights(weights, group_size)).cumsum(dim=1)  # (P, G - 1)
    # Against another completion a gain counts G / (G - 1) times; in (G - k) / G of the groups there is one.
    centred = (gains - gains.mean(dim=1, keepdim=True)) * ((group_size - k) / (group_size - 1))
    if std == "none":
        centred = centred * span
    else:
        spread = _spread(ranked, weights)[:, None] / bessel_factor(group_size, k, std)  # (P, 1)
        centred = (centred / spread).where(spread > 0, 0.0)
    return torch.empty_like(centred).scatter_(1, order, centred)


def gain_of_joining(rewards: Tensor, k: int) -> Tensor:
    """How much a completion raises the best reward of k - 1 others by joining them, averaged over all such groups.

    ``E[max(S) - max(S without i) | i in S]``; 0 for the k - 1 lowest rewards.

    Args:
        rewards: Shape ``(P, G)``, float64, G at least ``k``.
        k: Size of the group after the completion has joined, at least 2.

    Returns:
        Shape ``(P, G)``, float64, at least 0.

    Example:
        >>> gain_of_joining(torch.tensor([[1.0, 3.0, 2.0]], dtype=torch.float64), k=2)
        tensor([[0.0000, 1.5000, 0.5000]], dtype=torch.float64)

    """
    group_size = rewards.shape[1]
    assert 2 <= k <= group_size
    ranked, order = rewards.sort(dim=1)
    below = torch.arange(1, group_size)  # how many of the others lie below each gap
    all_below = hypergeometric_pmf(below, group_size - 1, k - 1)[:, k - 1]  # (G - 1,)
    gains = torch.zeros_like(ranked)
    gains[:, 1:] = (ranked.diff(dim=1) * all_below).cumsum(dim=1)  # (P, G - 1)
    return torch.empty_like(gains).scatter_(1, order, gains)


@lru_cache(maxsize=64)
def _mean_weights(weights: tuple[float, ...], group_size: int) -> Tensor:
    """The mean weight of the place that a completion takes above each gap of the sorted rewards, shape ``(G - 1,)``.

    Of the G - 2 completions besides the two compared, m - 1 lie below gap m; j of the k - 1 that join are among them.
    """
    places = hypergeometric_pmf(torch.arange(group_size - 1), group_size - 2, len(weights) - 1)  # (G - 1, k)
    return places @ torch.tensor(weights, dtype=torch.float64)


def _spread(ranked: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Population standard deviation of the statistic over all groups, shape ``(P,)``, of ascending ``(P, G)``."""
    group_size, k = ranked.shape[1], len(weights)
    chosen = [place for place, weight in enumerate(weights) if weight != 0]
    if len(chosen) != 1:
        gaps = ranked.diff(dim=1)  # (P, G - 1)
        return ((gaps @ _gap_covariance(weights, group_size)) * gaps).sum(dim=1).clamp(min=0).sqrt()
    # Chance that the reward of rank m is the one in this place: it is in the group, `place` of the others below it.
    chance = hypergeometric_pmf(torch.arange(group_size), group_size - 1, k - 1)[:, chosen[0]] * (k / group_size)
    # From the likeliest value on: where nearly all groups have it, the mean and the deviations stay small and exact.
    values = ranked - ranked[:, chance.argmax(), None]
    mean = (values @ chance)[:, None]  # (P, 1)
    return abs(weights[chosen[0]]) * ((values - mean).square() @ chance).sqrt()


@lru_cache(maxsize=8)
def _gap_covariance(weights: tuple[float, ...], group_size: int) -> Tensor:
    """Covariance, over all groups, of what the statistic gains by each gap of the sorted rewards, ``(G - 1, G - 1)``.

    A gap of 1 above which c members of the group lie adds the c largest weights. Between two neighbouring gaps lies one
    reward: given that c members lie above the higher gap, below which there are m rewards, it is one of the k - c
    others with chance (k - c) / m, and then c + 1 members lie above the lower gap.
    """
    k = len(weights)
    gained = torch.tensor([0.0, *weights[::-1]], dtype=torch.float64).cumsum(0)  # (k + 1,) by members above
    above = torch.arange(group_size - 1, 0, -1)  # completions above each gap
    chance = hypergeometric_pmf(above, group_size, k)  # (G - 1, k + 1)
    centred = gained - (chance @ gained)[:, None]  # (G - 1, k + 1)
    covariance = torch.zeros(group_size - 1, group_size - 1, dtype=torch.float64)
    members_below = torch.arange(k, -1, -1, dtype=torch.float64)  # (k + 1,) given c above
    expected = centred.clone()  # (G - 1, k + 1); row l: the gain of gap l, given the members above the current gap
    for gap in range(group_size - 1):
        if gap > 0:
            between = (members_below / (gap + 1)).clamp(max=1)
            expected[:gap] = between * expected[:gap].roll(-1, dims=1) + (1 - between) * expected[:gap]
        both = expected[: gap + 1] @ (chance[gap] * centred[gap])  # (gap + 1,)
        covariance[: gap + 1, gap] = covariance[gap, : gap + 1] = both
    return covariance


def read_weights(statistic: str | Sequence[float], k: int) -> tuple[float, ...]:
    """The weights of k rewards in ascending order: of a named statistic, or as they are given.

    Raises:
        Refusal: For a name that ``statistic_weights`` does not know, or weights that are not k finite numbers.

    Example:
        >>> read_weights([1, 0, 0.5], 3), read_weights("min", 3)  # exact: as given
        ((1.0, 0.0, 0.5), (1.0, 0.0, 0.0))

    """
    if isinstance(statistic, str):
        return statistic_weights(statistic, k)
    weights = tuple(float(weight) for weight in statistic)
    if len(weights) != k or not any(weights) or not all(map(math.isfinite, weights)):
        raise Refusal(
            f"A statistic of k = {k} rewards needs {k} finite weights, of the worst reward first, not all 0, but got "
            f"{list(statistic)}."
        )
    return weights


def statistic_weights(statistic: str, k: int) -> tuple[float, ...]:
    """The weights of a named statistic of k rewards in ascending order.

    Args:
        statistic: ``max``, ``min``, ``mean``, ``median`` (of an even k the mean of the two middle ones), ``top:m`` or
            ``bottom:m`` (mean of the m best or worst), ``cvar:q`` (mean of the worst ``ceil(q k)``, 0 < q <= 1).
        k: Rewards in a group.

    Raises:
        Refusal: For any other text, an m outside 1 to k or a q outside (0, 1].

    Example:
        >>> [statistic_weights(name, 4) for name in ("max", "median", "cvar:0.5")]  # exact: powers of two
        [(0.0, 0.0, 0.0, 1.0), (0.0, 0.5, 0.5, 0.0), (0.5, 0.5, 0.0, 0.0)]

    """
    name, _, number = statistic.partition(":")
    middle = ((k - 1) // 2, k // 2 + 1)  # one place or two
    places = {"max": (k - 1, k), "min": (0, 1), "mean": (0, k), "median": middle}.get(statistic)
    if name in ("top", "bottom") and number.isdecimal() and 1 <= int(number) <= k:
        places = (k - int(number), k) if name == "top" else (0, int(number))
    elif name == "cvar" and _is_number(number) and 0 < float(number) <= 1:
        # Rounded first: 0.07 * 100 is a little more than 7.
        places = (0, math.ceil(round(float(number) * k, 9)))
    if places is None:
        raise Refusal(
            f"A statistic of k = {k} rewards is max, min, mean, median, top:m or bottom:m (1 <= m <= {k}), cvar:q "
            f"(0 < q <= 1) or a list of {k} weights, but got {statistic!r}."
        )
    first, last = places
    return tuple(1 / (last - first) if first <= place < last else 0.0 for place in range(k))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
