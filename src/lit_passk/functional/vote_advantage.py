"""What a completion does for the majority vote of k, exactly."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_MOST_NUMBERS = 1 << 21  # in the states of the prompts that are counted at once


def vote_advantage(answers: Tensor, correct: Tensor, k: int) -> Tensor:
    """Mean vote over the groups of k with a completion, minus that over the groups of k without it.

    A completion's advantage is ``G / k`` times what the mean vote of all groups is above that of the G - 1 others. The
    votes of all prompts are counted together, answer by answer: for each number of votes that the winner may have, the
    answers are multiplied into the chances of the groups in which none has more. An answer without one of its
    completions is such a product too, of the answers before it, the answers behind it and itself with one fewer.

    Args:
        answers: Equal numbers for equal answers, -1 for none, shape ``(P, G)``, int64.
        correct: Shape ``(P, G)``, bool.
        k: Completions that vote, at most G - 1.

    Returns:
        Shape ``(P, G)``, float64. For D different answers ``O(D k^3 log k)`` per prompt.

    Example:
        >>> answers, correct = torch.tensor([[7, 7, 5, 4]]), torch.tensor([[True, True, False, False]])
        >>> vote_advantage(answers, correct, k=3).round(decimals=4)
        tensor([[ 0.4444,  0.4444, -0.4444, -0.4444]], dtype=torch.float64)

    """
    if answers.numel() == 0:
        return torch.zeros(answers.shape, dtype=torch.float64)
    tally, lots = _tally(answers, correct), _lots(k)
    size = max(1, _MOST_NUMBERS // (2 * tally.counts.shape[1] * len(lots.y) * (k + 1)))
    parts = [_of_answers(part, answers.shape[1], k, lots) for part in zip(*(t.split(size) for t in tally), strict=True)]
    by_answer = torch.cat(parts)  # (P, D + 1)
    advantages = by_answer.gather(1, tally.answer_of)
    return advantages.where(advantages.abs() > 1e-10, 0.0)  # what is left of two equal votes


class _Tally(NamedTuple):
    """How P prompts voted. Answers are in descending order of their votes."""

    counts: Tensor
    """Completions that gave each of D answers, ``(P, D)``, int64; 0 where a prompt has fewer answers."""
    credit: Tensor
    """Share of them that is correct, ``(P, D)``, float64."""
    num_silent: Tensor
    """Completions without an answer, ``(P,)``, int64."""
    answer_of: Tensor
    """Which answer each completion gave, D for none, ``(P, G)``, int64."""


class _Lots(NamedTuple):
    """The lot among j answers that tie, 1 / j, is the mean of y^(j - 1) over y in (0, 1): exactly that of few y."""

    first: list[int]
    """Rows are the values of y for a winner of 1 vote, of 2, ..., of k votes: where those of 0 to k + 1 begin."""
    y: Tensor
    """``(R,)``, float64."""
    weight: Tensor
    """``(R,)``, float64; those of a number of votes add up to 1."""


def _lots(k: int) -> _Lots:
    nodes, weights = [], []
    for votes in range(1, k + 1):  # at most k / votes answers tie, and n nodes integrate degrees below 2 n
        y, weight = np.polynomial.legendre.leggauss(-(-(k // votes) // 2))
        nodes.append((1 + y) / 2)
        weights.append(weight / 2)
    first = [0, *itertools.accumulate((len(y) for y in nodes), initial=0)]
    return _Lots(first, *(torch.from_numpy(np.concatenate(part)) for part in (nodes, weights)))


def _tally(answers: Tensor, correct: Tensor) -> _Tally:
    ranked, order = answers.sort(dim=1)
    numbers = torch.zeros_like(ranked)
    numbers[:, 1:] = (ranked.diff(dim=1) != 0).cumsum(dim=1)  # (P, G)
    answer_of = torch.empty_like(numbers).scatter_(1, order, numbers)
    silent = answers == -1
    zeros = torch.zeros(len(answers), int(numbers.max()) + 1, dtype=torch.int64)  # (P, D)
    counts, descending = zeros.scatter_add(1, answer_of, (~silent).long()).sort(dim=1, descending=True)
    right = zeros.scatter_add(1, answer_of, (correct & ~silent).long()).gather(1, descending)
    places = torch.empty_like(descending).scatter_(1, descending, torch.arange(zeros.shape[1]).expand_as(descending))
    answer_of = places.gather(1, answer_of).where(~silent, zeros.shape[1])
    return _Tally(counts, right.double() / counts.clamp(min=1), silent.sum(dim=1), answer_of)


def _of_answers(part: tuple[Tensor, ...], group_size: int, k: int, lots: _Lots) -> Tensor:
    """The advantage of a completion with each answer and, in the last column, of one without, ``(P, D + 1)``."""
    counts, credit, num_silent, _ = part
    # Numbers of ways, C(count, v), would overflow. Binomial chances, for any share, are such numbers up to one factor
    # that depends on the size of the group alone; this share keeps them from underflowing too.
    share = k / (group_size + 1)
    votes, fewer = (_binomial((counts.T - less).clamp(min=0), share, k) for less in (0, 1))  # (D, k + 1, P)
    silent, fewer_silent = (_binomial((num_silent - less).clamp(min=0), share, k) for less in (0, 1))  # (k + 1, P)
    of_all, of_others = (float(_binomial(torch.tensor([group_size - less]), share, k)[k]) for less in (0, 1))
    num_answers = int((counts.amax(dim=0) > 0).sum())
    before = [_start(silent, lots)]
    for a in range(num_answers):
        before.append(_times(before[a], votes[a], credit[:, a], lots))
    mean = lots.weight @ before[-1][1, :, k] / of_all  # (P,)
    behind = _start(torch.eye(k + 1, dtype=torch.float64)[:, :1].expand_as(silent), lots)
    without = torch.zeros(len(counts), counts.shape[1] + 1, dtype=torch.float64)
    for a in reversed(range(num_answers)):
        rest = _times(behind, fewer[a], credit[:, a], lots)
        without[:, a] = _last_of_product(before[a], rest, lots)
        behind = _times(behind, votes[a], credit[:, a], lots)
    without[:, -1] = _last_of_product(_start(fewer_silent, lots), behind, lots)
    return (mean[:, None] - without / of_others) * (group_size / k)


def _start(chances: Tensor, lots: _Lots) -> Tensor:
    """State without an answer, ``(2, R, k + 1, P)``, of the chances ``(k + 1, P)`` that so many have none.

    ``state[0, r, s, p]``: chance of s completions in which no answer has more than the winner's votes, each that has as
    many counted y times; ``state[1]``: the same with one of these as the winner, counted by its credit. Prompts lie
    side by side, so that every operation below goes through memory in one piece.
    """
    state = chances.new_zeros(2, len(lots.y), *chances.shape)
    state[0] = chances
    return state


def _times(state: Tensor, votes: Tensor, credit: Tensor, lots: _Lots) -> Tensor:
    """Add an answer that has v votes with chance ``votes[v]``, ``(k + 1, P)``, and credit ``(P,)`` to a state."""
    product = torch.zeros_like(state)
    most = int((votes > 0).any(dim=1).nonzero().max())
    for v in range(most + 1):
        same, more = lots.first[v : v + 2]  # rows of winners with as many votes begin, and of those with more
        known = state[:, :, : state.shape[2] - v]
        product[:, more:, v:].addcmul_(votes[v], known[:, more:])
        tied = votes[v] * known[:, same:more]
        product[:, same:more, v:].addcmul_(lots.y[same:more, None, None], tied)
        product[1, same:more, v:].addcmul_(credit, tied[0])
    return product


def _last_of_product(left: Tensor, right: Tensor, lots: _Lots) -> Tensor:
    """Joint chance of k completions and of a correct winner where two states come together, ``(P,)``."""
    right = right.flip(2)
    return lots.weight @ (left[0] * right[1]).addcmul_(left[1], right[0]).sum(dim=1)


def _binomial(count: Tensor, share: float, k: int) -> Tensor:
    """Chances of 0 to k successes in ``count`` trials, shape ``(..., P)`` to ``(..., k + 1, P)``."""
    count = count[..., None, :]
    j = torch.arange(1, k + 1, dtype=torch.float64)[:, None]
    ratio = (count - j + 1).clamp(min=0) / j * (share / (1 - share))
    first = (1 - share) ** count.double()
    return torch.cat([first, ratio], dim=-2).cumprod(dim=-2)
