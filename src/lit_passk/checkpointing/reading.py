"""How checkpoints are read: whole, undamaged and of this project, or not at all."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from lit_passk.checkpointing.entries import check_entries
from lit_passk.checkpointing.fingerprint import file_fingerprint
from lit_passk.checkpointing.plain import PlainReader, load_plain, read_plain
from lit_passk.errors import Refusal
from lit_passk.inputs import check_file

FILES = "files.json"
META = "meta.pt"
"""What is neither weights nor optimizer state in a folder of shards; Lightning's own name for it."""


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is complete."""
    if not path.is_dir():
        return path.is_file() and _is_zip(path)
    try:
        check_file(path / FILES)
        listed = json.loads((path / FILES).read_text())
        return all((path / name).is_file() and _is_as_listed(path / name, entry) for name, entry in listed.items())
    except (OSError, ValueError, RecursionError, AttributeError):  # no JSON, or no object
        return False


def _is_as_listed(file: Path, entry: Any) -> bool:
    """Whether a file has the size and the pieces that the list says; lists of earlier versions say sizes alone."""
    match entry:
        case [size, pieces]:
            return file.stat().st_size == size and file_fingerprint(file) == pieces
    return bool(file.stat().st_size == entry)


def _is_zip(path: Path) -> bool:
    """Whether it is a zip file from its first byte, as torch wants it, to the directory at its end."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04" and zipfile.is_zipfile(file)


def check_whole(path: Path) -> None:
    """Refuse to read a checkpoint that is not there or lacks a part.

    Raises:
        ValueError: With what is the matter.
    """
    if not path.exists():
        raise Refusal(f"There is no checkpoint at {str(path)!r}.")
    if path.is_dir() and not any((path / name).exists() for name in (FILES, META, ".metadata")):
        inside = sorted(path.glob("*.ckpt")) or sorted((path / "checkpoints").glob("*.ckpt"))
        hint = f" Name one in it, such as {str(inside[-1])!r}." if inside else ""
        raise Refusal(f"The folder {str(path)!r} holds no checkpoint.{hint}")
    foreign = path.is_dir() and not (path / FILES).exists()  # Lightning's own shards come without the list
    if not ((path / META).is_file() and (path / ".metadata").is_file() if foreign else is_whole(path)):
        raise Refusal(
            f"The checkpoint {str(path)!r} is not whole (whatever wrote or removed it was stopped, or files of others "
            "are among its own), or no checkpoint at all. `--ckpt_path last` finds the newest whole one of a run."
        )


def read_file(path: Path, *, mmap: bool = False) -> dict[str, Any]:
    """What a checkpoint in one file holds, or what is neither weights nor optimizer state of one in shards.

    Args:
        path: The file.
        mmap: Leave tensors on the disk until they are used.

    Raises:
        Refusal: If it is damaged, or was written by something else.
    """
    _check_bytes(path)
    checkpoint = read_plain(path, mmap=mmap)
    if not isinstance(checkpoint, dict) or "rl_step" not in checkpoint:
        raise Refusal(
            f"{str(path)!r} is not a checkpoint of `lit-passk fit`. Weights of other projects are given as a Hugging "
            "Face folder, by `model.policy`."
        )
    check_entries(checkpoint, path)
    return checkpoint


def _check_bytes(path: Path) -> None:
    """Compare the file's content with its own checksums, which ``torch.load`` does not."""
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        damaged = f"its directory: {error}"
    if damaged is not None:
        raise Refusal(
            f"The checkpoint {str(path)!r} is damaged ({damaged}): what is on the disk is not what was written. Remove "
            "it to go on from the one before, or copy it again."
        )


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
    return nested | optimizers | read_file(path / META)


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
