"""Completion records, and what other processes do with them: they have to import this file."""

from __future__ import annotations

import itertools
from dataclasses import replace

import msgspec

from lit_passk.results import CompletionRecord, ResultWriter, run_settings
from lit_passk.tasks.base import Task
from lit_passk.types import Problem, Sampling, Score

SETTINGS = run_settings("org/model", Sampling(temperature=0.6, n=4), seed=1)


def record(problem="p1", sample=0, **changes):
    base = CompletionRecord(
        benchmark="times",
        problem_id=problem,
        sample=sample,
        prompt=f"question {problem}",
        reference="14",
        completion=f"I say\n\u2028\\boxed{{{sample}}}",
        answer=str(sample),
        reward=0.0,
        correct=False,
        truncated=False,
        error=None,
        num_tokens=3,
        mean_logprob=-0.5,
        seed=100 + sample,
    )
    return msgspec.structs.replace(base, **changes)


def group(problem, samples):
    return [record(problem, sample) for sample in samples]


def write_all(path, rank):
    with ResultWriter(path, SETTINGS) as writer:
        for problem in range(40):
            writer.write(group(f"p{problem}", range(rank, 6)))


def write_forever(path):
    with ResultWriter(path, SETTINGS) as writer:
        for problem in itertools.count():
            writer.write(group(f"p{problem}", range(4)))


class Times(Task):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return Problem(id=f"p{index}", prompt=f"question p{index}", answer=str(index))

    def score(self, problem, completion):
        answer = completion.rpartition("{")[2].rstrip("}")
        if answer == "3":
            return Score(reward=0.0, correct=False, error="no score")
        return Score(reward=float(answer == problem.answer), correct=answer == problem.answer, answer=answer)


class TimesInWorkers(Times):
    use_workers = True


class ShareOfTokens(Times):
    """Pays each sample its share of the group's tokens, and says what it was paid for."""

    scores_groups = True

    def score_group(self, problem, completions, scores):
        total = sum(completion.num_tokens for completion in completions)
        shares = [completion.num_tokens / total for completion in completions]
        return [replace(s, reward=share, parts={"share": share}) for s, share in zip(scores, shares, strict=True)]


class ShareOfTokensInWorkers(ShareOfTokens):
    use_workers = True
