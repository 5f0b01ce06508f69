"""Logits of the next token, for rows that grow by a token at a time: with a cache, or by computing whole rows again.

Only keys and values of attention can be repeated for the completions of a group and picked when some have ended. A
model that carries anything else from token to token (a recurrent or convolutional state) is computed afresh at every
token: slow, and right whatever the model does inside.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from functools import cache as once
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

log = logging.getLogger(__name__)


class Rows(Protocol):
    """Sequences under way; ``logits`` are those of their next tokens, ``(rows, V)``."""

    logits: Tensor

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone, by their present number, ``(kept,)``."""

    def append(self, tokens: Tensor) -> None:
        """Add one token to every row, ``(rows,)``, and compute ``logits`` again."""


def begin(model: PreTrainedModel, prompts: Sequence[Sequence[int]], repeats: int) -> Rows:
    """Compute prompts, each of them ``repeats`` times: row ``p * repeats + i`` is sample i of prompt p."""
    if keeps_only_keys_and_values(model):
        rows = CachedRows(model, prompts, repeats)
        if rows.cached:
            return rows
    _warn_of_recomputing(type(model).__name__)
    return RecomputedRows(model, prompts, repeats)


def keeps_only_keys_and_values(model: PreTrainedModel) -> bool:
    """Whether attention's keys and values are all that the model carries from one token to the next."""
    takes_cache: bool = type(model)._supports_default_dynamic_cache()  # type: ignore[attr-defined]
    if model._is_stateful or not takes_cache:
        return False
    layers = DynamicCache(config=model.config).layers
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)


class CachedRows:
    """Rows with a key-value cache: a prompt is computed once, then one token of every row at a time."""

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]], repeats: int) -> None:
        self.logits: Tensor
        self._model = model
        input_ids, mask = _pad_left(prompts, model.device)
        self._padded = not bool(mask.all())  # without padding no mask is needed at all, which is much faster
        positions = (mask.cumsum(1) - 1).clamp(min=0)  # (P, T)
        self._cache = DynamicCache(config=model.config)
        self._mask = mask
        self._forward(input_ids, positions)
        lengths = {layer.get_seq_length() for layer in self._cache.layers}  # type: ignore[union-attr] # all attention's
        self.cached = lengths == {input_ids.shape[1]}
        """False for a model that did not use the cache it was given, or not in every layer."""
        if self.cached:
            self._cache.batch_repeat_interleave(repeats)
        self.logits = self.logits.repeat_interleave(repeats, 0)  # (P * repeats, V)
        self._mask = mask.repeat_interleave(repeats, 0)
        self._position = positions[:, -1:].repeat_interleave(repeats, 0)  # (P * repeats, 1)

    def keep(self, rows: Tensor) -> None:
        """See ``Rows``."""
        self._cache.batch_select_indices(rows)
        self._position, self._mask = self._position[rows], self._mask[rows]

    def append(self, tokens: Tensor) -> None:
        """See ``Rows``."""
        self._position = self._position + 1
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], 1)
        self._forward(tokens[:, None], self._position)

    def _forward(self, input_ids: Tensor, positions: Tensor) -> None:
        inputs = {
            "attention_mask": self._mask if self._padded else None,
            "position_ids": positions,
            "past_key_values": self._cache,
            "use_cache": True,
            "logits_to_keep": 1,
        }
        self.logits = self._model(input_ids, **_accepted(self._model, inputs)).logits[:, -1]


class RecomputedRows:
    """Rows computed from their first token each time. Padded on the right, where a causal model cannot see it."""

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]], repeats: int) -> None:
        self.logits: Tensor
        self._model = model
        rows = [torch.tensor(prompt) for prompt in prompts for _ in range(repeats)]
        self._lengths = torch.tensor([len(row) for row in rows], device=model.device)
        self._ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(model.device)  # (rows, T)
        self._forward()

    def keep(self, rows: Tensor) -> None:
        """See ``Rows``."""
        self._ids, self._lengths = self._ids[rows], self._lengths[rows]

    def append(self, tokens: Tensor) -> None:
        """See ``Rows``."""
        self._ids = torch.cat([self._ids, torch.zeros_like(self._ids[:, :1])], 1)
        self._ids[torch.arange(len(tokens), device=tokens.device), self._lengths] = tokens
        self._lengths = self._lengths + 1
        self._ids = self._ids[:, : int(self._lengths.max())]
        self._forward()

    def _forward(self) -> None:
        last, column = (self._lengths - 1).unique(return_inverse=True)
        kept = _accepted(self._model, {"logits_to_keep": last})
        logits = self._model(self._ids, use_cache=False, **kept).logits  # (rows, kept or T, V)
        rows = torch.arange(len(column), device=column.device)
        self.logits = logits[rows, column if kept else self._lengths - 1]  # (rows, V)


def _accepted(model: PreTrainedModel, inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs that this model's forward names."""
    return {name: value for name, value in inputs.items() if name in inspect.signature(model.forward).parameters}


def _pad_left(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    longest = max(len(p) for p in prompts)
    ids = torch.zeros(len(prompts), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


@once
def _warn_of_recomputing(name: str) -> None:
    log.warning(
        "%s carries a state from token to token that TransformersEngine cannot keep for a group of completions, so it "
        "computes every completion from its first token for each new one. VLLMEngine is faster by orders of magnitude.",
        name,
    )
