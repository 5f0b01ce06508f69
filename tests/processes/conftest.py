"""Training runs of one to four processes, each made once and looked at by several tests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from filelock import FileLock
from helpers.ranks import Ranks
from helpers.runs import KL, Run, arguments, write_letters


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test workers share, so that none repeats another's run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "runs"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def policy(shared: Path) -> str:
    """A random one-layer Llama over eight letters; head_dim 32, so that vLLM runs it too."""
    return shared_letters(shared / "letters", tied=False)


@pytest.fixture(scope="session")
def tied_policy(shared: Path) -> str:
    """The same with one matrix for both embeddings."""
    return shared_letters(shared / "tied-letters", tied=True)


def shared_letters(folder: Path, tied: bool) -> str:
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            write_letters(partial, tied)
            partial.rename(folder)
    return str(folder)


@pytest.fixture(scope="session")
def train(policy: str, shared: Path) -> Callable[..., Run]:
    """Train on so many processes; what any worker was asked for before is not run again."""

    def run(strategy: str, num_processes: int, more: Sequence[str] = KL, timeout: float = 120) -> Run:
        key = hashlib.sha256(repr((strategy, num_processes, tuple(more))).encode()).hexdigest()[:8]
        folder = shared / f"{strategy}-{num_processes}-{key}"
        with FileLock(f"{folder}.lock"):
            if not (folder / "output.txt").exists():
                args = arguments(policy, folder, strategy, num_processes, *more)
                output = Ranks(args, num_processes, folder).succeed(timeout).output()
                (folder / "output.txt").write_text(output)
        return Run(folder, (folder / "output.txt").read_text(), num_processes)

    return run
