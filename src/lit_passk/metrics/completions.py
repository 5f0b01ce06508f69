"""What the completions were like: length, entropy, and the shares that were cut off or could not be scored."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.logged import Logged
from lit_passk.metrics.base import EvaluationMetric

_UNITS = 2.0**24  # log-probabilities are added up as multiples of 6e-8 nats: the same sum in any order
_MOST_NATS = 2.0**31  # of one completion; hundreds of them have room in 64 bits


LOGGED = (
    Logged(
        "val/<task>/truncated val/<task>/unscored",
        means="Shares of the validation's completions that were cut off, and that could not be scored "
        "(`CompletionStatistics`).",
        healthy="Below 0.05, and 0.",
        otherwise="Raise `rollout.val_sampling.max_tokens`; a benchmark that cuts answers off measures the limit.",
    ),
    Logged(
        "val/<task>/mean_length val/<task>/entropy",
        means="Mean length of a completion in tokens, and nats per token (`CompletionStatistics`).",
        healthy="As `train/tokens` and `train/entropy`.",
    ),
)


class CompletionStatistics(EvaluationMetric):
    """Shares of truncated and unscored completions, mean length and entropy.

    ``compute`` returns float64 scalars: ``truncated`` and ``unscored`` (shares of all completions), ``mean_length``
    (tokens per completion), and ``entropy`` (mean of -logprob over all tokens, nats per token, an estimate of the
    sampling distribution's entropy where the policy goes); NaN without a completion or a token.

    Example:
        >>> metric = CompletionStatistics()
        >>> metric.update(num_tokens=[3, 1], logprob_sum=[-1.5, -0.5], truncated=[True, False], scored=[True, True])
        >>> {name: round(float(value), 4) for name, value in metric.compute().items()}
        {'truncated': 0.5, 'unscored': 0.0, 'mean_length': 2.0, 'entropy': 0.5}

    """

    higher_is_better = None

    def __init__(self) -> None:
        super().__init__(columns=5)  # a row: completions, tokens, log-probability in units, truncated, unscored

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
        tokens, cut, rated = (
            torch.as_tensor(values, device="cpu").to(torch.int64) for values in (num_tokens, truncated, scored)
        )
        logprobs = torch.as_tensor(logprob_sum, dtype=torch.float64, device="cpu")
        if not tokens.shape == logprobs.shape == cut.shape == rated.shape or tokens.ndim != 1:
            raise ValueError(
                "CompletionStatistics.update needs four 1-D inputs of one length, but got shapes "
                f"{[tuple(values.shape) for values in (tokens, logprobs, cut, rated)]}."
            )
        if len(odd := logprobs[~(logprobs.abs() < _MOST_NATS)]):
            raise Refusal(
                "CompletionStatistics.update needs finite log-probabilities, those of a completion below "
                f"{_MOST_NATS:g} nats in all, but got {float(odd[0])}."
            )
        units = (logprobs * _UNITS).round().to(torch.int64)
        columns = torch.stack([torch.ones_like(tokens), tokens, units, cut, 1 - rated])  # (5, N)
        self._append(columns.sum(dim=1)[None])

    def compute(self) -> dict[str, Tensor]:
        """``truncated``, ``unscored``, ``mean_length`` and ``entropy``."""
        completions, tokens, units, truncated, unscored = self._all_rows().sum(dim=0).tolist()
        values = {
            "truncated": _share(truncated, completions),
            "unscored": _share(unscored, completions),
            "mean_length": _share(tokens, completions),
            "entropy": _share(-units / _UNITS, tokens),
        }
        return {name: self._scalar(value) for name, value in values.items()}


def _share(part: float, whole: int) -> float:
    return part / whole if whole else math.nan
