"""Whose a folder is, and which of its checkpoints is the last."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from lit_passk.checkpointing.files import list_files
from lit_passk.checkpointing.reading import FILES, META
from lit_passk.checkpointing.run_folder import FolderLock, check_own, last_checkpoint, rl_step_of
from lit_passk.errors import Refusal


def write(path, step, age=0):
    """A checkpoint of so many RL steps, written so many seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"state_dict": {"w": torch.zeros(3)}} | ({"rl_step": step} if step is not None else {})
    torch.save(content, path)
    os.utime(path, (10**9 - age, 10**9 - age))
    return path


def write_shards(path, step):
    path.mkdir(parents=True)
    torch.save({"rl_step": step}, path / META)
    list_files(path)
    return path


def test_last_has_the_most_rl_steps_whatever_its_name_or_age(tmp_path):
    folder = tmp_path / "checkpoints"
    write(folder / "step=9.ckpt", 9)
    write(folder / "step=50.ckpt", 50, age=100)
    assert last_checkpoint(tmp_path).name == "step=50.ckpt"
    write(folder / "epoch=0-step=400.ckpt", 40)  # Lightning counts optimizer steps in its names
    assert last_checkpoint(tmp_path).name == "step=50.ckpt"
    write_shards(folder / "step=100.ckpt", 100)
    assert last_checkpoint(tmp_path).name == "step=100.ckpt"
    shutil.copytree(tmp_path, tmp_path / "copy")  # in an order of its own, with new times
    assert last_checkpoint(tmp_path / "copy").name == "step=100.ckpt"


def test_what_is_broken_or_of_no_run_is_not_the_last(tmp_path):
    folder = tmp_path / "checkpoints"
    assert last_checkpoint(tmp_path) is None
    write(folder / "cold_start.ckpt", None)
    assert last_checkpoint(tmp_path) is None
    write(folder / "step=2.ckpt", 2)
    (folder / "step=3.ckpt").write_bytes((folder / "step=2.ckpt").read_bytes()[:-1])
    shards = write_shards(folder / "step=4.ckpt", 4)
    (shards / FILES).unlink()
    (folder / "step=5.ckpt").symlink_to(folder / "nowhere")
    assert last_checkpoint(tmp_path).name == "step=2.ckpt"
    (folder / "step=2.ckpt").rename(folder / ".step=2.ckpt.old")  # killed while the next of its name was put in place
    assert rl_step_of(last_checkpoint(tmp_path)) == 2


def test_a_folder_is_one_runs(tmp_path):
    check_own(tmp_path, None)
    elsewhere = write(tmp_path / "other" / "checkpoints" / "step=7.ckpt", 7)
    check_own(tmp_path, elsewhere)  # a branch begins in a folder of its own
    early, late = (write(tmp_path / "checkpoints" / f"step={step}.ckpt", step) for step in (9, 50))
    for start in (None, elsewhere):
        with pytest.raises(Refusal, match=r"'step=50.ckpt'.*would replace.*--ckpt_path last.*default_root_dir"):
            check_own(tmp_path, start)
    with pytest.raises(Refusal, match=r"went on to 'step=50.ckpt'"):
        check_own(tmp_path, early)
    check_own(tmp_path, late)
    check_own(tmp_path, write(tmp_path / "hpc_ckpt_1.ckpt", 55))


def test_one_process_at_a_time(tmp_path):
    lock = FolderLock(tmp_path / "run.lock", "The folder")
    with pytest.raises(Refusal, match=rf"The folder is in use by a run that has not ended \(process {os.getpid()} on "):
        FolderLock(tmp_path / "run.lock", "The folder")
    lock.release()
    assert list(tmp_path.iterdir()) == []
    FolderLock(tmp_path / "run.lock", "The folder").release()


def test_a_killed_process_holds_nothing(tmp_path):
    code = (
        "import os, sys, pathlib; from lit_passk.checkpointing.run_folder import FolderLock;"
        "lock = FolderLock(pathlib.Path(sys.argv[1]), 'x'); print('held', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / "run.lock"], **pipes) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Refusal, match=f"process {holder.pid} on"):
            FolderLock(tmp_path / "run.lock", "x")
        holder.kill()
        holder.wait()
    assert (tmp_path / "run.lock").exists()
    FolderLock(tmp_path / "run.lock", "x").release()
