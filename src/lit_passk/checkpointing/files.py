"""Checkpoints that are whole or do not exist, in one file or in a folder of shards: how they are written.

A checkpoint is written under another name, flushed to the disk and then renamed. A folder of shards also carries a list
of its files, their sizes and hashes of pieces of them, so that one that lost a part later (a removal that was cut
short), or has a part of another checkpoint, is recognised too.
"""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_warn
from torch.distributed.checkpoint import CheckpointException

from lit_passk.checkpointing.fingerprint import file_fingerprint
from lit_passk.checkpointing.reading import FILES, check_whole, read_file, read_shards
from lit_passk.distributed import all_objects, rank, world_size
from lit_passk.errors import CannotRun, Refusal


def partial_path(path: Path) -> Path:
    """Where a checkpoint lies while it is written."""
    return path.with_name(f".{path.name}.partial")


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """Where to write a checkpoint to; what could not be finished is removed.

    Raises:
        CannotRun: With the path, when it could not be written.
    """
    partial = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
    except (OSError, RuntimeError, CheckpointException) as error:  # torch raises the others, and may not say why
        with suppress(OSError):
            remove(partial)
        raise CannotRun(
            f"The checkpoint {str(path)!r} could not be written: {_first_line(error)} ({_free(path.parent)} free "
            "there). Earlier checkpoints are as they were: make room, then go on by `--ckpt_path last`."
        ) from error


def _first_line(error: BaseException) -> str:
    if isinstance(error, CheckpointException):  # of any rank
        error = next(failure for failure, _ in error.failures.values())
    return (str(error).splitlines() or [type(error).__name__])[0]


def _free(folder: Path) -> str:
    try:
        free = f"{shutil.disk_usage(folder).free / 2**20:.0f} MiB"
    except OSError:
        free = "nothing"
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if most == resource.RLIM_INFINITY:
        return free
    return f"{free}, of which `ulimit -f` allows {most / 2**10:.0f} KiB a file,"


def list_files(folder: Path) -> None:
    """Write down what a folder of shards consists of."""
    listed = {file.name: [file.stat().st_size, file_fingerprint(file)] for file in folder.iterdir()}
    (folder / FILES).write_text(json.dumps(listed))


def put_in_place(partial: Path, path: Path) -> None:
    """Flush what was written at ``partial`` to the disk and give it its name, all of it or none.

    A checkpoint of that name is moved aside first, to ``.<name>.old``, where ``run_folder.find_last`` still finds it.
    """
    for file in partial.iterdir() if partial.is_dir() else ():
        _flush(file)
    _flush(partial)
    if path.is_dir() or (path.exists() and partial.is_dir()):
        old = path.with_name(f".{path.name}.old")
        remove(old)
        path.rename(old)
        partial.rename(path)
        remove(old)
    else:
        partial.replace(path)
    _flush(path.parent)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):  # some network disks flush no folders
            raise
    finally:
        os.close(descriptor)


class CheckpointFiles(TorchCheckpointIO):
    """Checkpoints in one file, replaced as a whole; reads folders of shards too."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint: all of it or none."""
        path = Path(path)
        with whole_or_nothing(path) as partial:
            remove(partial)
            torch.save(checkpoint, partial)
            put_in_place(partial, path)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, in one file or in shards, to the CPU; no code in it is run, whatever is asked for."""
        path = Path(path)
        check_whole(path)
        if path.is_dir():
            return read_shards(path)
        return read_file(path)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint, in one file or in shards."""
        remove(Path(path))


def random_states() -> list[dict[str, Any]]:
    """The states of every rank's random number generators, by rank; a collective."""
    version, numbers, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state()
    mine: dict[str, Any] = {  # plain lists and tensors, which torch reads back without unpickling code
        "torch": torch.get_rng_state(),
        "python": [version, list(numbers), gauss],
        "numpy": [kind, np.asarray(keys).tolist(), *rest],
    }
    if torch.cuda.is_available():
        mine["cuda"] = torch.cuda.get_rng_state()
    return all_objects(mine, "random states")


def restore_random_states(states: Sequence[dict[str, Any]]) -> None:
    """Set this rank's random number generators to what ``random_states`` returned; says so if the ranks differ.

    Raises:
        Refusal: If they are no such states.
    """
    if len(states) != world_size():
        rank_zero_warn(
            f"The checkpoint is of {len(states)} processes, this run has {world_size()}. Prompts, their order and "
            "rollout seeds are the same, but sums over ranks round differently: weights will agree to float32 "
            "rounding, not to the bit. Random numbers of the policy itself (dropout), if it draws any, start anew."
        )
        return
    try:
        _set_random_state(states[rank()])
    except (LookupError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise Refusal(
            f"The checkpoint's random_states are none ({type(error).__name__}: {error}): no run wrote it. Take another "
            "one, or begin a new run from its weights (`lit-passk export`)."
        ) from error


def _set_random_state(mine: dict[str, Any]) -> None:
    torch.set_rng_state(mine["torch"])
    version, numbers, gauss = mine["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(mine["numpy"]))
    if "cuda" in mine and torch.cuda.is_available():
        torch.cuda.set_rng_state(mine["cuda"])
