"""RL steps on disk for ``lit-passk replay``: on request, and where a run has to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lit_passk.distributed import all_objects, rank
from lit_passk.errors import CannotRun
from lit_passk.results.saved_step import SavedStep, write_step
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.types import Problem, RolloutBatch, ScoredGroup

if TYPE_CHECKING:
    from lit_passk.modules.passk import PassKRLModule


@dataclass(frozen=True)
class Place:
    """Where an RL step, counted from 1, lies."""

    root: Path
    step: int

    @property
    def file(self) -> Path:
        """The step."""
        return self.root / "replay" / f"step_{self.step:06d}.safetensors"

    @property
    def weights(self) -> Path:
        """The weights that it began with."""
        return self.file.with_suffix(".ckpt")


def save_weights(module: PassKRLModule, place: Place) -> None:
    """Write the weights alone, of LoRA the adapters; a collective."""
    module.trainer.save_checkpoint(place.weights, weights_only=True)


def save_step(
    module: PassKRLModule,
    rollouts: RolloutBatch,
    advantages: Tensor,
    place: Place,
    reason: str,
    metrics: Mapping[str, float] | None = None,
) -> None:
    """Write the file of a step; every rank must call this.

    Args:
        module: The module, whose weights ``save_weights`` writes.
        rollouts: This rank's completions.
        advantages: Theirs, shape ``(N,)``.
        place: Where.
        reason: Why it is saved.
        metrics: What it came to, by name.

    Raises:
        OSError: On the first rank, if it cannot be written.
    """
    sizes = torch.bincount(rollouts.prompt_index, minlength=len(rollouts.groups)).tolist()  # (P,)
    mine = list(zip(rollouts.positions.tolist(), map(_bare, rollouts.groups), advantages.split(sizes), strict=True))
    gathered = sorted((part for parts in all_objects(mine, "a step to save") for part in parts), key=lambda p: p[0])
    if rank() != 0:
        return
    positions, groups, weighed = zip(*gathered, strict=True) if gathered else ((), (), ())
    write_step(
        place.file,
        SavedStep(
            step=place.step,
            reason=reason,
            policy=module.policy_path,
            weights=place.weights.name,
            config=module.config_yaml,
            precision=str(module.trainer.precision),
            max_steps=module.max_rl_steps,
            sampling=rollouts.sampling,
            version=rollouts.version,
            full_precision=rollouts.full_precision,
            groups=groups,
            positions=positions,
            advantages=torch.cat([torch.zeros(0), *weighed]),
            metrics=dict(metrics or {}),
        ),
    )


def _bare(group: ScoredGroup) -> ScoredGroup:
    """A group without texts and with the name of its problem alone."""
    problem = Problem(id=group.problem.id, prompt="", answer="", source=group.problem.source)
    return replace(group, problem=problem, texts=[""] * len(group.texts))


def restored(saved: SavedStep) -> RolloutBatch:
    """The step's completions of all ranks, as one rank would have them."""
    return collate_rollouts(
        saved.groups,
        saved.sampling,
        version=saved.version,
        positions=saved.positions,
        full_precision=saved.full_precision,
    )


def stopped(module: PassKRLModule, rollouts: RolloutBatch, advantages: Tensor, faults: list[str]) -> CannotRun:
    """Save the step with which a run has to stop; returns what to raise. Every rank must call this.

    Args:
        module: The module.
        rollouts: This rank's completions.
        advantages: Theirs, shape ``(N,)``.
        faults: Why updates of the step were skipped.
    """
    place = Place(Path(module.trainer.default_root_dir), module.rl_step + 1)
    why = (
        f"RL step {place.step}: {faults[0]}. Updates of {module.skipped.in_a_row} steps in a row were skipped, and "
        f"`model.max_skipped_steps` allows {module.skipped.max_steps}"
    )
    if module.trainer.fast_dev_run:  # type: ignore[attr-defined]  # leaves nothing behind
        return CannotRun(f"{why}.")
    try:
        save_step(module, rollouts, advantages, place, faults[0])
        save_weights(module, place)  # last: if it fails here alone, the others wait in it until they are stopped
        where = f"`lit-passk replay {place.file}` runs it again and says where the first such number comes from"
    except OSError as error:
        where = f"It could not be saved for `lit-passk replay` at {str(place.file)!r}: {error}"
    return CannotRun(
        f"{why}. {where}. No skipped update changed weights, optimizer or checkpoints: go on with `--ckpt_path last` "
        "once the cause is gone."
    )
