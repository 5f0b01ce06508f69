"""Micro-batches without padding: the prompt of a group is stored once, and its completions share it.

A micro-batch holds first the tokens of all its prompts, then those of all its completions. What comes after the
prediction of a completion's last trained token has no effect on the loss, so neither that token nor any after it is fed
to the model.

Legend: S tokens fed, T trained tokens, C tokens of completions up to the last trained one of each; P prompts
and N completions of a step, p prompts and n completions of one micro-batch.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from lit_passk.policy.packed_batch import PackedBatch, lay_out, ragged_arange, run_sums

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
    prompt_index: Tensor,
    keep: Tensor | None,
    token_budget: int,
    *,
    trained: Sequence[Tensor] | None = None,
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
        prompt_index: Which prompt a completion answers, shape ``(N,)``, int64, ascending.
        keep: Completions to train on, shape ``(N,)``, bool; None keeps all.
        token_budget: Most tokens a micro-batch feeds to the model, prompts counted.
        trained: Which tokens of each completion are trained, N tensors shaped like ``completion_ids``, bool; None
            trains all. The others are context. A completion without a trained token is left out.
        costs: By what to balance; by default the number of tokens.
        share_prompts: False counts tokens as ``PackedBatch.padded`` feeds them, for models that cannot be packed.
        num_batches: Micro-batches wanted at least, so that ranks with steps of their own agree on one number.
            Missing ones are empty: a dummy token and no trained token.
        world_size: Ranks that hold this step.
        rank: Which of them asks.

    Returns:
        The micro-batches of this rank, most expensive first, empty ones last.

    Raises:
        ValueError: If ``token_budget`` is not positive, ``prompt_index`` not ascending, a prompt or a completion empty,
            ``trained`` not of the completions' shapes and bool.

    Example:
        >>> prompts, completions = [torch.tensor([5, 6, 7])], [torch.tensor([8, 9]), torch.tensor([4, 3, 2])]
        >>> (batch,) = pack(prompts, completions, torch.tensor([0, 0]), keep=None, token_budget=64)
        >>> batch.input_ids, batch.position_ids
        (tensor([5, 6, 7, 8, 4, 3]), tensor([0, 1, 2, 3, 3, 4]))
        >>> batch.labels, batch.predictor_index
        (tensor([8, 9, 4, 3, 2]), tensor([2, 3, 2, 4, 5]))
        >>> trained = [torch.tensor([True, False]), torch.tensor([False, True, True])]
        >>> (batch,) = pack(prompts, completions, torch.tensor([0, 0]), None, 64, trained=trained)
        >>> batch.input_ids, batch.labels, batch.predictor_index
        (tensor([5, 6, 7, 4, 3]), tensor([8, 3, 2]), tensor([2, 3, 4]))

    """
    if token_budget < 1:
        raise ValueError(f"pack needs token_budget >= 1, but got {token_budget}.")
    owner = prompt_index.tolist()
    if any(a > b for a, b in pairwise(owner)):
        raise ValueError("pack needs the completions of a prompt side by side: `prompt_index` must be ascending.")
    if any(ids.numel() == 0 for ids in (*prompt_ids, *completion_ids)):
        raise ValueError(
            "pack needs a token in every prompt and completion: nothing predicts an empty one's neighbour."
        )
    step = _Step(prompt_ids, completion_ids, owner, _masks(trained, completion_ids), costs)
    kept = range(len(owner)) if keep is None else keep.nonzero()[:, 0].tolist()
    kept = [i for i in kept if step.num_trained[i]]
    cut = step.groups if share_prompts else step.rows
    spread = cut(kept, token_budget, world_size * -(-num_batches // world_size), world_size)
    spread.sort(key=step.cost, reverse=True)
    return [step.build(content) for content in spread[rank::world_size]]


def _masks(trained: Sequence[Tensor] | None, completion_ids: Sequence[Tensor]) -> Sequence[Tensor]:
    """Which tokens of each completion are trained, N tensors, bool.

    Raises:
        ValueError: If they do not fit the completions.
    """
    if trained is None:
        lengths = [len(ids) for ids in completion_ids]
        return torch.ones(sum(lengths), dtype=torch.bool).split(lengths) if lengths else ()
    if len(trained) != len(completion_ids):
        raise ValueError(f"pack needs one `trained` for each of {len(completion_ids)} completions, got {len(trained)}.")
    for i, (mask, ids) in enumerate(zip(trained, completion_ids, strict=True)):
        if mask.shape != ids.shape or mask.dtype != torch.bool:
            raise ValueError(
                f"pack needs a bool of shape {tuple(ids.shape)} as `trained[{i}]`, one for each token, but "
                f"got {mask.dtype} of shape {tuple(mask.shape)}."
            )
    return trained


class _Step:
    """Lengths and costs of a step's prompts and completions, as Python integers."""

    def __init__(
        self,
        prompt_ids: Sequence[Tensor],
        completion_ids: Sequence[Tensor],
        owner: list[int],
        trained: Sequence[Tensor],
        costs: TokenCosts,
    ) -> None:
        self.prompt_ids, self.completion_ids, self.owner, self.costs = prompt_ids, completion_ids, owner, costs
        self.trained = trained
        self.prompt_lengths = [ids.numel() for ids in prompt_ids]
        sizes = torch.tensor([ids.numel() for ids in completion_ids], dtype=torch.int64)  # (N,)
        flat = torch.cat([torch.zeros(0, dtype=torch.bool), *trained])  # (all tokens of completions,)
        self.num_trained = run_sums(flat.long(), sizes).tolist()  # (N,)
        owners = torch.repeat_interleave(sizes)  # (all tokens,) which completion each belongs to
        column = (ragged_arange(sizes) + 1) * flat  # (all tokens,) from 1, and 0 where not trained
        self.lengths = torch.zeros_like(sizes).scatter_reduce(0, owners, column, "amax").tolist()  # (N,)
        """Tokens up to the last trained one, itself included: all but this one are fed to the model."""

    def groups(self, kept: Sequence[int], token_budget: int, wanted: int, world_size: int) -> list[list[Piece]]:
        """Groups, or parts of them, dealt out by cost to at least ``wanted`` micro-batches."""
        pieces = self.pieces(kept, token_budget, world_size)
        ordered = self.by_cost(pieces)
        # A piece beyond the budget is alone, whatever its size: it counts as one full micro-batch.
        fewest = -(-sum(min(self.size([piece]), token_budget) for piece in pieces) // token_budget)
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
            total += sum(n * (1 + pair * (prompt + n / 2)) for n in fed) + head * sum(self.num_trained[i] for i in rows)
        return total

    def by_cost(self, pieces: Sequence[Piece]) -> list[tuple[float, Piece]]:
        """The pieces with their costs, most expensive first."""
        return sorted(((self.cost([piece]), piece) for piece in pieces), key=lambda pair: -pair[0])

    def spread(self, ordered: Sequence[tuple[float, Piece]], count: int) -> list[list[Piece]]:
        """Most expensive piece first, each onto the cheapest of ``count`` micro-batches so far."""
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
        return lay_out(
            [self.prompt_ids[p] for p in prompts],
            [self.completion_ids[i][: self.lengths[i]] for i in rows],
            [self.trained[i][: self.lengths[i]] for i in rows],
            [number[self.owner[i]] for i in rows],
            rows,
        )
