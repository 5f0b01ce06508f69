"""Checkpoints that are whole or do not exist, in one file or in a folder of shards, and how either is read.

A checkpoint is written under another name, flushed to the disk and then renamed. A folder of shards also carries a list
of its files and their sizes, so that one that lost a part later (a removal that was cut short) is recognised too.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_warn
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from lit_passk.checkpointing.plain import PlainReader, load_plain, read_plain
from lit_passk.distributed import all_objects, rank, world_size
from lit_passk.errors import Refusal

FILES = "files.json"
META = "meta.pt"
"""What is neither weights nor optimizer state in a folder of shards; Lightning's own name for it."""


def partial_path(path: Path) -> Path:
    """Where a checkpoint lies while it is written."""
    return path.with_name(f".{path.name}.partial")


def list_files(folder: Path) -> None:
    """Write down what a folder of shards consists of."""
    sizes = {file.name: file.stat().st_size for file in folder.iterdir()}
    (folder / FILES).write_text(json.dumps(sizes))


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


def check_replaceable(folder: Path, models: bool = True) -> None:
    """Refuse to write a model's folder over something else: the whole folder would be replaced.

    Args:
        folder: Where it is to be.
        models: Whether the folder of another model may be replaced.

    Raises:
        Refusal: If there is a file, or a folder with anything but a model in it.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
        raise Refusal(
            f"`--out` {str(folder)!r} exists and is not the folder of a model; it would be replaced as a whole. "
            "Name a folder that does not exist yet."
        )
    if not models:
        raise Refusal(f"`--out` {str(folder)!r} holds a model already. Remove it, or name a new folder.")


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is complete."""
    if not path.is_dir():
        return zipfile.is_zipfile(path)  # its directory is at the end of the file
    try:
        sizes = json.loads((path / FILES).read_text())
    except (OSError, ValueError):
        return False
    return all((path / name).is_file() and (path / name).stat().st_size == size for name, size in sizes.items())


def check_whole(path: Path) -> None:
    """Refuse to read a checkpoint that is not there or lacks a part.

    Raises:
        ValueError: With what is the matter.
    """
    if not path.exists():
        raise Refusal(f"There is no checkpoint at {str(path)!r}.")
    if path.is_dir() and not any((path / name).exists() for name in (FILES, META, ".metadata")):
        raise Refusal(f"The folder {str(path)!r} holds no checkpoint.")
    foreign = path.is_dir() and not (path / FILES).exists()  # Lightning's own shards come without the list
    if not ((path / META).is_file() and (path / ".metadata").is_file() if foreign else is_whole(path)):
        raise Refusal(
            f"The checkpoint {str(path)!r} is not whole (whatever wrote or removed it was stopped), or no checkpoint "
            "at all. `--ckpt_path last` finds the newest whole one of a run."
        )


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
    finally:
        os.close(descriptor)


def read_shards(path: Path, prefix: str = "") -> dict[str, Any]:
    """Put a folder of shards together in this process, without a process group.

    Args:
        path: The checkpoint.
        prefix: Read entries that start so only, such as ``state_dict.``; ``meta.pt`` is left out then.

    Returns:
        What a checkpoint in one file holds, ``optimizer_states`` included.
    """
    metadata = PlainReader(path).read_metadata()
    flat: dict[str, Any] = {
        name: torch.empty(e.size, dtype=e.properties.dtype) if isinstance(e, TensorStorageMetadata) else None
        for name, e in metadata.state_dict_metadata.items()
        if name.startswith(prefix)
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # that is what `no_dist` says
        load_plain(flat, path, no_dist=True)
    nested = _nest({metadata.planner_data[name]: value for name, value in flat.items()})
    if prefix:
        return nested
    states = sorted(key for key in nested if key.startswith("optimizer_"))
    optimizers = {"optimizer_states": [number_parameters(nested.pop(key)) for key in states]} if states else {}
    return nested | optimizers | read_plain(path / META)


def _nest(flat: dict[tuple[str | int, ...], Any]) -> Any:
    """Dictionaries and lists again, from values by their paths."""
    below: dict[str | int, dict[tuple[str | int, ...], Any]] = {}
    for (key, *rest), value in flat.items():
        below.setdefault(key, {})[tuple(rest)] = value
    values = {key: part[()] if () in part else _nest(part) for key, part in below.items()}
    return [values[i] for i in range(len(values))] if all(isinstance(key, int) for key in values) else values


def number_parameters(state: dict[str, Any]) -> dict[str, Any]:
    """An optimizer state whose parameters go by their place instead of their name."""
    names = [name for group in state["param_groups"] for name in group["params"]]
    number = {name: i for i, name in enumerate(names)}
    return {
        "state": {number[name]: value for name, value in state["state"].items()},
        "param_groups": [g | {"params": [number[name] for name in g["params"]]} for g in state["param_groups"]],
    }


def name_parameters(state: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """An optimizer state whose parameters go by their name instead of their place."""
    return {
        "state": {names[i]: value for i, value in state["state"].items()},
        "param_groups": [g | {"params": [names[i] for i in g["params"]]} for g in state["param_groups"]],
    }


class CheckpointFiles(TorchCheckpointIO):
    """Checkpoints in one file, replaced as a whole; reads folders of shards too."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint: all of it or none."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = partial_path(path)
        remove(partial)
        torch.save(checkpoint, partial)
        put_in_place(partial, path)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, in one file or in shards."""
        path = Path(path)
        check_whole(path)
        if path.is_dir():
            return read_shards(path)
        checkpoint = read_plain(path, map_location=map_location)
        if "rl_step" not in checkpoint:
            raise Refusal(f"{str(path)!r} is not a checkpoint of `lit-passk fit`.")
        return checkpoint

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
    """Set this rank's random number generators to what ``random_states`` returned; says so if the ranks differ."""
    if len(states) != world_size():
        rank_zero_warn(
            f"The checkpoint is of {len(states)} processes, this run has {world_size()}. Prompts, their order and "
            "rollout seeds are the same, but sums over ranks round differently: weights will agree to float32 "
            "rounding, not to the bit. Random numbers of the policy itself (dropout), if it draws any, start anew."
        )
        return
    mine = states[rank()]
    torch.set_rng_state(mine["torch"])
    version, numbers, gauss = mine["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(mine["numpy"]))
    if "cuda" in mine and torch.cuda.is_available():
        torch.cuda.set_rng_state(mine["cuda"])
