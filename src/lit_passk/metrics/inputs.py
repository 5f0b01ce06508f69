"""From the completions of some problems to what the metrics' ``update`` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch


class Sample(Protocol):
    """What metrics know of one completion; a ``CompletionRecord`` of a results file is one."""

    @property
    def correct(self) -> bool:
        """What pass@k counts."""

    @property
    def reward(self) -> float:
        """What the policy is paid."""

    @property
    def answer(self) -> str | None:
        """The extracted answer, None when there was none."""

    @property
    def error(self) -> str | None:
        """Why it could not be scored, None when it was."""

    @property
    def truncated(self) -> bool:
        """Cut by ``max_tokens``."""

    @property
    def num_tokens(self) -> int:
        """Its length."""

    @property
    def mean_logprob(self) -> float | None:
        """Mean log-probability of its tokens, None for an empty completion."""


def metric_inputs(problems: Mapping[int, Sequence[Sample]]) -> dict[str, Any]:
    """Keyword arguments for ``torchmetrics.MetricCollection.update``, which hands each metric those that it names.

    Args:
        problems: Problem id (from 0) to its completions, as many as there are, unscored ones included: those count in
            ``CompletionStatistics`` alone.

    Example:
        >>> from types import SimpleNamespace
        >>> from torchmetrics import MetricCollection
        >>> from lit_passk.metrics import MajorityAtK, PassAtK
        >>> right, wrong = (SimpleNamespace(correct=answer == "2", reward=0.0, answer=answer, error=None,
        ...     truncated=False, num_tokens=1, mean_logprob=-0.5) for answer in "21")
        >>> metrics = MetricCollection([PassAtK(ks=[1]), MajorityAtK(ks=[3])], compute_groups=False)
        >>> metrics.update(**metric_inputs({0: [right, right, wrong, wrong], 1: [right]}))
        >>> {name: round(float(value), 4) for name, value in metrics.compute().items() if "/" not in name}
        {'pass@1': 0.75, 'maj@3': 0.5, 'maj@n': 0.75}

    """
    groups = [[sample for sample in group if sample.error is None] for group in problems.values()]
    every = [sample for group in problems.values() for sample in group]
    return {
        "problem_ids": list(problems),
        "correct": [torch.tensor([sample.correct for sample in group], dtype=torch.bool) for group in groups],
        "rewards": [torch.tensor([sample.reward for sample in group], dtype=torch.float64) for group in groups],
        "answers": [[sample.answer for sample in group] for group in groups],
        "num_tokens": [sample.num_tokens for sample in every],
        "logprob_sum": [(sample.mean_logprob or 0.0) * sample.num_tokens for sample in every],
        "truncated": [sample.truncated for sample in every],
        "scored": [sample.error is None for sample in every],
    }
