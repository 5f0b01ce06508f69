"""Which prompts a step has: the order of the epochs, each rank's share, and further prompts out of order."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence

from lit_passk.tasks.base import Task
from lit_passk.types import PromptBatch


class PromptLoader:
    """Iterates over the batches of one task; its order depends on the seed and the epoch alone.

    Every rank walks the same global order and takes its own slice of every batch, so the world size changes neither the
    order nor the number of batches. A slice may be empty.

    Args:
        task: Where the problems are.
        name: ``train`` or the validation name, stamped on every batch.
        prompts: ``(index in the task, token ids)`` of every prompt that is used.
        prompts_per_step: Prompts of one batch over all ranks.
        rank: This data-parallel rank.
        world_size: Number of data-parallel ranks.
        seed: Orders the prompts of an epoch; None keeps their order.
    """

    def __init__(
        self,
        task: Task,
        name: str,
        prompts: Sequence[tuple[int, list[int]]],
        prompts_per_step: int,
        rank: int = 0,
        world_size: int = 1,
        seed: int | None = None,
    ) -> None:
        self.task = task
        self.name = name
        self.prompts = prompts
        self.prompts_per_step = prompts_per_step
        self.rank = rank
        self.world_size = world_size
        self.seed = seed
        self.epoch = 0
        self.position = 0
        self._resumed = False
        self._order: tuple[int, list[int]] | None = None  # of one epoch

    def __len__(self) -> int:
        return -(-len(self.prompts) // self.prompts_per_step)

    def __iter__(self) -> Iterator[PromptBatch]:
        """Begin the next epoch, or go on from a state that was just loaded; without a seed always from the start."""
        if self.seed is None and not self._resumed:
            self.position = 0  # a validation that was cut short is followed by a whole one
        self._resumed = False
        self.epoch, self.position = self._next()
        while self.position < len(self):
            batch = self.peek()
            self.position += 1  # before the yield: a checkpoint written while this batch trains resumes with the next
            yield batch

    def peek(self) -> PromptBatch:
        """The batch that comes next, in the next epoch perhaps; the iteration stays as it is."""
        epoch, position = self._next()
        if self._order is None or self._order[0] != epoch:
            order = list(range(len(self.prompts)))
            if self.seed is not None:
                random.Random(f"order-{self.seed}-{epoch}").shuffle(order)
            self._order = epoch, order
        begin = position * self.prompts_per_step
        return self.shard(self._order[1][begin : begin + self.prompts_per_step])

    def _next(self) -> tuple[int, int]:
        """Epoch and position of the next batch."""
        return (self.epoch, self.position) if self.position < len(self) else (self.epoch + 1, 0)

    def shard(self, chosen: Sequence[int]) -> PromptBatch:
        """This rank's share of a batch; ``chosen`` are rows of ``prompts``, the same on every rank."""
        positions = range(self.rank, len(chosen), self.world_size)
        rows = [self.prompts[chosen[position]] for position in positions]
        return PromptBatch(
            problems=[self.task[index] for index, _ in rows],
            prompt_ids=[token_ids for _, token_ids in rows],
            indices=[index for index, _ in rows],
            positions=list(positions),
            name=self.name,
        )

    def draw_extra(self, step: int, used: Collection[int]) -> Iterator[int]:
        """Draw further prompts for a step, in an order of the seed and the step alone; the iteration stays as it is.

        Args:
            step: RL step.
            used: Indices in the task of the prompts that the step has already, on all ranks.

        Yields:
            Rows of ``prompts``, as ``shard`` takes them; each once, and none of ``used``.
        """
        draw = random.Random(f"others-{self.seed}-{step}")
        seen = set(used)
        left = len(self.prompts) - len(seen)
        while left > 0:
            row = draw.randrange(len(self.prompts))
            if (index := self.prompts[row][0]) not in seen:
                seen.add(index)
                left -= 1
                yield row

    def state_dict(self) -> dict[str, int]:
        """Where the iteration stands: Lightning saves it with every checkpoint."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from a saved state."""
        self.epoch, self.position, self._resumed = state["epoch"], state["position"], True
