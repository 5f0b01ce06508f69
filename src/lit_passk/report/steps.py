"""A training by step: reward and pass@k of every RL step, and every prompt at each of its visits.

A folder of rollouts may be large: one step at a time is in memory, and of the completions as many are kept for the page
as it can show.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from statistics import NormalDist

import torch

from lit_passk.errors import Refusal
from lit_passk.functional.bootstrap import pass_at_k_interval
from lit_passk.report.runs import Training
from lit_passk.report.summary import Interval, default_ks
from lit_passk.results import CompletionRecord

_NAN = math.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """One prompt in one RL step."""

    step: int
    num_completions: int
    num_correct: int
    num_scored: int
    num_truncated: int
    trained: bool
    """Whether its group was trained on."""
    reward: float
    """Mean over its scored completions, NaN without any."""
    num_tokens: float
    """Mean length of a completion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptHistory:
    """One prompt over a training."""

    benchmark: str
    problem_id: str
    prompt: str
    reference: str
    visits: list[Visit] = field(default_factory=list)
    completions: list[CompletionRecord] = field(default_factory=list)
    """Those kept for the page, by step and sample."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One RL step, or several in a row taken together."""

    first: int
    last: int
    num_prompts: int
    """Visits to prompts."""
    reward: Interval
    """Mean over completions; the interval is normal, over prompts."""
    pass_at_k: Mapping[int, Interval]
    """Two-level bootstrap, over prompts and their completions. NaN where no prompt has so many scored completions."""
    truncated: float
    unscored: float
    num_tokens: float


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """A training, read once."""

    label: str
    prompts: list[PromptHistory]
    steps: list[int]
    kept: int
    """Completions of a visit that are kept for the page, at most; 0 where all are."""
    stride: int
    """Of how many visits in a row of the training one has its completions kept."""

    def points(self, most: int, ks: Sequence[int] | None = None, confidence: float = 0.95) -> list[Point]:
        """The training as so many points at most, each of equally many steps but the last."""
        visits = sorted((visit for prompt in self.prompts for visit in prompt.visits), key=lambda visit: visit.step)
        size = math.ceil(len(self.steps) / most)
        place = {step: number // size for number, step in enumerate(self.steps)}
        largest = max(visit.num_scored for visit in visits)
        wanted = default_ks(max(largest, 1)) if ks is None else sorted({k for k in ks if k <= largest}) or [largest]
        groups = groupby(visits, key=lambda visit: place[visit.step])
        return [_point(list(group), wanted, confidence) for _, group in groups]


def read_history(training: Training, most_completions: int) -> History:
    """Read a folder of rollouts.

    Args:
        training: The folder and its label.
        most_completions: About how many completions to keep for the page. Where there are more, the first of every
            visit to a prompt are kept, and if need be those of some visits only. Every visit is counted.

    Raises:
        ValueError: If not one step could be read, or none holds a completion.
    """
    prompts: dict[tuple[str, str], PromptHistory] = {}
    steps: list[int] = []
    kept, stride, number = 0, 1, 0
    for step, records in training.folder.steps():
        if not steps:
            kept, stride = _share(records, len(training.folder.files), most_completions)
        steps.append(step)
        for records_of_prompt in _by_prompt(records):
            first = records_of_prompt[0]
            history = prompts.setdefault(
                (first.benchmark, first.problem_id),
                PromptHistory(
                    benchmark=first.benchmark,
                    problem_id=first.problem_id,
                    prompt=first.prompt,
                    reference=first.reference,
                ),
            )
            history.visits.append(_visit(step, records_of_prompt))
            if number % stride == 0:
                history.completions.extend(records_of_prompt[: kept or None])
            number += 1
    if not steps:
        raise Refusal(f"{training.folder.path}: its steps were removed while they were read. Try again.")
    if not prompts:
        raise Refusal(f"{training.folder.path} holds no completions yet.")
    return History(label=training.label, prompts=list(prompts.values()), steps=steps, kept=kept, stride=stride)


def _share(records: Sequence[CompletionRecord], num_steps: int, most: int) -> tuple[int, int]:
    """How many completions of a visit to keep (0: all), and of every how manieth visit, judged by the first step."""
    groups = [len(group) for group in _by_prompt(records)]
    if not groups or sum(groups) * num_steps <= most:
        return 0, 1
    kept = max(1, most // (len(groups) * num_steps))
    return kept, math.ceil(len(groups) * num_steps * kept / most)


def _by_prompt(records: Sequence[CompletionRecord]) -> Iterator[list[CompletionRecord]]:
    grouped: dict[tuple[str, str], list[CompletionRecord]] = {}
    for record in records:
        grouped.setdefault((record.benchmark, record.problem_id), []).append(record)
    yield from grouped.values()


def _visit(step: int, records: Sequence[CompletionRecord]) -> Visit:
    scored = [record for record in records if record.error is None]
    return Visit(
        step=step,
        num_completions=len(records),
        num_correct=sum(record.correct for record in scored),
        num_scored=len(scored),
        num_truncated=sum(record.truncated for record in records),
        trained=any(record.trained for record in records),
        reward=sum(record.reward for record in scored) / len(scored) if scored else _NAN,
        num_tokens=sum(record.num_tokens for record in records) / len(records),
    )


def _point(visits: Sequence[Visit], ks: Sequence[int], confidence: float) -> Point:
    completions = sum(visit.num_completions for visit in visits)
    scored = sum(visit.num_scored for visit in visits)
    return Point(
        first=visits[0].step,
        last=visits[-1].step,
        num_prompts=len(visits),
        reward=_reward(visits, confidence),
        pass_at_k={k: _pass_at_k([visit for visit in visits if visit.num_scored >= k], k, confidence) for k in ks},
        truncated=sum(visit.num_truncated for visit in visits) / completions,
        unscored=1 - scored / completions,
        num_tokens=sum(visit.num_tokens * visit.num_completions for visit in visits) / completions,
    )


def _pass_at_k(visits: Sequence[Visit], k: int, confidence: float) -> Interval:
    if not visits:
        return _NAN, _NAN, _NAN
    correct, scored = torch.tensor([(visit.num_correct, visit.num_scored) for visit in visits]).T  # (P,) each
    estimate, low, high = pass_at_k_interval(correct, scored, [k], confidence=confidence)
    return float(estimate), float(low), float(high)


def _reward(visits: Sequence[Visit], confidence: float) -> Interval:
    """Mean reward of the scored completions, with a normal interval whose unit is the prompt."""
    pairs = [(visit.num_scored, visit.reward) for visit in visits if visit.num_scored]
    if not pairs:
        return _NAN, _NAN, _NAN
    weights, rewards = torch.tensor(pairs, dtype=torch.float64).T  # (P,) each
    mean = float((weights * rewards).sum() / weights.sum())
    if len(pairs) == 1:
        return mean, _NAN, _NAN
    # Variance of a ratio estimate with prompts as clusters.
    variance = ((weights * (rewards - mean)) ** 2).sum() / weights.sum() ** 2 * len(pairs) / (len(pairs) - 1)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(float(variance))
    return mean, mean - half, mean + half
