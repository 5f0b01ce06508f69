"""Micro-batches without padding: the prompt of a group is stored once, and its completions share it.

A micro-batch holds first the tokens of all its prompts, then those of all its completions. A completion's last token
predicts nothing, so it is not fed to the model at all.

Legend: S tokens fed to the model, T trained tokens, P prompts and N completions of a step, p prompts and n completions
of one micro-batch.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from lit_passk.policy.logprobs import predictors
from lit_passk.policy.packed_batch import PackedBatch, ragged_arange, starts

__all__ = ["PackedBatch", "TokenCosts", "pack"]


class TokenCosts(NamedTuple):
    """What a forward pass costs beside the matrix products of the blocks, in units of those of one token."""

    pair: float = 0.0
    """One token attends to one other."""
    head: float = 0.0
    """The logits of one trained token."""


BY_TOKENS = TokenCosts()


Piece = tuple[int, list[int]]
"""A prompt and the completions of it that are never separated."""


def pack(
    prompt_ids: Sequence[Tensor],
    completion_ids: Sequence[Tensor],
    group: Tensor,
    keep: Tensor | None,
    token_budget: int,
    *,
    costs: TokenCosts = BY_TOKENS,
    share_prompts: bool = True,
    num_batches: int = 1,
    world_size: int = 1,
    rank: int = 0,
) -> list[PackedBatch]:
    """Cut a step into as few micro-batches as can be of at most ``token_budget`` tokens, alike in cost, none padded.

    A group beyond the budget is cut into equal pieces, its prompt repeated. A single completion beyond the budget gets
    a micro-batch of its own. Several ranks that hold the same step get as many micro-batches each, the n-th of all
    alike in cost; for that groups beyond a quarter of a rank's share are cut as well, as long as their prompt is the
    smaller part.

    Args:
        prompt_ids: P tensors of token ids, none empty.
        completion_ids: N tensors of token ids, none empty.
        group: Which prompt a completion answers, shape ``(N,)``, int64, ascending.
        keep: Completions to train on, shape ``(N,)``, bool; None keeps all.
        token_budget: Most tokens a micro-batch feeds to the model, prompts counted.
        costs: By what to balance; by default the number of tokens.
        share_prompts: False counts tokens as ``PackedBatch.padded`` feeds them, for models that cannot be packed.
        num_batches: Micro-batches wanted at least, so that ranks with steps of their own agree on one number.
            Missing ones are empty: a dummy token and no trained token.
        world_size: Ranks that hold this step.
        rank: Which of them asks.

    Returns:
        The micro-batches of this rank, dearest first, empty ones last.

    Raises:
        ValueError: If ``token_budget`` is not positive, ``group`` not ascending, a prompt or a completion empty.

    Example:
        >>> prompts, completions = [torch.tensor([5, 6, 7])], [torch.tensor([8, 9]), torch.tensor([4, 3, 2])]
        >>> (batch,) = pack(prompts, completions, torch.tensor([0, 0]), keep=None, token_budget=64)
        >>> batch.input_ids, batch.position_ids
        (tensor([5, 6, 7, 8, 4, 3]), tensor([0, 1, 2, 3, 3, 4]))
        >>> batch.target, batch.source
        (tensor([8, 9, 4, 3, 2]), tensor([2, 3, 2, 4, 5]))

    """
    if token_budget < 1:
        raise ValueError(f"pack needs token_budget >= 1, but got {token_budget}.")
    owner = group.tolist()
    if any(a > b for a, b in pairwise(owner)):
        raise ValueError("pack needs the completions of a group side by side: `group` must be ascending.")
    if any(ids.numel() == 0 for ids in (*prompt_ids, *completion_ids)):
        raise ValueError(
            "pack needs a token in every prompt and completion: nothing predicts an empty one's neighbour."
        )
    kept = range(len(owner)) if keep is None else keep.nonzero()[:, 0].tolist()
    step = _Step(prompt_ids, completion_ids, owner, costs)
    cut = step.groups if share_prompts else step.rows
    spread = cut(kept, token_budget, world_size * -(-num_batches // world_size), world_size)
    spread.sort(key=step.cost, reverse=True)
    return [step.build(content) for content in spread[rank::world_size]]


class _Step:
    """Lengths and costs of a step's prompts and completions, as Python integers."""

    def __init__(
        self,
        prompt_ids: Sequence[Tensor],
        completion_ids: Sequence[Tensor],
        owner: list[int],
        costs: TokenCosts,
    ) -> None:
        self.prompt_ids, self.completion_ids, self.owner, self.costs = prompt_ids, completion_ids, owner, costs
        self.prompt_lengths = [ids.numel() for ids in prompt_ids]
        self.lengths = [ids.numel() for ids in completion_ids]

    def groups(self, kept: Sequence[int], token_budget: int, wanted: int, world_size: int) -> list[list[Piece]]:
        """Groups, or parts of them, dealt out by cost to at least ``wanted`` micro-batches."""
        pieces = self.pieces(kept, token_budget, world_size)
        ordered = self.by_cost(pieces)
        fewest = min(len(pieces), -(-self.size(pieces) // token_budget))
        count = world_size * max(1, -(-fewest // world_size))
        while not self.fits(spread := self.spread(ordered, count), token_budget):
            count += world_size * max(1, count // (50 * world_size))  # by 2 %: a large step takes a second to deal out
        if wanted > count:
            wider = self.spread(ordered, wanted)
            spread = wider if self.fits(wider, token_budget) else spread + [[]] * (wanted - count)
        return spread

    def rows(self, kept: Sequence[int], token_budget: int, wanted: int, world_size: int) -> list[list[Piece]]:
        """Single completions, those of like length together, counted as padded rows with their own prompts."""
        batches: list[list[Piece]] = []
        longest = 0
        row_lengths = [(self.prompt_lengths[self.owner[i]] + self.lengths[i] - 1, i) for i in kept]
        for length, i in sorted(row_lengths, reverse=True):
            if not batches or (len(batches[-1]) + 1) * longest > token_budget:
                batches.append([])
                longest = length
            batches[-1].append((self.owner[i], [i]))
        batches = batches or [[]]
        while len(batches) < wanted or len(batches) % world_size:
            content = max(batches, key=len)
            batches.append([content.pop() for _ in range(len(content) // 2)])
        return batches

    def pieces(self, kept: Sequence[int], token_budget: int, world_size: int) -> list[Piece]:
        """The kept completions by prompt, large groups in equal parts."""
        groups: dict[int, list[int]] = {}
        for i in kept:
            groups.setdefault(self.owner[i], []).append(i)
        pieces: list[Piece] = []
        quarter = self.size(list(groups.items())) // (4 * world_size)
        for prompt, rows in groups.items():
            before = self.prompt_lengths[prompt]
            room = token_budget - before
            if world_size > 1:
                room = min(room, max(quarter - before, 3 * before))
            pieces += [(prompt, [i]) for i in rows if self.lengths[i] - 1 > room]
            rest = [i for i in rows if self.lengths[i] - 1 <= room]
            ordered = self.by_cost([(prompt, [i]) for i in rest])
            fewest = -(-sum(self.lengths[i] - 1 for i in rest) // max(1, room))
            for parts in range(max(1, fewest), len(rest) + 1):
                cut = [content for content in self.spread(ordered, parts) if content]
                merged = [(prompt, [i for _, (i,) in content]) for content in cut]
                if all(self.size([piece]) <= before + room for piece in merged):
                    pieces += merged
                    break
        return pieces

    def fits(self, spread: Sequence[Sequence[Piece]], token_budget: int) -> bool:
        """Whether every micro-batch keeps to the budget, or is a single piece, which can get no smaller."""
        return all(len(content) <= 1 or self.size(content) <= token_budget for content in spread)

    def size(self, content: Sequence[Piece]) -> int:
        """Tokens a micro-batch of these pieces feeds to the model, at most."""
        return sum(self.prompt_lengths[p] + sum(self.lengths[i] - 1 for i in rows) for p, rows in content)

    def cost(self, content: Sequence[Piece]) -> float:
        """Cost of the forward pass in tokens, attention and logits included."""
        total, (pair, head) = 0.0, self.costs
        for p, rows in content:
            prompt = self.prompt_lengths[p]
            total += prompt * (1 + pair * prompt / 2)
            fed = [self.lengths[i] - 1 for i in rows]
            total += sum(n * (1 + pair * (prompt + n / 2)) + (n + 1) * head for n in fed)
        return total

    def by_cost(self, pieces: Sequence[Piece]) -> list[tuple[float, Piece]]:
        """The pieces with their costs, dearest first."""
        return sorted(((self.cost([piece]), piece) for piece in pieces), key=lambda pair: -pair[0])

    def spread(self, ordered: Sequence[tuple[float, Piece]], count: int) -> list[list[Piece]]:
        """Dearest piece first, each onto the cheapest of ``count`` micro-batches so far."""
        spread: list[list[Piece]] = [[] for _ in range(count)]
        heap = [(0.0, number) for number in range(count)]
        for cost, piece in ordered:
            load, number = heap[0]
            spread[number].append(piece)
            heapq.heapreplace(heap, (load + cost, number))
        return spread

    def build(self, content: Sequence[Piece]) -> PackedBatch:
        """Lay out one micro-batch."""
        rows = sorted(i for _, piece in content for i in piece)
        prompts = sorted({p for p, _ in content})
        number = {p: at for at, p in enumerate(prompts)}
        prompt_lengths, fed = [self.prompt_lengths[p] for p in prompts], [self.lengths[i] - 1 for i in rows]
        row, before = torch.tensor(rows, dtype=torch.int64), torch.tensor(prompt_lengths, dtype=torch.int64)
        fed_lengths = torch.tensor(fed, dtype=torch.int64)
        prompt_of = torch.tensor([number[self.owner[i]] for i in rows], dtype=torch.int64)
        trained = ragged_arange(fed_lengths + 1)
        target = torch.cat([torch.zeros(0, dtype=torch.int64), *(self.completion_ids[i] for i in rows)])
        is_fed = trained < torch.repeat_interleave(fed_lengths, fed_lengths + 1)
        positions = trained + torch.repeat_interleave(before[prompt_of], fed_lengths + 1)
        dummy = torch.zeros(0 if rows else 1, dtype=torch.int64)
        last = starts(before) + before - 1
        return PackedBatch(
            input_ids=torch.cat([*(self.prompt_ids[p] for p in prompts), target[is_fed], dummy]),
            position_ids=torch.cat([ragged_arange(before), positions[is_fed], dummy]),
            source=predictors(last[prompt_of], before.sum() + starts(fed_lengths), fed_lengths + 1),
            target=target,
            completion=torch.repeat_interleave(row, fed_lengths + 1),
            completions=tuple(rows),
            prompt_lengths=tuple(prompt_lengths) if rows else (1,),
            fed_lengths=tuple(fed),
            prompt_of=tuple(prompt_of.tolist()),
        )
