"""Metrics over scored completions: torchmetrics classes, thin over ``lit_passk.functional``, exact over processes."""

from lit_passk.metrics.answers import AnswerDiversity, MajorityAtK
from lit_passk.metrics.completions import CompletionStatistics
from lit_passk.metrics.max_at_k import MaxRewardAtK
from lit_passk.metrics.pass_at_k import PassAtK
from lit_passk.metrics.problem_counts import ProblemCounts
from lit_passk.metrics.steadiness import GPassAtK, PassHatK, SolveRate

__all__ = [
    "AnswerDiversity",
    "CompletionStatistics",
    "GPassAtK",
    "MajorityAtK",
    "MaxRewardAtK",
    "PassAtK",
    "PassHatK",
    "ProblemCounts",
    "SolveRate",
]
