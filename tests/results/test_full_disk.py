"""A disk that is full: what was on it is whole, the path is named, nothing half-written is left."""

import errno
import os
import resource
import subprocess
from contextlib import suppress

import pytest
import torch
from helpers.result_files import SETTINGS, group
from helpers.small_runs import STEPS, run

from lit_passk.checkpointing.run_folder import last_checkpoint
from lit_passk.commands.export import export
from lit_passk.commands.report import report
from lit_passk.errors import CannotRun
from lit_passk.results import ResultWriter, load_results


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, and how to change its size in KiB; skipped where nobody may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1600k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("nothing may be mounted here")
    resize = ["mount", "-o", "remount,size={}k", str(folder)]
    yield folder, lambda size: subprocess.run([part.format(size) for part in resize], check=True)
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    """Leave no room."""
    with (folder / "filler").open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(bytes(1 << 12))


def write_many(writer):
    for problem in range(1, 100):
        writer.write(group(f"p{problem}", range(4)))


def test_a_limit_on_the_size_of_files_is_named(maze_policy, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40 << 10, before[1]))
    try:
        with pytest.raises(CannotRun, match=r"could not be written: .* `ulimit -f` allows 40 KiB a file"):
            run(maze_policy, tmp_path / "run", every=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


def test_a_checkpoint(maze_policy, small_disk, tmp_path):
    folder, resize = small_disk
    with pytest.raises(
        CannotRun, match=r"'\S*checkpoints/step=2.ckpt' could not be written: .*go on by `--ckpt_path last`"
    ):
        run(maze_policy, folder, every=1)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step=1.ckpt"]
    assert not (folder / "run.lock").exists()
    resize(10_000)
    _, module = run(maze_policy, folder, resume=True)
    _, undisturbed = run(maze_policy, tmp_path / "other")
    ours, theirs = module.state_dict(), undisturbed.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)  # exact: going on is the same arithmetic
    assert last_checkpoint(folder).name == f"step={STEPS}.ckpt"


def test_results_an_export_and_a_report(maze_policy, small_disk, tmp_path):
    folder, _ = small_disk
    run(maze_policy, tmp_path / "run")
    checkpoint = last_checkpoint(tmp_path / "run")
    with ResultWriter(folder / "results.jsonl", SETTINGS) as writer:
        writer.write(group("p0", range(4)))
        report([folder / "results.jsonl"], out=folder / "report")
        export(checkpoint, folder / "model")
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        fill(folder)
        with pytest.raises(CannotRun, match=r"results.jsonl' could not be written: No space left on device"):
            write_many(writer)
    with pytest.raises(CannotRun, match=r"report/report\.\w+' could not be written: No space left on device"):
        report([folder / "results.jsonl"], out=folder / "report")
    with pytest.raises(CannotRun, match=r"model' could not be written: .*No space left on device"):
        export(checkpoint, folder / "model")
    (folder / "filler").unlink()
    held = len(load_results(folder / "results.jsonl").records)
    assert held % 4 == 0, "whole groups"
    del before[folder / "results.jsonl"]
    assert {path: path.read_bytes() for path in before} == before
    assert len([path for path in folder.rglob("*") if path.is_file()]) == len(before) + 1, "nothing half-written"
    with ResultWriter(folder / "results.jsonl", SETTINGS) as writer:
        writer.write(group("last", range(4)))
    assert len(load_results(folder / "results.jsonl").records) == held + 4


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EIO])
def test_a_quota_or_a_disk_that_fails_when_a_checkpoint_is_flushed(maze_policy, tmp_path, monkeypatch, number):
    fsync, calls = os.fsync, []

    def fail(descriptor):
        calls.append(descriptor)
        if ".ckpt" in os.readlink(f"/proc/self/fd/{descriptor}") and len(calls) > 4:
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CannotRun, match=rf"step=\d.ckpt' could not be written: .*{os.strerror(number)}"):
        run(maze_policy, tmp_path, every=1)
    left = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert len(left) == 1
    assert left[0].startswith("step=")
