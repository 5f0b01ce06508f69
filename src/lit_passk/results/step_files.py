"""A folder of training rollouts: one compressed result file an RL step, ``step_000123.jsonl.gz``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lit_passk.errors import Refusal
from lit_passk.results.reader import load_results, open_results, read_header
from lit_passk.results.record import CompletionRecord, Header

_NAME = re.compile(r"step_(\d{6,})\.jsonl\.gz")


def step_path(folder: Path, step: int) -> Path:
    """The file of an RL step, counted from 1 as in the logs."""
    return folder / f"step_{step:06d}.jsonl.gz"


def step_files(folder: Path) -> dict[int, Path]:
    """The step files of a folder by RL step, ascending; files that are being written have another name."""
    found = {int(match[1]): path for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))}
    return dict(sorted(found.items()))


def header_of(path: Path) -> Header:
    """The header of a step file."""
    with open_results(path) as stream:
        header = read_header(stream, path)
    if header is None:
        raise Refusal(f"{path}: not a result file, it holds no complete header line.")
    return header


@dataclass(frozen=True, kw_only=True, slots=True)
class StepFolder:
    """The rollouts of a training on disk, of which one step at a time is in memory.

    Raises:
        ValueError: If the folder holds no step file.
    """

    path: Path
    settings: dict[str, Any]
    """What the run was started with."""
    versions: dict[str, str]
    """Versions of the packages it ran with."""
    files: dict[int, Path]
    """RL step to file, ascending."""

    @classmethod
    def open(cls, path: Path) -> StepFolder:
        """Look into a folder; the run may go on meanwhile."""
        files = step_files(path)
        if not files:
            inside = path / "rollouts"
            hint = f" Name {inside}." if inside.is_dir() and step_files(inside) else ""
            raise Refusal(
                f"{path} holds no training rollouts (step_000001.jsonl.gz, ...), as `rollout.save` writes.{hint}"
            )
        header = header_of(files[max(files)])
        return cls(path=path, settings=header.settings, versions=header.versions, files=files)

    def steps(self) -> Iterator[tuple[int, list[CompletionRecord]]]:
        """Each step with its completions, in order; steps that the run removes meanwhile are left out."""
        for step, path in self.files.items():
            try:
                records = load_results(path).records
            except FileNotFoundError:
                continue
            yield step, records
