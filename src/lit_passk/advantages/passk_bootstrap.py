"""Pass@k Training by bootstrap sampling: random groups drawn from the rollouts (arXiv 2508.10751, section 2.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.advantages.group_advantage import GroupAdvantage
from lit_passk.advantages.passk_strategy import PassKStrategy
from lit_passk.functional.groups import Reduction
from lit_passk.types import GroupContext


class PassKBootstrap(PassKStrategy):
    """Draws groups of k different completions; a completion collects the advantages of the groups it is in.

    Algorithm 2 and eq. 6: ``A_i = sum_j A^j [i in group j]``, the group advantages ``A^j`` normalised over the drawn
    groups by eqs. 1-3 (population standard deviation). The sum is about k times the analytic advantage when as many
    groups are drawn as there are completions: mind it when learning rates are compared.

    Groups are drawn from (seed, RL step, prompt id); without a context the step is 0 and a row's number is its id.

    Use it when the paper's bootstrap is to be reproduced as it stands, or to see what the noise of drawing groups
    costs; else take ``PassKAnalytic``.

    Args:
        k: Completions per group, from 1 to ``rollout.group_size``.
        num_groups: Groups drawn for each prompt; None draws as many as there are completions (the paper).
        reduction: ``sum`` over the groups that hold the completion (the paper), or their ``mean``, which converges to
            ``PassKAnalytic`` as ``num_groups`` grows.
        seed: Seed of the draw, at least 0.

    Example:
        >>> strategy = PassKBootstrap(k=2, num_groups=20_000, reduction="mean")
        >>> strategy(torch.tensor([[1.0, 0.0, 0.0, 0.0]])).round(decimals=1)  # PassKAnalytic: 1, -1/3, -1/3, -1/3
        tensor([[ 1.0000, -0.3000, -0.3000, -0.3000]])

    """

    def __init__(
        self,
        k: int = 4,
        num_groups: int | None = None,
        reduction: Reduction = "sum",
        seed: int = 0,
    ) -> None:
        super().__init__(k)
        self._general = GroupAdvantage("max", k, "bootstrap", reduction, num_groups=num_groups, seed=seed)
        self.num_groups = num_groups
        self.reduction = reduction
        self.seed = seed

    def __call__(self, rewards: Tensor, context: GroupContext | None = None) -> Tensor:
        """Advantages of shape ``(P, G)``, float32, from ``context.correct`` or rewards of 0 and 1, shape ``(P, G)``."""
        correct = self.read_correct(rewards, context)
        return self._general.compute(correct, context).to(rewards.device, torch.float32)

    def draw_groups(self, step: int, problem_id: int, group_size: int) -> Tensor:
        """Indices of the k different completions in each group, shape ``(num_groups, k)``, int64."""
        return self._general.draw_groups(step, problem_id, group_size)
