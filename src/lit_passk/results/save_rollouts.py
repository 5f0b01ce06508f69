"""Training rollouts on disk, while the training goes on: ``rollout.save``."""

from __future__ import annotations

import gzip
import json
import math
import secrets
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from lit_passk.distributed import all_objects, rank
from lit_passk.errors import Refusal
from lit_passk.inputs import expanded
from lit_passk.results.atomic import write_atomically
from lit_passk.results.record import (
    FORMAT,
    VERSION,
    TrainingInfo,
    encode_line,
    encode_record,
    group_records,
    installed_versions,
    settings_differences,
)
from lit_passk.results.step_files import header_of, step_files, step_path
from lit_passk.types import RolloutBatch, ScoredGroup

_MIB = 1 << 20


class SaveRollouts:
    """Keeps what was sampled for every RL step, groups that were not trained on included, in one file a step.

    ``<folder>/step_000123.jsonl.gz`` is a result file: a header with the run's settings and the versions of its
    packages, then one JSON line a completion with its text, reward and its parts, verdict and advantage; the lines are
    the same on any number of processes. ``lit-passk report <folder>`` shows them by step, while the run goes on too. A
    file appears whole or not at all; where it cannot be written (a full disk), the training goes on without it, and a
    warning says so once.

    A folder is one run's: a run that does not go on from a checkpoint is refused a folder with rollouts in it.

    Args:
        every: RL steps from one file to the next.
        max_mib: Most disk space of all files, in MiB; the oldest steps are removed to stay below. None has no limit.
        folder: Where to write, seen from ``trainer.default_root_dir``.
    """

    def __init__(self, every: int = 1, max_mib: float | None = 1024.0, folder: str = "rollouts") -> None:
        if every < 1 or (max_mib is not None and not max_mib > 0):
            raise Refusal(
                f"SaveRollouts needs every >= 1 and max_mib > 0 (or null), but got every={every} and max_mib={max_mib}."
            )
        self.every = every
        self.max_mib = max_mib
        self.folder = folder
        self.starts_anew = False
        """Whether rollouts of a start with these settings that left no checkpoint may be removed: ``--ckpt_path last``
        found none."""
        self.run = ""
        """Name of the run, by which it knows its own files after it was resumed."""
        self._settings: Mapping[str, Any] = {}
        self._sizes: dict[int, int] = {}
        self._told: set[str] = set()

    def start(self, root: str | Path, settings: Mapping[str, Any], step: int) -> None:
        """Make the folder ready for the steps after ``step``; every rank must call this.

        Args:
            root: ``trainer.default_root_dir``.
            settings: What the run was started with, as ``run_settings`` builds it.
            step: RL steps done so far.

        Raises:
            Refusal: If the folder is another run's, or cannot be written to.
        """
        self._path = expanded(root) / expanded(self.folder)
        self._settings = settings
        refusal = None
        if rank() == 0:
            try:
                self._take_folder(step)
            except (Refusal, OSError) as error:
                refusal = f"`rollout.save` cannot write to {str(self._path)!r}: {error}"
        refusal, self.run = all_objects((refusal, self.run), "the folder of rollouts")[0]
        if refusal is not None:
            raise Refusal(refusal)

    def save(self, step: int, benchmark: str, rollouts: RolloutBatch, advantages: Tensor) -> None:
        """Write the file of a step, if it is due; every rank must call this.

        Args:
            step: The RL step, counted from 1.
            benchmark: Name of the batch, ``train``.
            rollouts: This rank's.
            advantages: Theirs, shape ``(N,)``.
        """
        if (step - 1) % self.every:
            return
        mine = list(_groups(benchmark, rollouts, step, advantages))
        places = all_objects([group.place for group in mine], "places of groups")
        first = _first_samples(place for places_of_rank in places for place in places_of_rank)
        try:
            members: list[tuple[_Place, bytes]] | str = [(one.place, one.packed(first[one.place])) for one in mine]
        except Refusal as error:  # not here and now: the other ranks wait
            members = str(error)
        gathered = all_objects(members, "rollouts to save")
        if rank() == 0:
            failed = [part for part in gathered if isinstance(part, str)]
            parts = sorted(member for part in gathered if not isinstance(part, str) for member in part)
            try:
                if failed:
                    raise Refusal(failed[0])
                self._write(step, rollouts.version, [data for _, data in parts])
            except (Refusal, OSError) as error:
                self._tell(
                    f"the rollouts of RL step {step} are not in {str(self._path)!r}: {error}. The training goes on; "
                    "further steps are tried."
                )

    def _take_folder(self, step: int) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        for partial in self._path.glob(".*step_*"):  # of a kill: a step, or what the folder was tried with
            partial.unlink()
        files = step_files(self._path)
        if files and not self._is_own(header_of(files[max(files)]).settings):
            raise Refusal(
                f"it holds the rollouts of another run (RL steps {min(files)} to {max(files)}), which this run would "
                "replace. Go on with that run by `--ckpt_path last`, or set `trainer.default_root_dir` or "
                "`rollout.save.folder` to a new folder."
            )
        self.run = self.run or secrets.token_hex(8)
        for later in [number for number in files if number > step]:
            files.pop(later).unlink()  # this run is about to make them again
        write_atomically(self._path / ".step_test", [b"0"])
        (self._path / ".step_test").unlink()
        self._sizes = {number: path.stat().st_size for number, path in files.items()}
        free = shutil.disk_usage(self._path).free / _MIB
        if self.max_mib is not None and free < self.max_mib - sum(self._sizes.values()) / _MIB:
            rank_zero_warn(
                f"`rollout.save.max_mib` is {self.max_mib:g}, but the disk of {str(self._path)!r} has {free:.0f} MiB "
                "left. The training goes on when it is full, without rollouts of further steps."
            )

    def _is_own(self, settings: Mapping[str, Any]) -> bool:
        """Whether the files of these settings are this run's, or of an earlier start of it that left no checkpoint."""
        theirs, run = {name: value for name, value in settings.items() if name != "run"}, settings.get("run")
        if run == self.run:
            return True
        # Decoded as those of the file: a tuple equals the list that it became there.
        return self.starts_anew and not settings_differences(theirs, json.loads(json.dumps(self._settings)))

    def _write(self, step: int, version: int, members: list[bytes]) -> None:
        header = {
            "format": FORMAT,
            "version": VERSION,
            "settings": {**self._settings, "run": self.run},
            "versions": installed_versions(),
            "weights_of_step": version,
        }
        packed = [_pack(encode_line(header)), *members]
        self._path.mkdir(parents=True, exist_ok=True)  # somebody may have removed it
        self._make_room(sum(map(len, packed)), step)
        self._sizes[step] = write_atomically(step_path(self._path, step), packed)

    def _make_room(self, size: int, step: int) -> None:
        """Remove the oldest steps until a new file of this size has room; the newest is written whatever its size."""
        if self.max_mib is None:
            return
        for oldest in sorted(self._sizes.keys() - {step}):
            if size + sum(self._sizes.values()) <= self.max_mib * _MIB:
                break
            step_path(self._path, oldest).unlink(missing_ok=True)
            del self._sizes[oldest]
            if "room" not in self._told:
                self._told.add("room")
                rank_zero_info(
                    f"{str(self._path)!r} has reached `rollout.save.max_mib` ({self.max_mib:g} MiB): from here on the "
                    "oldest steps are removed."
                )

    def _tell(self, text: str) -> None:
        if "failed" not in self._told:
            self._told.add("failed")
            rank_zero_warn(f"`rollout.save`: {text}")


