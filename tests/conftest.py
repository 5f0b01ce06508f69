"""Fixtures that several test files share."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from lit_passk.engines.interrupts import ENDING
from lit_passk.modules import SFTModule

# A shell ignores SIGINT in what it starts in the background, nohup SIGHUP: every process under test would inherit it.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

# `caplog` sees what reaches the root logger. Lightning's stay below it, or do not, by who imported Lightning first.
logging.getLogger("lightning.pytorch").propagate = True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in tests/processes trains in processes of its own."""
    for item in items:
        if Path(__file__).with_name("processes") in item.path.parents:
            item.add_marker("processes")


@pytest.fixture(autouse=True)
def forget_user_code() -> Iterator[None]:
    """A test's `my_project` is not the next test's, which writes another one."""
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "my_project"]:
        del sys.modules[name]


def state_of_the_process() -> dict[str, object]:
    """What one test can leave to the next without anybody seeing it."""
    return {
        "a process group": dist.is_initialized(),
        "the working directory": os.getcwd(),
        "the default dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "threads of torch": torch.get_num_threads(),
        "signal handlers": {n: signal.getsignal(n) for n in ENDING},
        "functions of os": [
            getattr(os, name) for name in ("chmod", "fsync", "link", "open", "rename", "replace", "unlink")
        ],
    }


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """A test that leaves the process in another state would fail another test, in some orders only.

    The path of imports and the environment are put back: commands change them on purpose, in processes of their own.
    """
    before, path, environ = state_of_the_process(), list(sys.path), dict(os.environ)
    yield
    sys.path[:] = path
    for name in {*os.environ, *environ} - {"PYTEST_CURRENT_TEST"}:
        if name.startswith("VLLM_"):
            continue
        if name in environ:
            os.environ[name] = environ[name]
        else:
            del os.environ[name]
    after = state_of_the_process()
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert not changed, f"left behind (before, after): {changed}"


VOCABULARY = ["S", "E", "*", ".", "\n", "U", "D", "L", "R", "<answer>", "</answer>"]


@pytest.fixture(scope="session")
def maze_policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Hugging Face folder: the maze cold start's architecture with random weights, and its tokenizer."""
    with torch.random.fork_rng(), warnings.catch_warnings():
        torch.manual_seed(0)
        module = SFTModule(
            architecture={
                "model_type": "gpt2",
                "n_embd": 64,
                "n_layer": 2,
                "n_head": 2,
                "n_inner": 128,
                "n_positions": 128,
                "resid_pdrop": 0.0,
                "embd_pdrop": 0.0,
                "attn_pdrop": 0.0,
            },
            vocabulary=VOCABULARY,
        )
        module.configure_model()
    folder = tmp_path_factory.mktemp("policies") / "maze"
    module.export(folder)
    return str(folder)


@pytest.fixture(scope="session")
def configs() -> Path:
    """The shipped configurations."""
    return Path(__file__).parents[1] / "configs"
