"""Rollouts that exist already, as batches: to train or validate without an engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import lightning as L
from torch import device

from lit_passk.types import PromptBatch, RolloutBatch


class ReplayDataModule(L.LightningDataModule):
    """Yields filled batches: recorded rollouts, or rollouts written down by hand.

    ``PassKRLModule`` trains on them as if they had just been sampled; no ``RolloutCallback`` is needed, and one that is
    there leaves the batches alone.

    Args:
        train: The rollouts of each RL step, this rank's share of them.
        val: The rollouts of each validation batch, by task.

    Example:
        >>> from lit_passk.rollout.collate import collate_rollouts
        >>> data = ReplayDataModule(train=[collate_rollouts([])])
        >>> [batch.filled for batch in data.train_dataloader()]
        [True]

    """

    def __init__(
        self, train: Sequence[RolloutBatch] = (), val: Mapping[str, Sequence[RolloutBatch]] | None = None
    ) -> None:
        super().__init__()
        self.train = train
        self.val = dict(val or {})

    def train_dataloader(self) -> ReplayLoader:
        """One batch per RL step."""
        return ReplayLoader(self.train, "train")

    def val_dataloader(self) -> list[ReplayLoader]:
        """One loader per validation task."""
        return [ReplayLoader(batches, name) for name, batches in self.val.items()]

    def transfer_batch_to_device(self, batch: PromptBatch, device: device, dataloader_idx: int) -> PromptBatch:
        """Leave the batch as it is: rollouts are on the CPU, and only micro-batches of them go to the device."""
        return batch


class ReplayLoader:
    """A sized loader of filled batches.

    Args:
        batches: The rollouts of each batch.
        name: Which task they are of.
    """

    def __init__(self, batches: Sequence[RolloutBatch], name: str) -> None:
        self.batches = batches
        self.name = name

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[PromptBatch]:
        return (filled_batch(rollouts, self.name) for rollouts in self.batches)


def filled_batch(rollouts: RolloutBatch, name: str = "train") -> PromptBatch:
    """Make the batch that these rollouts answer, with the rollouts in it."""
    return PromptBatch(
        problems=[group.problem for group in rollouts.groups],
        prompt_ids=[group.prompt_ids for group in rollouts.groups],
        indices=rollouts.indices.tolist(),
        positions=rollouts.positions.tolist(),
        name=name,
        rollouts=rollouts,
    )
