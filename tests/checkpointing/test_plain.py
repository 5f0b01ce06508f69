"""Checkpoints of strangers: whatever is written into one, reading it runs nothing."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
import torch
from torch.distributed import checkpoint as dcp

from lit_passk.checkpointing.files import CheckpointFiles, list_files
from lit_passk.checkpointing.plain import PlainReader, load_plain
from lit_passk.checkpointing.reading import META, read_shards
from lit_passk.checkpointing.run_folder import rl_step_of
from lit_passk.commands.export import main as export
from lit_passk.errors import Refusal

OPTIONS = {"lr": 0.25, "betas": (0.9, 0.99), "maximize": False, "foreach": None, "params": ["a"]}


class Hostile:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path):
    path = tmp_path / "was_run"
    yield path
    assert not path.exists(), "something of the checkpoint was run"


def write(folder, **more):
    state = {
        "state_dict": {"a": torch.tensor([1.0, 2.0]), "b": torch.ones(2, 2, dtype=torch.bfloat16)},
        "optimizer_0": {"state": {"a": {"step": torch.tensor(3.0)}}, "param_groups": [OPTIONS]},
    }
    dcp.save(state | more, storage_writer=dcp.FileSystemWriter(folder), no_dist=True)
    torch.save({"rl_step": 3}, folder / META)
    list_files(folder)
    return folder


@pytest.fixture
def shards(tmp_path):
    return write(tmp_path / "step=3.ckpt")


def test_an_honest_folder_is_read_whole(shards):
    read = read_shards(shards)
    assert torch.equal(read["state_dict"]["a"], torch.tensor([1.0, 2.0]))
    assert read["state_dict"]["b"].dtype == torch.bfloat16
    assert read["optimizer_states"][0]["param_groups"] == [OPTIONS | {"params": [0]}]
    assert read["rl_step"] == 3


def test_a_description_that_runs_something_is_refused(shards, mark):
    (shards / ".metadata").write_bytes(pickle.dumps(Hostile(mark)))
    with pytest.raises(Refusal, match=r"asks for pathlib\S*\.Path\.touch to be run"):
        read_shards(shards)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("torch.distributed.checkpoint.metadata", "os.system"),  # a name that leads on through a module's imports
        ("torch.distributed.checkpoint.filesystem", "pickle.loads"),
        ("torch", "load"),
        ("torch", "serialization.load"),
        ("builtins", "getattr"),
        ("torch.serialization", "_get_layout.__globals__"),
    ],
)
def test_names_that_a_description_has_no_use_for(shards, module, name):
    put = lambda text: b"\x8c" + bytes([len(text)]) + text.encode()  # noqa: E731 - SHORT_BINUNICODE
    (shards / ".metadata").write_bytes(b"\x80\x04" + put(module) + put(name) + b"\x93.")
    with pytest.raises(Refusal, match="to be run, which no description of tensors needs"):
        PlainReader(shards).read_metadata()


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"garbage", pickle.dumps({"a": 1}), pickle.dumps([])[:-2]])
def test_what_is_no_description(shards, content):
    (shards / ".metadata").write_bytes(content)
    with pytest.raises(Refusal, match="does not describe a checkpoint"):
        PlainReader(shards).read_metadata()


def test_an_entry_that_runs_something_is_refused(tmp_path, mark):
    folder = write(tmp_path / "step=3.ckpt", extra={"note": Hostile(mark)})
    with pytest.raises(Refusal, match=r"entry 'extra\.note' is more than tensors and plain values"):
        read_shards(folder)
    target = {"extra": {"note": None}}
    with pytest.raises(Refusal, match=r"entry 'extra\.note'"):
        load_plain(target, folder, no_dist=True)  # as ranks read their shards


def test_a_shard_elsewhere_is_not_read(tmp_path, shards):
    reader = dcp.FileSystemReader(shards)
    metadata = reader.read_metadata()
    for place in metadata.storage_data.values():
        shutil.copy(shards / place.relative_path, tmp_path / "elsewhere")
        place.relative_path = "../elsewhere"
    (shards / ".metadata").write_bytes(pickle.dumps(metadata))
    with pytest.raises(Refusal, match=r"names a file that lies elsewhere: '\.\./elsewhere'"):
        read_shards(shards)


@pytest.mark.parametrize(
    "read", [CheckpointFiles().load_checkpoint, lambda path: export(["--ckpt_path", str(path), "--out", "x"])]
)
def test_a_file_that_runs_something_is_refused(tmp_path, mark, read):
    path = tmp_path / "step=3.ckpt"
    torch.save({"rl_step": 3, "state_dict": {}, "policy": Hostile(mark)}, path)
    with pytest.raises(Refusal, match="cannot be read as tensors and plain values, and nothing else of it is run"):
        read(path)
    assert rl_step_of(path) == -1


def test_what_lies_beside_the_shards_is_read_the_same_way(shards, mark):
    torch.save({"rl_step": Hostile(mark)}, shards / META)
    list_files(shards)
    assert rl_step_of(shards) == -1
    with pytest.raises(Refusal, match=META):
        read_shards(shards)
