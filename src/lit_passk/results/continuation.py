"""An evaluation that survives: completions go to a result file as they come, and none is sampled twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info

from lit_passk.distributed import all_max, world_size
from lit_passk.errors import Refusal
from lit_passk.inputs import expanded
from lit_passk.results import CompletionRecord, ResultWriter, group_records, load_results
from lit_passk.types import Completion, PromptBatch, Sampling, Score, ScoredGroup


class ResultsFile:
    """The result file of one evaluation, as the rollout callback uses it.

    Args:
        path: JSON-lines file; one that exists is continued, if it was sampled with the same settings.
        settings: What decides what is sampled, as ``run_settings`` builds it.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any]) -> None:
        if expanded(path).is_dir():
            raise Refusal(f"`rollout.results` is {str(path)!r}, which is a folder. Name a file in it.")
        self._writer = ResultWriter(path, settings)
        if world_size() > 1 and not self._writer.locks:
            raise Refusal(
                f"`rollout.results` is {str(path)!r}, on a disk that cannot lock files, so several processes would "
                "write over each other. Name a file on another disk, or evaluate with `trainer.devices: 1`."
            )
        self._stored: dict[tuple[str, str], dict[int, CompletionRecord]] = defaultdict(dict)
        for record in load_results(path).records:
            self._stored[record.benchmark, record.problem_id][record.sample] = record
        self._base_seeds: dict[tuple[str, str], int] = {}

    def missing(
        self, batch: PromptBatch, sampling: Sampling, seeds: Sequence[int]
    ) -> list[tuple[PromptBatch, Sampling, list[int]]]:
        """Cut a batch into what is still to be sampled; every rank must call this.

        Returns:
            Prompts that lack equally many samples in a row, with the sampling and seeds that make just those. As many
            parts on every rank, some perhaps without prompts: ranks that share weights or an engine must sample equally
            often, whatever the file holds already.

        Raises:
            Refusal: If the file's samples of a problem answer another question than this batch asks.
        """
        assert sampling.n is not None
        runs = []  # (number of samples, prompt, first sample)
        for p, problem in enumerate(batch.problems):
            self._writer.check_question(batch.name, problem.id, problem.text, problem.answer)
            self._base_seeds[batch.name, problem.id] = seeds[p]
            samples = self._writer.missing(batch.name, problem.id, sampling.n)
            for _, run in groupby(enumerate(samples), key=lambda pair: pair[1] - pair[0]):
                row = [sample for _, sample in run]
                runs.append((len(row), p, row[0]))
        parts = []
        for n, same in groupby(sorted(runs), key=lambda run: run[0]):
            chosen = list(same)
            part = batch.select([p for _, p, _ in chosen])
            parts.append((part, replace(sampling, n=n), [seeds[p] + first for _, p, first in chosen]))
        most = int(all_max(torch.tensor(len(parts)), "missing samples"))
        nothing: tuple[PromptBatch, Sampling, list[int]] = (batch.select([]), sampling, [])
        return parts + [nothing] * (most - len(parts))

    def write(self, benchmark: str, group: ScoredGroup) -> None:
        """Append a group that was just scored; its seed says which of the problem's samples it holds."""
        first = group.seed - self._base_seeds[benchmark, group.problem.id]
        self._writer.write(group_records(benchmark, group, range(first, first + len(group.texts))))

    def complete(self, batch: PromptBatch, sampled: Sequence[ScoredGroup], sampling: Sampling) -> list[ScoredGroup]:
        """The batch's groups with their ``sampling.n`` samples, those of the file first.

        Stored samples come back without their tokens (the file holds text): as many zeros stand for them.
        """
        assert sampling.n is not None
        new = defaultdict(list)
        for group in sampled:
            new[group.problem.id].append(group)
        groups = []
        for p, problem in enumerate(batch.problems):
            known = self._stored[batch.name, problem.id]
            stored = [known[sample] for sample in sorted(known) if sample < sampling.n]
            parts = new[problem.id]
            groups.append(
                ScoredGroup(
                    problem=problem,
                    index=batch.indices[p],
                    prompt_ids=batch.prompt_ids[p],
                    completions=[_stand_in(r) for r in stored] + [c for g in parts for c in g.completions],
                    texts=[r.completion for r in stored] + [t for g in parts for t in g.texts],
                    scores=[
                        Score(reward=r.reward, correct=r.correct, answer=r.answer, error=r.error, parts=r.parts)
                        for r in stored
                    ]
                    + [s for g in parts for s in g.scores],
                    seed=self._base_seeds[batch.name, problem.id],
                )
            )
        return groups

    def close(self) -> None:
        """Close the file, and say where it is."""
        self._writer.close()
        rank_zero_info(f"completions and scores are in {self._writer.path}")


def _stand_in(record: CompletionRecord) -> Completion:
    return Completion(
        token_ids=[0] * record.num_tokens,
        logprobs=[record.mean_logprob or 0.0] * record.num_tokens,
        finish_reason="length" if record.truncated else "stop",
    )
