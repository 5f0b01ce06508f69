"""What the rollouts of all ranks say of their prompts."""

from __future__ import annotations

import torch

from lit_passk.distributed import all_cat
from lit_passk.rollout.collate import scored
from lit_passk.types import RolloutBatch


def observed(rollouts: RolloutBatch) -> tuple[list[int], list[int], list[int]]:
    """Count the completions of every group that any rank sampled for a step; a collective.

    Args:
        rollouts: This rank's; groups that are not trained on count too.

    Returns:
        Index in the task, correct completions and scored completions of each group, by index.
    """
    mine = []
    for group in (*rollouts.groups, *rollouts.not_trained):
        correct = [score.correct for completion, score in scored(group) if len(completion.token_ids) > 0]
        mine.append([group.index, sum(correct), len(correct)])
    every = all_cat(torch.tensor(mine, dtype=torch.int64).reshape(-1, 3), "pass rates")  # (groups, 3)
    indices, correct_counts, scored_counts = every[every[:, 0].argsort()].unbind(1)
    return indices.tolist(), correct_counts.tolist(), scored_counts.tolist()
