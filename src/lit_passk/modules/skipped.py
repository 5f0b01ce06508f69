"""Updates that were left out because a number was not finite: counted, and the end of a run that cannot go on."""

from __future__ import annotations

from collections import Counter

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from lit_passk.distributed import all_max, all_objects, all_sum
from lit_passk.errors import CannotRun, Refusal
from lit_passk.types import RolloutBatch

LOSS = "the loss is not a finite number"
GRADIENT = "the gradient is not a finite number"


class SkippedUpdates:
    """What a ``PassKRLModule`` remembers of its skipped updates.

    Args:
        max_steps: RL steps in a row with a skipped update that a run may have.
    """

    def __init__(self, max_steps: int) -> None:
        if max_steps < 0:
            raise Refusal(f"`model.max_skipped_steps` must be at least 0, but got {max_steps}.")
        self.max_steps = max_steps
        self.in_a_row = 0
        """RL steps with a skipped update up to now, without one between that had none."""

    def count(self, step: int, reasons: list[str]) -> bool:
        """Count an RL step, from 1, and why updates of it were skipped, the same on every rank.

        Returns:
            Whether the run has to stop.
        """
        self.in_a_row = self.in_a_row + 1 if reasons else 0
        if reasons:
            rank_zero_warn(
                f"RL step {step}: {len(reasons)} of its updates skipped, {_most_common(reasons)}. Weights, moments of "
                f"the optimizer and checkpoints are untouched by them. {self.in_a_row} such steps in a row; the run "
                f"stops at more than {self.max_steps} (`model.max_skipped_steps`)."
            )
        return self.in_a_row > self.max_steps


def fault_of(loss: Tensor, norm: Tensor) -> str | None:
    """Why an update cannot be made, None if it can; all ranks get the same answer, and all must ask.

    Args:
        loss: This rank's loss, scalar.
        norm: Norm of the gradients, scalar.
    """
    mine = torch.stack([~loss.cpu().isfinite(), ~norm.cpu().isfinite()]).int()  # (2,)
    of_loss, of_gradient = all_max(mine, "faults of an update").tolist()
    return LOSS if of_loss else GRADIENT if of_gradient else None


def check_weights(model: nn.Module, step: int) -> None:
    """Refuse to write a checkpoint to go on from that holds NaN or infinity; every rank must call this.

    An update may leave them behind although its gradient was finite (an optimizer that divides by 0), and every
    checkpoint after it would hold them.

    Raises:
        CannotRun: On every rank, with the names of tensors.
    """
    mine = [name for name, p in model.named_parameters() if not bool(_local(p).isfinite().all())]
    bad = list(dict.fromkeys(name for names in all_objects(mine, "weights that are not finite") for name in names))
    if bad:
        raise CannotRun(
            f"No checkpoint of RL step {step} is written: {len(bad)} of the policy's tensors hold NaN or infinity, "
            f"{', '.join(bad[:3])} first. An update made them so although its gradient was finite: look at "
            "`model.optimizer` (a divisor of 0, a learning rate out of proportion). The checkpoint before is as it was."
        )


def _local(parameter: Tensor) -> Tensor:
    """This rank's part of it."""
    return parameter.to_local() if isinstance(parameter, DTensor) else parameter


def nothing_scored(rollouts: RolloutBatch) -> str | None:
    """Why a step has nothing to train on although it was sampled, None if it has; every rank must call this."""
    errors = [score.error for group in rollouts.groups for score in group.scores if score.error is not None]
    mine = torch.tensor([len(rollouts.rewards), len(errors)])
    trained, failed = all_sum(mine, "scored completions").tolist()
    if trained or not failed:
        return None
    why = f" ({_most_common(errors)})" if errors else ""
    return f"none of its {failed} completions could be scored{why}"


def _most_common(texts: list[str]) -> str:
    return Counter(texts).most_common(1)[0][0]
