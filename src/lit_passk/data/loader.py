"""The batches of a task: which prompts a step has, each rank's share of them, and further prompts out of order."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from lit_passk.data.drawing import Drawing
from lit_passk.data.observed import observed
from lit_passk.data.samplers.base import PromptSampler
from lit_passk.data.samplers.uniform import Uniform
from lit_passk.tasks.base import Task
from lit_passk.types import PromptBatch, RolloutBatch


class PromptLoader:
    """Iterates over the batches of one task; what they hold depends on the seed, the step and the sampler alone.

    Every rank draws the same prompts and takes its own slice of every batch, so the world size changes neither the
    order nor the number of batches. A slice may be empty.

    Args:
        task: Where the problems are.
        name: ``train`` or the validation name, stamped on every batch.
        prompts: ``(index in the task, token ids)`` of every prompt that is used, by index.
        prompts_per_step: Prompts of one batch over all ranks.
        rank: This data-parallel rank.
        world_size: Number of data-parallel ranks.
        seed: Orders the prompts of an epoch; None keeps their order.
        sampler: Draws the prompts of each step; None is ``Uniform()``.
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
        sampler: PromptSampler | None = None,
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
        indices = [index for index, _ in prompts]
        self._drawing = Drawing(task, indices, prompts_per_step, seed, sampler if sampler is not None else Uniform())
        self._size = [len(prompts), sum(len(token_ids) for _, token_ids in prompts)]  # prompts, tokens
        self._digest = _digest(prompts) if seed is not None else ""
        self._resumed = False
        self._ahead: tuple[tuple[int, int], list[int]] | None = None  # the next batch, once it was asked for

    def __len__(self) -> int:
        return -(-len(self.prompts) // self.prompts_per_step)

    def __iter__(self) -> Iterator[PromptBatch]:
        """Go on where the last iteration ended, for as many batches as an epoch has; without a seed from the start.

        One that follows a shortened one (``limit_train_batches``) goes over the end of the data's epoch, so that the
        trainer's epochs are all of one length.
        """
        if self.seed is None and not self._resumed:
            self.position = 0  # a validation that was cut short is followed by a whole one
        self._resumed = False
        self.epoch, self.position = self._next()
        for _ in range(len(self) if self.seed is not None else len(self) - self.position):
            self.epoch, self.position = self._next()
            rows = self._next_rows()
            # Before the yield: a checkpoint written while this batch trains resumes with the next.
            self._drawing.advance(rows)
            self._ahead = None
            self.position += 1
            yield self.shard(rows)

    def peek(self) -> PromptBatch:
        """The batch that comes next, in the next epoch perhaps; the iteration stays as it is."""
        return self.shard(self._next_rows())

    def _next(self) -> tuple[int, int]:
        """Epoch and position of the next batch."""
        return (self.epoch, self.position) if self.position < len(self) else (self.epoch + 1, 0)

    def _next_rows(self) -> list[int]:
        """The prompts of the next batch: drawn once, whatever becomes known of them before it is trained."""
        at = self._next()
        if self._ahead is None or self._ahead[0] != at:
            self._ahead = at, self._drawing.draw(*at)
        return self._ahead[1]

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
        """Draw further prompts for a step, by the seed, the step and the sampler; the iteration stays as it is.

        Args:
            step: RL step.
            used: Indices in the task of the prompts that the step has already, on all ranks.

        Yields:
            Rows of ``prompts``, as ``shard`` takes them; each once, and none of ``used``.
        """
        return self._drawing.extra(step, used)

    def observe(self, step: int, rollouts: RolloutBatch) -> dict[str, float]:
        """Count what a step's rollouts say of its prompts, if the sampler wants to know; every rank must call this.

        Args:
            step: The RL step.
            rollouts: This rank's; groups that are not trained on count too.

        Returns:
            What to log under ``sampler/``: ``pass_rate`` and ``pass_rate_std`` (mean estimate and mean uncertainty over
            all prompts), ``effective_prompts`` (one over the sum of the squared chances to be drawn next: so many
            prompts, all alike, would come again as often), and what the sampler adds.
        """
        if self._drawing.rates is None:
            return {}
        self._drawing.rates.observe(step, *observed(rollouts))
        return {f"sampler/{name}": value for name, value in self._drawing.metrics(step).items()}

    def state_dict(self) -> dict[str, Any]:
        """Where the iteration stands: Lightning saves it with every checkpoint."""
        state: dict[str, Any] = {"epoch": self.epoch, "position": self.position, "per_step": self.prompts_per_step}
        state |= {"size": self._size, "prompts": self._digest, **self._drawing.state()}
        if self._ahead is not None and self._drawing.rates is not None:
            state["ahead"] = self._ahead[1]  # drawn with what was known then
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; warn where the prompts are others than they were.

        Raises:
            ValueError: If it is of other tasks.
        """
        before, now = state.get("size", self._size), self._size
        changed = before != now or state.get("prompts", self._digest) != self._digest
        if changed and self.seed is not None:
            rank_zero_warn(
                f"The prompts of {self.name!r} have changed: {before[0]:,} of {before[1]:,} tokens when the checkpoint "
                f"was written, {now[0]:,} of {now[1]:,} tokens now. Those that come next are drawn anew."
            )
        per_step = state.get("per_step", self.prompts_per_step)
        self.epoch, self.position = self._place(state, per_step)
        self._resumed = True
        self._drawing.restore(state)
        drawn = "ahead" in state and not changed and per_step == self.prompts_per_step
        self._ahead = (self._next(), list(state["ahead"])) if drawn else None

    def _place(self, state: Mapping[str, Any], per_step: int) -> tuple[int, int]:
        """Where a state stands whose steps had ``per_step`` prompts: its epoch and position in steps of now."""
        epoch, position = state["epoch"], state["position"]
        if per_step == self.prompts_per_step:
            return epoch, position
        if self._drawing.whole_epochs:  # after as many prompts: none is left out of the epoch
            return epoch, position * per_step // self.prompts_per_step
        return divmod(epoch * -(-state["size"][0] // per_step) + position, len(self))  # after as many steps


def _digest(prompts: Sequence[tuple[int, list[int]]]) -> str:
    """Tells prompts from others, or from themselves in another order."""
    digest = blake2b(digest_size=16)
    for index, token_ids in prompts:
        digest.update(array("q", [index, len(token_ids), *token_ids]).tobytes())
    return digest.hexdigest()
