"""What the completions were like: length, entropy, and the shares that were cut off or could not be scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

_UNITS = 2.0**24  # log-probabilities are added up as multiples of 6e-8 nats: the same sum in any order


class CompletionStatistics(Metric):
    """Shares of truncated and unscorable completions, mean length and entropy.

    ``compute`` returns float64 scalars: ``truncated`` and ``unscorable`` (shares of all completions),
    ``mean_length`` (tokens a completion), and ``entropy`` (mean of -logprob over all tokens, nats a token, an estimate
    of the sampling distribution's entropy where the policy goes; NaN without a token).

    Args:
        kwargs: Options of ``torchmetrics.Metric``.

    Example:
        >>> metric = CompletionStatistics()
        >>> metric.update(num_tokens=[3, 1], logprob_sum=[-1.5, -0.5], truncated=[True, False], scored=[True, True])
        >>> {name: float(value) for name, value in metric.compute().items()}
        {'truncated': 0.5, 'unscorable': 0.0, 'mean_length': 2.0, 'entropy': 0.5}

    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    sums: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Completions, tokens, log-probability in units, truncated, unscorable.
        self.add_state("sums", default=torch.zeros(5, dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self,
        num_tokens: Tensor | Sequence[int],
        logprob_sum: Tensor | Sequence[float],
        truncated: Tensor | Sequence[bool],
        scored: Tensor | Sequence[bool],
    ) -> None:
        """Add N completions.

        Args:
            num_tokens: Length of each, shape ``(N,)``, integer.
            logprob_sum: Sum of each one's sampled log-probabilities, shape ``(N,)``, finite.
            truncated: Whether ``max_tokens`` cut it, shape ``(N,)``, bool.
            scored: Whether it could be scored, shape ``(N,)``, bool.
        """
        tokens, cut, judged = (
            torch.as_tensor(values, device="cpu").to(torch.int64) for values in (num_tokens, truncated, scored)
        )
        logprobs = torch.as_tensor(logprob_sum, dtype=torch.float64, device="cpu")
        if not tokens.shape == logprobs.shape == cut.shape == judged.shape or tokens.ndim != 1:
            raise ValueError(
                "CompletionStatistics.update needs four 1-D inputs of one length, but got shapes "
                f"{[tuple(values.shape) for values in (tokens, logprobs, cut, judged)]}."
            )
        if not logprobs.isfinite().all():
            raise ValueError("CompletionStatistics.update needs finite log-probabilities, but got NaN or infinity.")
        units = (logprobs * _UNITS).round().to(torch.int64)
        columns = torch.stack([torch.ones_like(tokens), tokens, units, cut, 1 - judged])
        self.sums = self.sums + columns.sum(dim=1).to(self.device)

    def compute(self) -> dict[str, Tensor]:
        """``truncated``, ``unscorable``, ``mean_length`` and ``entropy``."""
        completions, tokens, units, truncated, unscorable = self.sums.tolist()
        if completions == 0:
            raise ValueError("CompletionStatistics has seen no completion. Call `update` before `compute`.")
        values = {
            "truncated": truncated / completions,
            "unscorable": unscorable / completions,
            "mean_length": tokens / completions,
            "entropy": -units / _UNITS / tokens if tokens else float("nan"),
        }
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        return {name: torch.tensor(value, dtype=dtype, device=self.device) for name, value in values.items()}
