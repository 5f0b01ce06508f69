"""Importance weights against the engine's log-probabilities: truncated (TIS) and masked (MIS, IcePop)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lit_passk.losses.correction import ImportanceWeight


class TIS(ImportanceWeight):
    """Truncated importance sampling: the ratio of policy to engine, cut at its bounds.

    Bounding the weight trades a little bias for bounded variance (Ionides 2008, doi 10.1198/106186008X320456; for the
    mismatch of engine and policy Yao et al. 2025, fengyao.notion.site/off-policy-rl, by tokens and from above).

    Args:
        level: ``token`` or ``sequence``: see ``ImportanceWeight``.
        low: Weights below count as this.
        high: Weights above count as this; 2 is usual for tokens, 2 to 10 for sequences.

    Example:
        >>> TIS(high=2.0).bound(torch.tensor([0.1, 1.0, 20.0]))
        tensor([0.1000, 1.0000, 2.0000])

    """

    def __init__(self, level: Literal["token", "sequence"] = "token", low: float = 0.0, high: float = 2.0) -> None:
        super().__init__(level, low, high)

    def bound(self, ratio: Tensor) -> Tensor:
        """``clamp(ratio, low, high)``."""
        return ratio.clamp(self.low, self.high)


class MIS(ImportanceWeight):
    """Masked importance sampling: the ratio of policy to engine within its bounds, else 0.

    Leaving out what is too far off instead of cutting its weight keeps samples out that the policy would hardly make
    (Liu et al. 2025, richardli.xyz/rl-collapse). By tokens it is ``IcePop``.

    Args:
        level: ``token`` or ``sequence``: see ``ImportanceWeight``.
        low: Weights below are 0.
        high: Weights above are 0.

    Example:
        >>> MIS(low=0.5, high=2.0).bound(torch.tensor([0.1, 1.5, 20.0]))
        tensor([0.0000, 1.5000, 0.0000])

    """

    def __init__(self, level: Literal["token", "sequence"] = "sequence", low: float = 0.5, high: float = 2.0) -> None:
        super().__init__(level, low, high)

    def bound(self, ratio: Tensor) -> Tensor:
        """``ratio`` where ``low <= ratio <= high``, else 0."""
        return torch.where((ratio >= self.low) & (ratio <= self.high), ratio, 0.0)


class IcePop(MIS):
    """Two-sided token mask: a token weighs its ratio of policy to engine within the bounds, else 0.

    Made for mixture-of-experts models (Ring-1T, arXiv 2510.18855; bounds 0.5 and 5). The same as ``MIS`` by tokens.

    Args:
        low: Tokens with a smaller ratio are left out.
        high: Tokens with a larger ratio are left out.
    """

    def __init__(self, low: float = 0.5, high: float = 5.0) -> None:
        super().__init__("token", low, high)
