"""A look at what the policy writes: a few groups as a table in TensorBoard."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger

from lit_passk.errors import Refusal
from lit_passk.modules.guards import only_warn
from lit_passk.types import PromptBatch, ScoredGroup

if TYPE_CHECKING:
    from lit_passk.modules import PassKRLModule


class CompletionsTable(L.Callback):
    """Writes the first completions of the first groups of a step, with their scores.

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
            with only_warn("The table of completions"):
                text = completions_markdown(batch.rollouts.groups[: self.groups], self.completions)
                for logger in trainer.loggers:
                    if isinstance(logger, TensorBoardLogger):
                        logger.experiment.add_text("train/completions", text, pl_module.rl_step)


def completions_markdown(groups: Sequence[ScoredGroup], completions: int) -> str:
    """A Markdown table, one row per completion: problem, completion, answer, reward, whether it is correct."""
    rows = ["| problem | completion | answer | reward | correct |", "|---|---|---|---|---|"]
    for group in groups:
        for text, score in list(zip(group.texts, group.scores, strict=True))[:completions]:
            correct = score.error or ("yes" if score.correct else "no")
            cells = [group.problem.text, text, score.answer or "", f"{score.reward:.3g}", correct]
            rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    return html.escape(text).replace("|", "&#124;").replace("\n", "<br>")
