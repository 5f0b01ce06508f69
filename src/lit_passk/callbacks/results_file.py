"""An evaluation that survives: completions go to a result file as they come, and none is sampled twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from lit_passk.results import CompletionRecord, ResultWriter, load_results, run_settings
from lit_passk.types import Completion, PromptBatch, Sampling, Score, ScoredGroup


class ResultsFile:
    """The result file of one evaluation, as the rollout callback uses it.

    Args:
        path: JSON-lines file; one that exists is continued, if it was sampled with the same settings.
        policy: What is evaluated.
        sampling: How it is sampled.
        seed: Seed of the run.
    """

    def __init__(self, path: str | Path, policy: str, sampling: Sampling, seed: int) -> None:
        self._writer = ResultWriter(path, run_settings(policy, sampling, seed))
        self._stored: dict[tuple[str, str], dict[int, CompletionRecord]] = defaultdict(dict)
        for record in load_results(path).records:
            self._stored[record.benchmark, record.problem_id][record.sample] = record

    def missing(
        self, batch: PromptBatch, sampling: Sampling, seeds: Sequence[int]
    ) -> Iterator[tuple[PromptBatch, Sampling, list[int]]]:
        """Cut a batch into what is still to be sampled.

        Yields:
            Prompts that lack equally many samples in a row, with the sampling and seeds that make just those.
        """
        assert sampling.n is not None
        runs = []  # (number of samples, prompt, first sample)
        for p, problem in enumerate(batch.problems):
            samples = self._writer.missing(batch.name, problem.id, sampling.n)
            for _, run in groupby(enumerate(samples), key=lambda pair: pair[1] - pair[0]):
                run = [sample for _, sample in run]
                runs.append((len(run), p, run[0]))
        for n, same in groupby(sorted(runs), key=lambda run: run[0]):
            chosen = list(same)
            part = PromptBatch(
                problems=[batch.problems[p] for _, p, _ in chosen],
                prompt_ids=[batch.prompt_ids[p] for _, p, _ in chosen],
                indices=[batch.indices[p] for _, p, _ in chosen],
                name=batch.name,
            )
            self._first = {batch.problems[p].id: first for _, p, first in chosen}
            yield part, replace(sampling, n=n), [seeds[p] + first for _, p, first in chosen]

    def write(self, benchmark: str, group: ScoredGroup) -> None:
        """Append a group that was just judged."""
        first = self._first[group.problem.id]
        records = [
            CompletionRecord(
                benchmark=benchmark,
                problem_id=group.problem.id,
                sample=first + i,
                prompt=group.problem.prompt,
                reference=group.problem.answer,
                completion=text,
                answer=score.answer,
                reward=score.reward,
                correct=score.correct,
                truncated=completion.finish_reason == "length",
                error=score.error,
                num_tokens=len(completion.token_ids),
                mean_logprob=sum(completion.logprobs) / len(completion.logprobs) if completion.logprobs else None,
                seed=group.seed + i,
            )
            for i, (completion, text, score) in enumerate(
                zip(group.completions, group.texts, group.scores, strict=True)
            )
        ]
        self._writer.write(records)

    def complete(self, batch: PromptBatch, sampled: Sequence[ScoredGroup], sampling: Sampling) -> list[ScoredGroup]:
        """The batch's groups with their ``sampling.n`` samples, those of the file first.

        Stored samples come back without their tokens (the file holds text): one token each stands for them.
        """
        new = defaultdict(list)
        for group in sampled:
            new[group.problem.id].append(group)
        groups = []
        for p, problem in enumerate(batch.problems):
            stored = [r for _, r in sorted(self._stored[batch.name, problem.id].items()) if r.sample < (sampling.n or 1)]
            parts = new[problem.id]
            groups.append(
                ScoredGroup(
                    problem=problem,
                    index=batch.indices[p],
                    prompt_ids=batch.prompt_ids[p],
                    completions=[_stand_in(r) for r in stored] + [c for g in parts for c in g.completions],
                    texts=[r.completion for r in stored] + [t for g in parts for t in g.texts],
                    scores=[Score(reward=r.reward, correct=r.correct, answer=r.answer, error=r.error) for r in stored]
                    + [s for g in parts for s in g.scores],
                    seed=stored[0].seed if stored else parts[0].seed,
                )
            )
        return groups

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def _stand_in(record: CompletionRecord) -> Completion:
    return Completion(
        token_ids=[0], logprobs=[record.mean_logprob or 0.0], finish_reason="length" if record.truncated else "stop"
    )
