"""Whether weights are still those that they were, without reading all of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lit_passk.inputs import expanded

CHUNKS, CHUNK = 16, 1 << 16
"""Pieces read of each file, spread over it, and their size in bytes: training changes every piece of the weights."""


def fingerprint(policy: str, ckpt_path: str | Path | None) -> str:
    """A hash of the weights that an evaluation samples with; the same for a copy of them, whenever it was made.

    Args:
        policy: Folder or hub id of the policy.
        ckpt_path: The checkpoint that takes the place of the policy's own weights, a file or a folder of shards.

    Returns:
        16 hexadecimal digits; the hub id itself where the weights are no local files.
    """
    place = expanded(ckpt_path or policy)
    if not place.exists():
        return policy
    hashed = hashlib.blake2b(digest_size=8)
    for file in [place] if place.is_file() else _weights(place) if ckpt_path is None else _files(place, "*"):
        _add(hashed, file, file.name if place.is_dir() else "")
    return hashed.hexdigest()


def policy_fingerprint(policy: str) -> str | None:
    """The same of the weights in a policy's folder; None where it is a hub id, whose files have no place of theirs."""
    return fingerprint(policy, None) if expanded(policy).exists() else None


def file_fingerprint(file: Path) -> str:
    """The same of one file, whatever its name: its size and 16 pieces of it, in 16 hexadecimal digits."""
    hashed = hashlib.blake2b(digest_size=8)
    _add(hashed, file, "")
    return hashed.hexdigest()


def _weights(folder: Path) -> list[Path]:
    """The files that transformers reads a policy's weights from: what else lies there may come and go."""
    return _files(folder, "model*.safetensors") or _files(folder, "pytorch_model*.bin")


def _files(folder: Path, names: str) -> list[Path]:
    return sorted((file for file in folder.glob(names) if file.is_file()), key=lambda file: file.name)


def _add(hashed: hashlib.blake2b, file: Path, name: str) -> None:
    size = file.stat().st_size
    hashed.update(f"{name} {size} ".encode())
    with file.open("rb") as stream:
        for number in range(CHUNKS):
            stream.seek(size * number // CHUNKS)
            hashed.update(stream.read(CHUNK))
