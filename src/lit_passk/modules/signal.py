"""What a step's groups have to teach, for each k: the numbers of ``lit-passk signal``, for the log."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.distributed import all_max, all_sum
from lit_passk.logged import Logged
from lit_passk.rollout.collate import collate_rollouts
from lit_passk.types import RolloutBatch

LOGGED = (
    Logged(
        "train/signal/correct",
        means="Correct completions of a group, on average.",
        healthy="Between 1 and about G / 2 for Pass@k Training.",
        otherwise="See `train/signal/dead@k`.",
    ),
    Logged(
        "train/signal/dead@<k>",
        means="Share of the groups to which `PassKAnalytic(k)` would give no advantage: none correct, or fewer than k "
        "wrong. k = 1 is GRPO. All powers of two below the group size are logged, whatever strategy is in use.",
        healthy="Below 0.5 for the k in use.",
        otherwise="Rises with k: prompts are too easy for it, so lower k. High for k = 1 too: too hard or too easy; "
        "`train/pass@1` says which. `lit-passk signal` on a result file suggests a pair of k and group size.",
    ),
    Logged(
        "train/signal/weight",
        means="Sum of the sizes of a group's advantages by the strategy in use, mean over the trained groups.",
        healthy="Of one size over the run.",
        otherwise="Strategies of different scale differ here: compare them at equal weight, not at one learning rate.",
    ),
)


def signal_metrics(rollouts: RolloutBatch, advantages: Tensor) -> dict[str, float]:
    """Count over all ranks; every rank must call this.

    Args:
        rollouts: This rank's completions.
        advantages: Theirs, shape ``(N,)``.

    Returns:
        - ``signal/correct``: correct completions of a group, on average.
        - ``signal/dead@k`` for powers of two k below the group size: share of groups to which ``PassKAnalytic(k)``
          gives no advantage, because none is correct or fewer than k are wrong; k = 1 is ``GRPO``.
        - ``signal/weight``: sum of the sizes of a group's advantages by the strategy in use, on average over the groups
          that are trained on.

        The first two count groups that were sampled and not trained on as well.
    """
    parts = [rollouts, *([collate_rollouts(rollouts.not_trained)] if rollouts.not_trained else [])]
    sizes = torch.cat([p.prompt_index.bincount(minlength=len(p.indices)) for p in parts])  # (P,) scored completions
    correct = torch.cat([p.prompt_index[p.correct].bincount(minlength=len(p.indices)) for p in parts])  # (P,)
    largest = int(all_max(sizes.max() if len(sizes) else torch.tensor(0), "group sizes"))
    ks = [2**power for power in range(largest.bit_length()) if 2**power < largest]
    scored, wrong = sizes > 0, sizes - correct  # (P,)
    dead = [float((scored & ((correct == 0) | (wrong < k))).sum()) for k in ks]
    size_of_all, trained = float(advantages.abs().sum()), float(len(rollouts.indices))
    mine = [float(scored.sum()), float(correct.sum()), *dead, size_of_all, trained]
    groups, total, *dead, weight, trained = all_sum(torch.tensor(mine, dtype=torch.float64), "signal").tolist()
    return {
        "signal/correct": total / max(groups, 1.0),
        **{f"signal/dead@{k}": number / max(groups, 1.0) for k, number in zip(ks, dead, strict=True)},
        "signal/weight": weight / max(trained, 1.0),
    }
