"""Metrics over scored completions: torchmetrics classes, thin over ``lit_passk.functional``, exact over processes.

Validation logs them and ``lit-passk report`` prints them, so both show the same number. Every ``update`` takes some of
these keyword arguments, one entry per problem in each of the first four; ``torchmetrics.MetricCollection`` hands each
metric those that it names, and ``metric_inputs`` makes them all from the completions of some problems:

================  =====================================================================================
``problem_ids``   P integers; updates of one problem, on any rank, are put together
``correct``       whether each scored completion is correct, P groups of any size
``rewards``       reward of each scored completion, P groups
``answers``       answer extracted from each scored completion or None, P groups
``num_tokens``    length of every completion, scored or not, ``(N,)``; likewise ``logprob_sum`` (sum of
                  its sampled log-probabilities), ``truncated`` and ``scored``
================  =====================================================================================

``compute`` gives a dictionary of names to float64 scalars. A problem with fewer than k scored completions is left out
of the number at that k, because no unbiased estimate exists for it; the number is NaN when no problem is left.
"""

from lit_passk.metrics.answers import AnswerDiversity, MajorityAtK
from lit_passk.metrics.base import EvaluationMetric
from lit_passk.metrics.completions import CompletionStatistics
from lit_passk.metrics.inputs import Sample, metric_inputs
from lit_passk.metrics.max_at_k import MaxRewardAtK
from lit_passk.metrics.pass_at_k import PassAtK
from lit_passk.metrics.reliability import GPassAtK, PassHatK, SolveRate

__all__ = [
    "AnswerDiversity",
    "CompletionStatistics",
    "EvaluationMetric",
    "GPassAtK",
    "MajorityAtK",
    "MaxRewardAtK",
    "PassAtK",
    "PassHatK",
    "Sample",
    "SolveRate",
    "metric_inputs",
]
