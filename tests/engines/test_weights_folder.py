"""Folders of weights for servers: a killed run's is removed by the next, a living one's is left alone."""

import errno
import fcntl
import os
import shutil
import signal

from lit_passk.engines.weights_folder import PREFIX, WeightsFolder


def left_by_a_killed_process(parent):
    """The name of the folder of a process that is gone."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        folder = WeightsFolder(parent)
        (folder.path / "version-3").mkdir()
        (folder.path / "version-3" / "model.safetensors").write_bytes(bytes(1000))
        os.write(writing, str(folder.path).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(writing)
    with open(reading) as stream:
        return stream.read()


def test_what_a_kill_left_is_removed_and_nothing_else(tmp_path):
    mine = WeightsFolder(str(tmp_path))
    unknown = tmp_path / f"{PREFIX}of-somebody"
    unknown.mkdir()
    left = left_by_a_killed_process(str(tmp_path))
    assert os.path.exists(left)
    another = WeightsFolder(str(tmp_path))
    assert not os.path.exists(left)
    assert {path.name for path in tmp_path.iterdir()} == {mine.path.name, another.path.name, unknown.name}
    mine.remove()
    another.remove()
    assert list(tmp_path.iterdir()) == [unknown]


def test_one_that_is_removed_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    lock, taken = fcntl.flock, []

    def late(file, how):
        if not taken:  # another process looks for what was left over
            taken.append([shutil.rmtree(folder) for folder in tmp_path.iterdir()])
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    folder = WeightsFolder(str(tmp_path))
    assert taken
    assert list(tmp_path.iterdir()) == [folder.path]


def test_on_a_disk_without_locks_nothing_is_taken_for_left_over(tmp_path, monkeypatch):
    def of_no_use(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", of_no_use)
    one, two = WeightsFolder(str(tmp_path)), WeightsFolder(str(tmp_path))
    assert one.path.is_dir()
    for folder in (one, two):
        folder.remove()
    assert not list(tmp_path.iterdir())
