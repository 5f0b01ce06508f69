"""A look at what the policy writes: a few groups as a table in the logger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import lightning as L

from lit_passk.callbacks.loggers import Cell, log_table
from lit_passk.errors import Refusal
from lit_passk.modules.guards import only_warn
from lit_passk.types import PromptBatch, ScoredGroup

if TYPE_CHECKING:
    from lit_passk.modules import PassKRLModule

_COLUMNS = ("problem", "completion", "answer", "reward", "correct")
_WHAT = "The table of completions"


class CompletionsTable(L.Callback):
    """Writes the first completions of the first groups of a step, with their scores.

    They go to TensorBoard, W&B, MLflow or Trackio, as ``train/completions``. All completions of a training are
    kept by ``rollout.save`` (``SaveRollouts``).

    Args:
        every: RL steps from one table to the next; 0 writes none.
        groups: Problems per table.
        completions: Completions per problem.
    """

    def __init__(self, every: int = 50, groups: int = 2, completions: int = 4) -> None:
        if min(every, groups, completions) < 0:
            raise Refusal(
                "CompletionsTable needs numbers >= 0, "
                f"but got every={every}, groups={groups}, completions={completions}."
            )
        self.every = every
        self.groups = groups
        self.completions = completions

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: PassKRLModule,  # type: ignore[override]
        outputs: Any,
        batch: PromptBatch,
        batch_idx: int,
    ) -> None:
        """Write the table when it is due."""
        due = self.every > 0 and (pl_module.rl_step - 1) % self.every == 0
        if due and trainer.is_global_zero:
            with only_warn(_WHAT):
                rows = completion_rows(batch.rollouts.groups[: self.groups], self.completions)
                log_table(trainer, "train/completions", _COLUMNS, rows, pl_module.rl_step, _WHAT)


def completion_rows(groups: Sequence[ScoredGroup], completions: int) -> list[list[Cell]]:
    """One row per completion: problem, completion, answer, reward and whether it is correct, or why it has no score."""
    return [
        [group.problem.text, str(text), score.answer or "", score.reward, score.error or ("no", "yes")[score.correct]]
        for group in groups
        for text, score in list(zip(group.texts, group.scores, strict=True))[:completions]
    ]
