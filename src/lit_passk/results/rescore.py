"""Score the completions of a result file again, without sampling."""

from __future__ import annotations

import gzip
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import msgspec

from lit_passk.errors import Refusal
from lit_passk.inputs import expanded
from lit_passk.results.atomic import write_atomically
from lit_passk.results.reader import Results, load_results, stem_of, was_rescored
from lit_passk.results.record import FORMAT, VERSION, CompletionRecord, encode_line, encode_record, installed_versions
from lit_passk.tasks.base import Task
from lit_passk.tasks.scores import group_scores_of, score_of
from lit_passk.types import CompletionText, Problem, Score

log = logging.getLogger(__name__)

Submit: TypeAlias = "Callable[[str, Problem, Sequence[str]], Future[list[Score]]]"
"""Has all completions of a problem scored; ``lit_passk.scoring.scorer.Scorer.submit_group`` is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RescoreSummary:
    """What a rescoring changed."""

    path: Path
    """The new file."""
    num_completions: int
    num_changed: int
    """Completions that were correct, wrong or unscored and are now another of the three."""
    num_unscored: int


def rescore(
    path: str | PathLike[str],
    task: Task | Mapping[str, Task],
    out: str | PathLike[str] | None = None,
    submit: Submit | None = None,
) -> RescoreSummary:
    """Score every completion of a result file by the task's present verifier and answer keys.

    Nothing is sampled. The new file appears whole or not at all, and can be continued like the old one.

    Args:
        path: The result file; it is not changed.
        task: The task its problems are from; a mapping from benchmark name to task for a file of several.
        out: The new file; ``<name>.rescored.jsonl`` beside the old one by default. One that was scored
            again before is replaced.
        submit: Scores in worker processes under a time limit, for verifiers that may hang:
            ``Scorer(tasks).submit_group`` with tasks under the names of the benchmarks. None scores in this process.

    Raises:
        ValueError: If a benchmark has no task, a problem is not in its task, or ``out`` is the old file itself.

    """
    results = load_results(path)
    target = expanded(out) if out is not None else results.path.with_name(f"{stem_of(results.path)}.rescored.jsonl")
    if target.exists() and (target.samefile(results.path) or not was_rescored(target)):
        raise Refusal(
            f"Rescoring never overwrites what was sampled, nor anything but an earlier rescoring: give another `out` "
            f"than {target}."
        )
    records = list(results.records)
    for benchmark in results.groups():
        one = _task_of(benchmark, task, results)
        rows = [row for row, record in enumerate(results.records) if record.benchmark == benchmark]
        groups = _groups(one, {row: results.records[row] for row in rows}, results.path)
        scores: Iterable[list[Score]]
        if submit is None:
            scores = (_scores_here(one, problem, list(texts.values())) for problem, texts in groups)
        else:
            futures = [submit(benchmark, problem, list(texts.values())) for problem, texts in groups]
            scores = (future.result() for future in futures)
        for (problem, texts), group_scores in zip(groups, scores, strict=True):
            for row, score in zip(texts, group_scores, strict=True):
                records[row] = _rescored(results.records[row], problem, score)
    _write(target, results, records)
    changed = sum(
        (old.correct, old.error is None) != (new.correct, new.error is None)
        for old, new in zip(results.records, records, strict=True)
    )
    unscored = sum(record.error is not None for record in records)
    return RescoreSummary(path=target, num_completions=len(records), num_changed=changed, num_unscored=unscored)


def _task_of(benchmark: str, task: Task | Mapping[str, Task], results: Results) -> Task:
    if isinstance(task, Mapping):
        if benchmark not in task:
            raise Refusal(
                f"{results.path} holds completions of {benchmark!r}, but tasks were given for {sorted(task)} only."
            )
        return task[benchmark]
    if len(benchmarks := sorted(results.groups())) > 1:
        raise Refusal(f"{results.path} holds several benchmarks ({benchmarks}): give a mapping from name to task.")
    return task


def _groups(
    task: Task, records: Mapping[int, CompletionRecord], path: Path
) -> list[tuple[Problem, dict[int, CompletionText]]]:
    """Every problem with its completions, each under the row of its record."""
    problems = {problem.id: problem for problem in (task[index] for index in range(len(task)))}
    if unknown := sorted({record.problem_id for record in records.values()} - problems.keys()):
        raise Refusal(
            f"{path} holds {len(unknown)} problems that {type(task).__name__} does not have, such as {unknown[0]!r}. "
            "Rescore with the task the completions were sampled for."
        )
    texts: dict[str, dict[int, CompletionText]] = defaultdict(dict)
    reworded = set()
    for row, record in records.items():
        texts[record.problem_id][row] = CompletionText(record.completion, record.num_tokens, record.truncated)
        if problems[record.problem_id].text.strip() not in record.prompt:
            reworded.add(record.problem_id)
    if reworded:
        log.warning(
            "%s: %d problems are worded differently in the task now, such as %r; their completions answer the old "
            "wording.", path, len(reworded), min(reworded),
        )  # fmt: skip
    return [(problems[problem_id], rows) for problem_id, rows in texts.items()]


def _scores_here(task: Task, problem: Problem, completions: Sequence[CompletionText]) -> list[Score]:
    scores = [score_of(task, problem, completion) for completion in completions]
    return group_scores_of(task, problem, completions, scores) if task.scores_groups else scores


def _rescored(record: CompletionRecord, problem: Problem, score: Score) -> CompletionRecord:
    return msgspec.structs.replace(
        record,
        reference=problem.answer,
        answer=score.answer,
        reward=score.reward,
        correct=score.correct,
        error=score.error,
        parts=dict(score.parts),
    )


def _write(target: Path, results: Results, records: Iterable[CompletionRecord]) -> None:
    header = {
        "format": FORMAT,
        "version": VERSION,
        "settings": results.settings,
        "versions": results.versions,
        "rescored": {"from": results.path.name, "versions": installed_versions()},
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = [encode_line(header), *map(encode_record, records)]
    write_atomically(target, [gzip.compress(b"".join(lines))] if target.suffix == ".gz" else lines)
