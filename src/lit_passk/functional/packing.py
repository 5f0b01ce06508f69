"""Micro-batches without padding: the prompt of a group is stored once, its completions follow it.

A completion's last token predicts nothing, so it is not fed to the model at all. Legend: S tokens fed to the model, T
trained tokens, P prompts, N completions.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedBatch:
    """One micro-batch: flat tokens, and which hidden state predicts which trained token.

    A token sees another of its group when that one belongs to the prompt or to its own completion and does not lie
    after it.
    """

    input_ids: Tensor
    """Tokens fed to the model, shape ``(S,)``, int64."""
    position_ids: Tensor
    """Position of each token in its own prompt-plus-completion sequence, shape ``(S,)``, int64."""
    prompt: Tensor
    """Which prompt of this micro-batch a token belongs to, shape ``(S,)``, int64."""
    branch: Tensor
    """Which completion a token belongs to, -1 for prompt tokens, shape ``(S,)``, int64."""
    source: Tensor
    """Index of the token whose hidden state predicts the trained token, shape ``(T,)``, int64."""
    target: Tensor
    """Id of the trained token, shape ``(T,)``, int64."""
    completion: Tensor
    """Which of the N completions the trained token belongs to, ascending, shape ``(T,)``, int64."""
    completions: tuple[int, ...]
    """The completions of this micro-batch, ascending."""

    def to(self, device: torch.device | str) -> PackedBatch:
        """Copy the tensors to ``device``."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return PackedBatch(**{k: v.to(device) if isinstance(v, Tensor) else v for k, v in values.items()})

    def gather(self, per_completion: Sequence[Tensor]) -> Tensor:
        """Line up per-token data with the trained tokens.

        Args:
            per_completion: N tensors, one value for each token of a completion.

        Returns:
            The values of this micro-batch's trained tokens, shape ``(T,)``, on the micro-batch's device.
        """
        if not self.completions:
            return torch.zeros(0, dtype=per_completion[0].dtype if len(per_completion) else None).to(self.target.device)
        return torch.cat([per_completion[i] for i in self.completions]).to(self.target.device)


def pack(
    prompt_ids: Sequence[Tensor],
    completion_ids: Sequence[Tensor],
    group: Tensor,
    keep: Tensor | None,
    token_budget: int,
    num_batches: int | None = None,
) -> list[PackedBatch]:
    """Cut a step into micro-batches of at most ``token_budget`` tokens, none padded, equal in cost.

    A group larger than the budget is cut, its prompt repeated. A single completion larger than the budget gets a
    micro-batch of its own.

    Args:
        prompt_ids: P tensors of token ids.
        completion_ids: N tensors of token ids, none empty.
        group: Which prompt a completion answers, shape ``(N,)``, int64.
        keep: Completions to train on, shape ``(N,)``, bool; None keeps all.
        token_budget: Most tokens a micro-batch feeds to the model, prompts counted.
        num_batches: Fewest micro-batches wanted, so that every rank has the same number: missing ones are empty (a
            dummy token and no trained token).

    Returns:
        The micro-batches, empty ones last.

    Raises:
        ValueError: If ``token_budget`` is not positive.
    """
    if token_budget < 1:
        raise ValueError(f"pack needs token_budget >= 1, but got {token_budget}.")
    kept = range(len(completion_ids)) if keep is None else keep.nonzero()[:, 0].tolist()
    owner = group.tolist()
    members: dict[int, list[int]] = {}
    for i in kept:
        members.setdefault(owner[i], []).append(i)
    units = []  # (cost, prompt, completions): what is never cut further
    for p, rows in members.items():
        rows = sorted(rows, key=lambda i: -len(completion_ids[i]))
        size, unit = len(prompt_ids[p]), []
        for i in rows:
            length = len(completion_ids[i]) - 1
            if unit and size + length > token_budget:
                units.append((size, p, unit))
                size, unit = len(prompt_ids[p]), []
            unit.append(i)
            size += length
        units.append((size, p, unit))
    units.sort(key=lambda u: (-u[0], u[1]))
    count = max(num_batches or 0, -(-sum(u[0] for u in units) // token_budget))
    while True:
        bins = _spread(units, count)
        if all(size <= token_budget or len(content) <= 1 for size, content in bins):
            break
        count += 1
    batches = [_build(prompt_ids, completion_ids, content) for _, content in bins if content]
    return batches + [_build(prompt_ids, completion_ids, []) for _ in range((num_batches or 0) - len(batches))]


def _spread(units: list[tuple[int, int, list[int]]], count: int) -> list[tuple[int, list]]:
    """Longest first onto the emptiest of ``count`` micro-batches."""
    heap: list[tuple[int, int]] = [(0, b) for b in range(count)]
    content: list[list] = [[] for _ in range(count)]
    total = [0] * count
    for size, p, rows in units:
        load, b = heapq.heappop(heap)
        content[b].append((p, rows))
        total[b] = load + size
        heapq.heappush(heap, (total[b], b))
    return list(zip(total, content, strict=True))


def _build(
    prompt_ids: Sequence[Tensor], completion_ids: Sequence[Tensor], content: list[tuple[int, list[int]]]
) -> PackedBatch:
    """Lay out one micro-batch: each prompt followed by its completions without their last tokens."""
    ids, positions, prompt, branch, sources = [], [], [], [], {}
    size = 0
    for number, (p, rows) in enumerate(content):
        tokens = prompt_ids[p]
        first = size + len(tokens) - 1
        ids.append(tokens)
        positions.append(torch.arange(len(tokens)))
        prompt.append(torch.full((len(tokens),), number))
        branch.append(torch.full((len(tokens),), -1))
        size += len(tokens)
        for i in rows:
            length = len(completion_ids[i]) - 1
            ids.append(completion_ids[i][:-1])
            positions.append(torch.arange(len(tokens), len(tokens) + length))
            prompt.append(torch.full((length,), number))
            branch.append(torch.full((length,), i))
            sources[i] = torch.cat([torch.tensor([first]), torch.arange(size, size + length)])
            size += length
    if not content:
        ids, positions, prompt = [torch.zeros(1, dtype=torch.int64)] * 3, [torch.zeros(1, dtype=torch.int64)], []
        ids, prompt, branch = ids[:1], positions, [torch.full((1,), -1)]
    order = sorted(sources)
    empty = torch.zeros(0, dtype=torch.int64)
    return PackedBatch(
        input_ids=torch.cat(ids),
        position_ids=torch.cat(positions),
        prompt=torch.cat(prompt),
        branch=torch.cat(branch),
        source=torch.cat([empty, *(sources[i] for i in order)]),
        target=torch.cat([empty, *(completion_ids[i] for i in order)]),
        completion=torch.cat([empty, *(torch.full((len(completion_ids[i]),), i) for i in order)]),
        completions=tuple(order),
    )
