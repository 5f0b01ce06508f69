"""Folders of shards read as data: what a stranger wrote into one runs nothing.

``torch.distributed.checkpoint`` unpickles a folder's ``.metadata`` and every entry that is no tensor, so that opening a
checkpoint would run whatever its author liked. Here both yield plain values, or a refusal.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint import filesystem, metadata
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.planner import LoadPlan, ReadItem

from lit_passk.errors import Refusal
from lit_passk.inputs import check_file

_DESCRIPTIONS = {
    (kind.__module__, kind.__name__): kind
    for kind in (
        metadata.Metadata,
        metadata.MetadataIndex,
        metadata.StorageMeta,
        metadata.TensorProperties,
        metadata.TensorStorageMetadata,
        metadata.ChunkStorageMetadata,
        metadata.BytesStorageMetadata,
        metadata._MEM_FORMAT_ENCODING,
        filesystem._StorageInfo,
        torch.serialization._get_layout,
        torch.Size,
        type(Path()),  # where the checkpoint was written
    )
} | {("pathlib", type(Path()).__name__): type(Path()), ("pathlib._local", type(Path()).__name__): type(Path())}
"""What describes a checkpoint. Looked up whole: a dotted name would lead on to whatever these modules import."""

_MALFORMED = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, MemoryError)
"""What an unpickler raises besides its own error when it is given something else."""


def read_plain(path: Path, mmap: bool = False, map_location: Any = "cpu") -> dict[str, Any]:
    """What ``torch.save`` wrote into a file, if it is tensors and plain values.

    Raises:
        Refusal: If it is more, or nothing that ``torch.save`` writes.
    """
    try:
        return torch.load(path, map_location=map_location, mmap=mmap, weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((line.strip() for line in str(error).splitlines() if "Unsupported" in line), str(error)[:300])
        raise Refusal(
            f"{str(path)!r} cannot be read as tensors and plain values, and nothing else of it is run: {reason}"
        ) from None


def load_plain(state: dict[str, Any], path: Path, no_dist: bool = False) -> None:
    """Fill ``state`` from a folder of shards, which runs nothing; a collective unless ``no_dist``.

    Raises:
        Refusal: If the folder holds more than tensors and plain values.
    """
    try:
        dcp.load(state, storage_reader=PlainReader(path), planner=PlainPlanner(), no_dist=no_dist)
    except CheckpointException as error:  # of any rank
        refusals = [why for why, _ in error.failures.values() if isinstance(why, Refusal)]
        raise refusals[0] if refusals else error from None


class PlainReader(dcp.FileSystemReader):
    """Reads a folder of shards whose description holds nothing but a description.

    Args:
        path: The checkpoint.
    """

    def read_metadata(self, *args: Any, **kwargs: Any) -> metadata.Metadata:
        """What the folder holds.

        Raises:
            Refusal: If its ``.metadata`` asks for anything but what describes tensors, or is none.
        """
        file = Path(self.path) / ".metadata"
        check_file(file)
        try:
            found = _DescriptionUnpickler(io.BytesIO(file.read_bytes())).load()
            if not isinstance(found, metadata.Metadata):
                raise TypeError(f"it is a {type(found).__name__}")
        except Refusal:
            raise
        except (pickle.UnpicklingError, EOFError, *_MALFORMED) as error:
            raise Refusal(f"{str(file)!r} does not describe a checkpoint: {error}") from None
        found.storage_meta = found.storage_meta or metadata.StorageMeta()
        found.storage_meta.load_id = self.load_id
        return found

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """Refuse shards outside of the folder."""
        for file in sorted({self.storage_data[item.storage_index].relative_path for item in plan.items}):
            if Path(file).name != file:
                raise Refusal(f"The checkpoint {str(self.path)!r} names a file that lies elsewhere: {file!r}.")
        return super().prepare_local_plan(plan)


class PlainPlanner(dcp.DefaultLoadPlanner):
    """Reads what is no tensor (the options of an optimizer) as plain values."""

    def load_bytes(self, read_item: ReadItem, value: io.BytesIO) -> None:
        """Put one value where it belongs.

        Raises:
            Refusal: If it is more than tensors and plain values.
        """
        try:
            plain = torch.load(value, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            name = read_item.storage_index.fqn
            raise Refusal(f"The checkpoint's entry {name!r} is more than tensors and plain values: {error}") from None
        again = io.BytesIO()
        torch.save(plain, again)
        again.seek(0)
        super().load_bytes(read_item, again)  # which knows the place, and unpickles what was made here


class _DescriptionUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and isinstance(kind := getattr(torch, name, None), torch.dtype):
            return kind
        if (module, name) not in _DESCRIPTIONS:
            raise Refusal(
                f"The checkpoint asks for {module}.{name} to be run, which no description of tensors needs. Nothing of "
                "it was read. Take the checkpoint from whom you trust, or ask them for safetensors."
            )
        return _DESCRIPTIONS[module, name]
