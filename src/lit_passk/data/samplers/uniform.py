"""Every prompt as often as any other."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_passk.data.samplers.base import Candidates, PromptSampler


class Uniform(PromptSampler):
    """Every prompt once an epoch, in another order each; the default.

    The order depends on the seed and the epoch alone. Without a ``Mixture`` the last step of an epoch has the prompts
    that are left, so it may be short.
    """

    uses_pass_rates = False

    def weights(self, candidates: Candidates) -> Tensor:
        """All the same."""
        return torch.ones(len(candidates.rows), dtype=torch.float64)

    def draw(self, candidates: Candidates, count: int) -> list[int]:
        """Go on in the epoch."""
        return candidates.in_order(count)
