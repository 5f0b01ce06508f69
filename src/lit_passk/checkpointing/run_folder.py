"""A folder is one run's: where its checkpoints lie, which is the last, and who may train into it."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

import torch
from lightning.pytorch.utilities import rank_zero_warn

from lit_passk.checkpointing.reading import META, is_whole
from lit_passk.errors import Refusal

log = logging.getLogger(__name__)


def checkpoint_folder(root: str | Path | None) -> Path:
    """Where the checkpoints of a run lie, given ``trainer.default_root_dir``."""
    return (Path(root) if root is not None else Path.cwd()) / "checkpoints"


def last_checkpoint(root: str | Path | None) -> Path | None:
    """What ``--ckpt_path last`` is: the whole checkpoint of a run with the most RL steps, None when there is none."""
    return find_last(checkpoint_folder(root))


def find_last(folder: str | Path) -> Path | None:
    """The whole checkpoint of a folder with the most RL steps, None when there is none; the log names broken ones."""
    found = _checkpoints(Path(folder))
    whole = [path for path in found if is_whole(path)]
    for path in sorted(set(found) - set(whole)):
        log.warning("%s is not a whole checkpoint and is passed over.", path)
    return _last(whole)


def check_own(root: str | Path | None, ckpt_path: str | Path | None) -> None:
    """Refuse to train into a folder whose checkpoints this run would replace.

    Args:
        root: ``trainer.default_root_dir``.
        ckpt_path: The checkpoint that the run goes on from, None when it starts anew.

    Raises:
        Refusal: If the folder holds checkpoints, and the run does not go on from the last of them.
    """
    folder = checkpoint_folder(root).resolve()
    last = _last([path for path in _checkpoints(folder) if is_whole(path)])
    if last is None:
        return
    begin = Path(ckpt_path).resolve() if ckpt_path is not None else None
    logs = folder.parent / "lightning_logs"  # where Lightning's own ModelCheckpoint writes
    if begin is None or not (begin.parent in (folder, folder.parent) or begin.is_relative_to(logs)):
        raise Refusal(
            f"{str(folder)!r} holds the checkpoints of a run, the last of them {last.name!r}, which this run would "
            "replace. Go on with that run by `--ckpt_path last`, or set `trainer.default_root_dir` to a new folder."
        )
    if is_whole(begin) and rl_step_of(begin) < rl_step_of(last):
        raise Refusal(
            f"`--ckpt_path` is {str(ckpt_path)!r}, but its run went on to {last.name!r}, which this run would replace. "
            "Go on from there by `--ckpt_path last`, or set `trainer.default_root_dir` to a new folder to branch off."
        )


def rl_step_of(path: Path) -> int:
    """RL steps that a whole checkpoint was written after; -1 when it does not say."""
    file, mmap = (path / META, False) if path.is_dir() else (path, True)  # no weights are read
    try:
        return torch.load(file, map_location="cpu", mmap=mmap, weights_only=True).get("rl_step", -1)
    except Exception as error:  # of what may be any file, or a damaged one, torch raises nearly everything
        log.warning("%s does not say of which RL step it is: %s", path, error)
        return -1


def _checkpoints(folder: Path) -> list[Path]:
    return [p for p in [*folder.glob("*.ckpt"), *folder.glob(".*.ckpt.old")] if not p.is_symlink()]


def _last(whole: list[Path]) -> Path | None:
    steps = {path: rl_step_of(path) for path in whole}
    ours = [path for path, step in steps.items() if step >= 0]  # the cold start's, for instance, are not
    return max(ours, key=lambda path: (steps[path], not path.name.startswith("."), path.name), default=None)


def check_writable(folder: Path) -> None:
    """Refuse a folder of checkpoints that none could be written to, before steps are trained for them.

    Raises:
        Refusal: If it is a file, a link to nothing, or read-only. One that does not exist is made when it is needed.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        reason = "may not be written to" if folder.is_dir() else "is no folder"
        raise Refusal(
            f"No checkpoint can be written: {str(folder)!r} {reason}. Remove it, or set `trainer.default_root_dir` to "
            "another folder."
        )


class FolderLock:
    """Held by the one process that trains into a folder; ends with the process, however that ends.

    Args:
        path: The lock file; its folder is made.
        what: What is locked, for the message.

    Raises:
        Refusal: If another process holds it, or it cannot be written.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise Refusal(f"{what} cannot be written to: {error.strerror}. Choose another folder.") from error
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(self._file, 100).decode(errors="replace")
                os.close(self._file)
                raise Refusal(
                    f"{what} is in use by a run that has not ended ({holder or 'it has just begun'}). Wait for it, or "
                    "choose another folder."
                ) from None
            except OSError as error:
                rank_zero_warn(f"{what} cannot be locked against a second run ({error.strerror}): start only one.")
            if os.path.exists(path) and os.path.samestat(os.fstat(self._file), os.stat(path)):
                break
            os.close(self._file)  # its holder removed it in between
        os.ftruncate(self._file, 0)
        os.write(self._file, f"process {os.getpid()} on {os.uname().nodename}".encode())

    def release(self) -> None:
        """Let others in."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)
