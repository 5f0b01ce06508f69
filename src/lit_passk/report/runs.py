"""Which runs a report is about: files, several seeds of a run as ``label=a.jsonl+b.jsonl``, folders of rollouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lit_passk.errors import Refusal
from lit_passk.inputs import expanded
from lit_passk.report.summary import run_labels
from lit_passk.results import Results, load_results
from lit_passk.results.step_files import StepFolder


@dataclass(frozen=True, slots=True)
class Run:
    """An evaluation, of one seed or of several."""

    label: str
    seeds: tuple[Results, ...]

    def files(self) -> list[tuple[str, Results]]:
        """Each of its files with a label of its own."""
        if len(self.seeds) == 1:
            return [(self.label, self.seeds[0])]
        names = run_labels([results.path for results in self.seeds])
        return [(f"{self.label}: {name}", results) for name, results in zip(names, self.seeds, strict=True)]


@dataclass(frozen=True, slots=True)
class Training:
    """A folder of training rollouts."""

    label: str
    folder: StepFolder


def open_runs(texts: Sequence[str]) -> tuple[list[Run], list[Training]]:
    """Load result files and look into folders of rollouts.

    Args:
        texts: Each a file or a folder, or ``label=file``, or several seeds as ``file+file`` with or without a label. A
            name that exists as it stands is that file, whatever characters it has.

    Raises:
        ValueError: If there is no such file, two runs have one label, or a folder is given as a seed.
    """
    chosen = [_choice(text) for text in texts]
    unnamed = [path for label, paths in chosen for path in paths if label is None]
    names = dict(zip(unnamed, run_labels([_called(path) for path in unnamed]), strict=True))
    labels = ["+".join(names[path] for path in paths) if label is None else label for label, paths in chosen]
    if repeated := [label for label, count in Counter(labels).items() if count > 1]:
        raise Refusal(f"Two runs are called {repeated[0]!r}. Name one of them: `other={repeated[0]}.jsonl`.")
    runs, trainings = [], []
    for label, (_, paths) in zip(labels, chosen, strict=True):
        if len(paths) == 1 and paths[0].is_dir():
            trainings.append(Training(label, StepFolder.open(paths[0])))
        else:
            runs.append(Run(label, tuple(map(load_results, paths))))
    return runs, trainings


def _choice(text: str) -> tuple[str | None, list[Path]]:
    """Label and paths of one argument."""
    label, equals, rest = text.partition("=")
    for name, files in [(None, text), *([(label, rest)] if equals and label and rest else [])]:
        for parts in ([files], files.split("+")):
            paths = [expanded(part) for part in parts]
            if all(part and path.exists() for part, path in zip(parts, paths, strict=True)):
                return name, paths
    raise Refusal(
        f"There is no file {text!r}. A run is a result file, a folder of rollouts, or several seeds of a run as "
        "`label=a.jsonl+b.jsonl`."
    )


def _called(path: Path) -> Path:
    """What a run is called after: the folder of the run, where ``rollout.save`` wrote into its own."""
    return path.absolute().parent if path.is_dir() and path.name == "rollouts" else path
