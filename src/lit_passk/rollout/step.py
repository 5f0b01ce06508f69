"""What is known of an RL step when its rollouts are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lit_passk.functional.random import derive_seed
from lit_passk.types import PromptBatch, Sampling, ScoredGroup

if TYPE_CHECKING:
    from lit_passk.data.loader import PromptLoader


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The RL step that rollouts are wanted for, on this rank."""

    number: int
    """RL step, from 0; also the version of the policy's weights."""
    batch: PromptBatch
    """This rank's prompts."""
    loader: PromptLoader
    """Where they are from: has the next step's prompts, and further ones."""
    sampling: Sampling
    """How to sample."""
    seed: int
    """Base of all sampling seeds of the run."""
    has_advantage: Callable[[ScoredGroup], bool]
    """Whether the strategy gives any completion of a group an advantage other than 0 at this step."""
    is_last: bool
    """Whether the run ends with this step."""

    def seeds(self, batch: PromptBatch, number: int | None = None) -> list[int]:
        """Return one base seed per prompt: of the run's seed, the RL step (this one by default) and the problem."""
        step = self.number if number is None else number
        return [derive_seed(self.seed, "train", step, batch.name, index) for index in batch.indices]
