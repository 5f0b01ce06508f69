"""The updates of one RL step: which micro-batches each has, and what is asked of the policy before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lit_passk.distributed import rank, world_size
from lit_passk.modules.objective import Objective
from lit_passk.modules.policies import pack_step, step_logprobs
from lit_passk.modules.selection import select_tokens
from lit_passk.modules.training_batch import TrainingBatch
from lit_passk.policy.model import CausalPolicy
from lit_passk.policy.packing import PackedBatch


class Part(NamedTuple):
    """A micro-batch of T trained tokens, and what its loss is told besides: the last arguments of ``Objective``."""

    micro: PackedBatch
    old_logprobs: Tensor | None
    """The policy's before the step's first update, shape ``(T,)``; None are those of now."""
    selected: Tensor | None
    """Tokens that the policy loss has singled out, shape ``(T,)``, bool; None where it does not."""

    def to(self, device: torch.device) -> Part:
        """The same on a device."""
        selected = None if self.selected is None else self.selected.to(device)
        return Part(self.micro.to(device), self.old_logprobs, selected)


@dataclass(frozen=True, kw_only=True, slots=True)
class Updates:
    """The updates of one RL step in order, each as this rank's parts; every rank must iterate.

    The policy is asked when an update is due, so that it is the one that the updates before have made.

    Args:
        policy: The policy.
        objective: What is minimised.
        training: The step's completions.
        num_minibatches: Updates of one pass over them.
        num_epochs: Passes.
        token_budget: Most tokens of a micro-batch.
        first: Number of the step's first update in the run.
        device: Where the policy is.
    """

    policy: CausalPolicy
    objective: Objective
    training: TrainingBatch
    num_minibatches: int
    num_epochs: int
    token_budget: int
    first: int
    device: torch.device

    def __iter__(self) -> Iterator[list[Part]]:
        minibatches = [self._micro_batches(number) for number in range(self.num_minibatches)]
        several = self.num_minibatches * self.num_epochs > 1  # the ratio of a single update is 1 anyway
        old = [self._logprobs(micro_batches) if several else None for micro_batches in minibatches]
        for number, (micro_batches, before) in enumerate(list(zip(minibatches, old, strict=True)) * self.num_epochs):
            selected = self._select(micro_batches, before, number)
            none = [None] * len(micro_batches)
            yield [Part(*part) for part in zip(micro_batches, before or none, selected or none, strict=True)]

    def _micro_batches(self, number: int) -> list[PackedBatch]:
        """Those of one mini-batch: as many on every rank, the n-th costs about the same on all."""
        keep = self.training.minibatch == number  # (N,)
        return pack_step(self.policy, self.training, keep, self.token_budget, world_size=world_size(), rank=rank())

    def _logprobs(self, micro_batches: list[PackedBatch]) -> list[Tensor]:
        """The policy's log-probs of now, ``(T,)`` each."""
        return step_logprobs(self.policy, micro_batches, self.training.temperature, self.device)

    def _select(self, micro_batches: list[PackedBatch], old: list[Tensor] | None, number: int) -> list[Tensor] | None:
        """Let a policy loss that wants to see the whole of an update single out its tokens, ``(T,)`` each."""
        if not self.objective.selects:
            return None
        now = old if old is not None and number == 0 else self._logprobs(micro_batches)
        before = now if old is None else old
        return select_tokens(self.objective.loss, self.training, micro_batches, now, before, self.first + number)