class _Place(NamedTuple):
    """Where a group stands in the file of its step, whichever rank has it: the trained ones first, in their order."""

    not_trained: bool
    position: int
    problem_id: str
    benchmark: str
    seed: int
    num_samples: int


class _Group(NamedTuple):
    place: _Place
    group: ScoredGroup
    training: TrainingInfo

    def packed(self, first: int) -> bytes:
        """Its records from sample ``first`` on, as one member of a gzip file."""
        samples = range(first, first + self.place.num_samples)
        records = group_records(self.place.benchmark, self.group, samples, self.training)
        return _pack(b"".join(map(encode_record, records)))


def _groups(benchmark: str, rollouts: RolloutBatch, step: int, advantages: Tensor) -> Iterator[_Group]:
    """This rank's groups of a step."""
    sizes = torch.bincount(rollouts.prompt_index, minlength=len(rollouts.groups)).tolist()  # (P,)
    for group, position, weights in zip(
        rollouts.groups, rollouts.positions.tolist(), advantages.split(sizes), strict=True
    ):
        place = _Place(False, position, group.problem.id, benchmark, group.seed, len(group.texts))
        yield _Group(place, group, TrainingInfo(step, True, _spread(group, weights.tolist())))
    for group in rollouts.not_trained:
        place = _Place(True, group.index, group.problem.id, benchmark, group.seed, len(group.texts))
        yield _Group(place, group, TrainingInfo(step, False, [None] * len(group.texts)))


def _spread(group: ScoredGroup, advantages: list[float]) -> Sequence[float | None]:
    """The advantages of a group's completions, None for those that training never sees (``collate_rollouts``).

    Those that are not finite are None too: JSON has no such numbers, and the updates with them were skipped.
    """
    rest = (advantage if math.isfinite(advantage) else None for advantage in advantages)
    return [
        next(rest) if score.error is None and len(completion.token_ids) > 0 else None
        for completion, score in zip(group.completions, group.scores, strict=True)
    ]


def _first_samples(places: Iterator[_Place]) -> dict[_Place, int]:
    """The number of each group's first sample: a problem that comes twice in a step has its samples numbered on."""
    taken: dict[tuple[str, str], int] = defaultdict(int)
    first = {}
    for place in sorted(places):
        first[place] = taken[place.benchmark, place.problem_id]
        taken[place.benchmark, place.problem_id] += place.num_samples
    return first


def _pack(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=6, mtime=0)
