"""Folders that are in the way, vanish or have odd names: refused at the start, or nothing is lost."""

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

import lightning as L
import pytest
from helpers.result_files import SETTINGS, group
from helpers.small_runs import STEPS, run

from lit_passk.checkpointing.run_folder import last_checkpoint
from lit_passk.errors import CannotRun, Refusal
from lit_passk.results import ResultWriter, continuation, load_results
from lit_passk.results.step_files import step_files

LONG = "x" * 200
ODD = f"two words/für „alles“ 💡 [a]*/{LONG}"


def test_odd_names_and_no_folder_for_temporary_files(maze_policy, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    folder = tmp_path / ODD
    run(maze_policy, folder)
    run(maze_policy, folder, resume=True)
    assert last_checkpoint(folder).name == f"step={STEPS}.ckpt"
    with ResultWriter(folder / "a b.jsonl", SETTINGS) as writer:
        writer.write(group("p", range(4)))
    assert len(load_results(folder / "a b.jsonl").records) == 4
    assert not (tmp_path / "nowhere").exists()


def test_files_have_the_permissions_that_the_umask_leaves(maze_policy, tmp_path):
    before = os.umask(0o027)
    try:
        run(maze_policy, tmp_path / "run", every=1)
        ResultWriter(tmp_path / "run" / "results.jsonl", SETTINGS).close()
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {".gz", ".ckpt", ".jsonl"} <= {path.suffix for path in files}
    assert {path.name: path.stat().st_mode & 0o777 for path in files} == {path.name: 0o640 for path in files}


def of_no_use(*args, **kwargs):
    raise OSError(errno.ENOSYS, "Function not implemented")


def test_a_disk_that_can_neither_lock_nor_change_permissions_nor_flush_folders(
    maze_policy, tmp_path, monkeypatch, caplog
):
    fsync = os.fsync

    def fsync_of_files(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(fcntl, "flock", of_no_use)
    monkeypatch.setattr(os, "chmod", of_no_use)
    monkeypatch.setattr(os, "fsync", fsync_of_files)
    folder = tmp_path / "run"
    with pytest.warns(UserWarning, match=r"cannot be locked against a second run"):
        run(maze_policy, folder)
    assert last_checkpoint(folder).name == f"step={STEPS}.ckpt"
    assert len(step_files(folder / "rollouts")) == STEPS
    with ResultWriter(folder / "results.jsonl", SETTINGS) as writer:
        writer.write(group("p0", range(4)))
        writer.write(group("p1", range(4)))
    assert caplog.text.count("results.jsonl cannot be locked (Function not implemented)") == 1
    assert len(load_results(folder / "results.jsonl").records) == 8
    continuation.ResultsFile(folder / "results.jsonl", SETTINGS).close()
    monkeypatch.setattr(continuation, "world_size", lambda: 2)
    with pytest.raises(Refusal, match=r"on a disk that cannot lock files"):
        continuation.ResultsFile(folder / "results.jsonl", SETTINGS)


def test_results_that_are_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    for path in (tmp_path / "pipe.jsonl", Path(os.devnull)):
        with pytest.raises(Refusal, match=r"is a (pipe|device)"):
            ResultWriter(path, SETTINGS)


def a_file(path):
    path.write_text("")


def a_link_to_nothing(path):
    path.symlink_to(path.with_name("nothing"))


@pytest.mark.parametrize("put", [a_file, a_link_to_nothing])
@pytest.mark.parametrize(("place", "what"), [(".", "cannot be written to"), ("checkpoints", "is no folder")])
def test_something_else_where_a_folder_is_to_be_is_refused_at_the_start(maze_policy, tmp_path, put, place, what):
    folder = tmp_path / "run"
    if place != ".":
        folder.mkdir()
    put(folder / place)
    with pytest.raises(Refusal, match=f"run.*{what}"):
        run(maze_policy, folder)


@pytest.mark.parametrize("place", ["run", "run/checkpoints", f"{LONG}{LONG}"])
def test_what_may_not_be_written_is_refused_at_the_start(maze_policy, tmp_path, monkeypatch, place):
    folder = tmp_path / place.partition("/")[0]
    if len(folder.name) < 255:
        (tmp_path / place).mkdir(parents=True)
    really, may = os.open, os.access

    def read_only(path, flags, *args, **kwargs):
        if str(path) == str(tmp_path / "run" / "run.lock") and place == "run":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return really(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(tmp_path / place) and may(path, mode))
    with pytest.raises(Refusal, match=r"Read-only file system|may not be written to|File name too long"):
        run(maze_policy, folder)


class Remove(L.Callback):
    """Removes the run's folder after a step."""

    def on_train_batch_end(self, trainer, pl_module, *args):
        if pl_module.rl_step == 2:
            shutil.rmtree(trainer.default_root_dir)


def test_the_folder_of_a_run_that_vanishes_comes_back(maze_policy, tmp_path):
    folder = tmp_path / "run"
    run(maze_policy, folder, Remove(), every=1)
    assert last_checkpoint(folder).name == f"step={STEPS}.ckpt"
    assert max(step_files(folder / "rollouts")) == STEPS


def test_a_result_file_that_vanishes_comes_back_with_all_it_held(tmp_path, caplog):
    path = tmp_path / "results" / "r.jsonl"
    with ResultWriter(path, SETTINGS) as writer, ResultWriter(path, SETTINGS) as other:
        writer.write(group("p0", range(4)))
        shutil.rmtree(path.parent)
        writer.write(group("p1", range(4)))
        other.write(group("p2", range(4)))
        writer.write(group("p2", range(5)))
        assert caplog.text.count("was removed while it was being written") == 1
    held = sorted((record.problem_id, record.sample) for record in load_results(path).records)
    assert held == [(p, sample) for p in ("p0", "p1") for sample in range(4)] + [("p2", sample) for sample in range(5)]


def test_a_result_file_that_was_replaced_is_left_alone(tmp_path):
    path = tmp_path / "r.jsonl"
    with ResultWriter(path, SETTINGS) as writer:
        writer.write(group("p0", range(4)))
        path.unlink()
        path.write_text("somebody else's\n")
        with pytest.raises(CannotRun, match="was replaced by another file"):
            writer.write(group("p1", range(4)))
    assert path.read_text() == "somebody else's\n"


@pytest.mark.parametrize("make", ["file", "link", "long"])
def test_a_result_file_that_cannot_be_opened_is_named(tmp_path, make):
    path = tmp_path / "there" / "r.jsonl"
    if make == "file":
        a_file(path.parent)
    elif make == "link":
        a_link_to_nothing(path.parent)
    else:
        path = tmp_path / f"{LONG}{LONG}.jsonl"
    with pytest.raises(CannotRun, match=r"jsonl' could not be written: .*name another file"):
        ResultWriter(path, SETTINGS)
