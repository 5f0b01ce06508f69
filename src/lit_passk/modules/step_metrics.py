"""What one RL step was, in numbers over all ranks."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.distributed import all_sum
from lit_passk.losses.correction import correction_metrics
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.types import RolloutBatch

CORRECTION_SUMS = ("corrected", "correction_weight", "correction_weight_squared", "correction_clipped")
"""Names of the four sums that ``RolloutCorrection`` returns."""


def step_metrics(rollouts: RolloutBatch, advantages: Tensor, sums: dict[str, Tensor]) -> dict[str, float]:
    """Describe a step; every rank must call this.

    Args:
        rollouts: This rank's completions.
        advantages: Shape ``(N,)``.
        sums: Metric sums of this rank's updates, with ``num_updates`` and ``grad_norm`` (the same on every rank).

    Returns:
        - ``reward``, ``pass@1``, ``truncated``: means over completions; ``unscored``: how many could not be scored.
        - ``solved``: share of groups with a correct completion; ``with_advantage``: share with an advantage other
          than 0.
        - ``tokens``: mean completion length; ``entropy``: mean of ``-rollout_logprobs``, nats per token, an
          unbiased estimate of the entropy over all completions, those without an advantage included.
        - ``grad_norm`` and the loss's own metrics: means over the step's updates.

        Groups that were sampled but are not trained on count in all of these but ``with_advantage`` and those of the
        loss: the trained groups are a biased sample of the policy's completions.
    """
    mine = _counts(rollouts)
    if rollouts.not_trained:
        not_trained = _counts(collate_rollouts(rollouts.not_trained))
        mine = {name: value + not_trained[name] for name, value in mine.items()}
    mine["trained_prompts"] = float(len(rollouts.prompt_ids))
    mine["with_advantage"] = float(len(rollouts.prompt_index[advantages != 0].unique()))
    updates = max(float(sums["num_updates"]), 1.0)
    corrections = {name: float(sums[name]) for name in CORRECTION_SUMS if name in sums}
    apart = {*CORRECTION_SUMS, "num_updates", "grad_norm"}
    losses = {f"loss/{name}": float(value) / updates for name, value in sums.items() if name not in apart}
    mine |= corrections | losses
    values = all_sum(torch.tensor(list(mine.values()), dtype=torch.float64), "metrics")  # (numbers,)
    total = dict(zip(mine, values.tolist(), strict=True))
    completions, prompts = max(total.pop("completions"), 1.0), max(total.pop("prompts"), 1.0)
    return {
        "reward": total["reward"] / completions,
        "pass@1": total["pass@1"] / completions,
        "solved": total["solved"] / prompts,
        "with_advantage": total["with_advantage"] / max(total["trained_prompts"], 1.0),
        "truncated": total["truncated"] / completions,
        "unscored": total["unscored"],
        "tokens": total["tokens"] / completions,
        "entropy": total["entropy"] / max(total["sampled_tokens"], 1.0),
        "grad_norm": float(sums["grad_norm"]) / updates,
        **{name: total[name] for name in losses},
        **correction_metrics(torch.tensor([total[name] for name in corrections] or [0.0] * 4, dtype=torch.float64)),
    }


def _counts(batch: RolloutBatch) -> dict[str, float]:
    """Sums over this rank's completions."""
    trained = torch.cat([torch.zeros(0, dtype=torch.bool), *batch.trained])  # (tokens of the rank,)
    logprobs = torch.cat([torch.zeros(0, dtype=torch.float32), *batch.rollout_logprobs])  # (tokens of the rank,)
    return {
        "completions": float(len(batch.completion_ids)),
        "prompts": float(len(batch.prompt_ids)),
        "tokens": float(len(trained)),
        "sampled_tokens": float(trained.sum()),
        "reward": float(batch.rewards.double().sum()),
        "pass@1": float(batch.correct.sum()),
        "truncated": float(batch.truncated.sum()),
        "unscored": float(sum(len(g.completions) for g in batch.groups) - len(batch.completion_ids)),
        "solved": float(len(batch.prompt_index[batch.correct].unique())),
        "entropy": -float(logprobs[trained].sum(dtype=torch.float64)),
    }
