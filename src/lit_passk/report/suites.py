"""Suites: groups of benchmarks that are reported by the unweighted mean of their numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean

from lit_passk.errors import Refusal
from lit_passk.functional.bootstrap import mean_pass_at_k_interval
from lit_passk.inputs import read_yaml
from lit_passk.report.summary import Summary


def read_suites(texts: Sequence[str], find: Callable[[str], Path] = Path) -> dict[str, list[str]]:
    """Suites as the command line names them.

    Args:
        texts: ``name=benchmark,benchmark``, or a configuration: its name, and the tasks of its ``data.val``.
        find: Finds the file of a configuration.

    Example:
        >>> read_suites(["math=aime24,aime25"])
        {'math': ['aime24', 'aime25']}

    """
    suites: dict[str, list[str]] = {}
    for text in texts:
        name, equals, rest = (part.strip() for part in text.partition("="))
        benchmarks = [part.strip() for part in rest.split(",") if part.strip()] if equals else []
        if not equals:
            name, benchmarks = _configured(find(text))
        if not name or not benchmarks or len(set(benchmarks)) < len(benchmarks):
            raise Refusal(f"A suite is `name=benchmark,benchmark,...`, each benchmark once, but got {text!r}.")
        if name in suites:
            raise Refusal(f"The suite {name!r} was given twice.")
        suites[name] = benchmarks
    return suites


def _configured(path: Path) -> tuple[str, list[str]]:
    if not path.is_file():
        raise Refusal(
            f"A suite is `name=benchmark,benchmark,...` or a configuration with `data.val`, but there is no file "
            f"{str(path)!r}."
        )
    config = read_yaml(path)
    data = config.get("data") if isinstance(config, dict) else None
    tasks = data.get("val") if isinstance(data, dict) else None
    if not isinstance(tasks, dict):
        raise Refusal(f"{path} has no tasks under `data.val`, so it names no suite.")
    return path.stem, list(tasks)


def suite_summaries(
    summaries: Sequence[Summary], suites: Mapping[str, Sequence[str]], confidence: float = 0.95, draws: int = 1000
) -> tuple[list[Summary], list[str]]:
    """Summarize every run on every suite of which it has all benchmarks.

    pass@k is the unweighted mean over the benchmarks, for every k that all of them have; in each bootstrap draw every
    benchmark draws its problems by itself. The other numbers are unweighted means too.

    Args:
        summaries: Of all runs on all benchmarks.
        suites: Name of each suite to the names of its benchmarks.
        confidence: Chance that an interval covers the truth.
        draws: Bootstrap draws.

    Returns:
        The summaries, suite by suite, and a note for every run that lacks a benchmark of a suite.

    Raises:
        ValueError: If a suite has the name of a benchmark, or no run has all its benchmarks.
    """
    by_run: dict[str, dict[str, Summary]] = {}
    for summary in summaries:
        by_run.setdefault(summary.run, {})[summary.benchmark] = summary
    found, notes = [], []
    for suite, benchmarks in suites.items():
        if any(suite in own for own in by_run.values()):
            raise Refusal(f"The suite {suite!r} has the name of a benchmark. Give it another name.")
        complete = False
        for run, own in by_run.items():
            if missing := [benchmark for benchmark in benchmarks if benchmark not in own]:
                notes.append(f"{run} has no mean over {suite}: it lacks {', '.join(missing)}.")
                continue
            complete = True
            found.append(_suite(suite, [own[benchmark] for benchmark in benchmarks], confidence, draws))
        if not complete:
            raise Refusal(
                f"No run has all benchmarks of the suite {suite!r}. There are "
                f"{', '.join(dict.fromkeys(summary.benchmark for summary in summaries))}; {' '.join(notes)}"
            )
    return found, notes


def _suite(name: str, parts: Sequence[Summary], confidence: float, draws: int) -> Summary:
    ks = sorted(set.intersection(*(set(part.pass_at_k) for part in parts)))
    if not ks:
        raise Refusal(f"{parts[0].run} has no pass@k with a k that all benchmarks of the suite {name!r} share.")
    counts = [counts for part in parts for counts in part.counts]
    sides = [(count.num_correct, count.num_samples) for count in counts]
    columns = [column.tolist() for column in mean_pass_at_k_interval(sides, ks, draws, confidence)]
    return Summary(
        run=parts[0].run,
        benchmark=name,
        settings=parts[0].settings,
        num_problems=sum(part.num_problems for part in parts),
        num_unscored=sum(part.num_unscored for part in parts),
        num_samples=(min(part.num_samples[0] for part in parts), max(part.num_samples[1] for part in parts)),
        pass_at_k=dict(zip(ks, zip(*columns, strict=True), strict=True)),
        others={key: mean(part.others.get(key, math.nan) for part in parts) for key in parts[0].others},
        counts=tuple(counts),
        num_seeds=parts[0].num_seeds,
        seed_means={
            k: [mean(values) for values in zip(*(part.seed_means[k] for part in parts), strict=True)] for k in ks
        },
        num_left_out=sum(part.num_left_out for part in parts),
    )
