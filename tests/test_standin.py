"""What a GPU would refuse or wait for, seen without one: see ``helpers/standin.py``."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from helpers.ports import free_port
from helpers.ranks import ROOT
from helpers.runs import KL, LORA, arguments, write_letters
from helpers.standin import environment
from helpers.standin_checks import CASES

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="the stand-in for CUDA is compiled"),
    pytest.mark.skipif(torch.version.cuda is not None, reason="this build of torch has CUDA's own hooks"),
]

INNER = ("policy/", "losses/", "functional/", "advantages/")
"""Folders whose code runs in every micro-batch: there nothing may wait for the GPU."""


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    variables = environment(tmp_path_factory.mktemp("standin"))
    return variables | {"PYTHONPATH": f"{ROOT}/src:{ROOT}/tests"}


@pytest.fixture(scope="module")
def checks(env, tmp_path_factory):
    file = tmp_path_factory.mktemp("checks") / "checks.pt"
    command = [sys.executable, "-m", "helpers.standin_checks", str(file)]
    subprocess.run(command, check=True, env=env, timeout=900)
    return torch.load(file)


@pytest.mark.parametrize("check", ["strictness", "collectives"])
def test_the_stand_in_is_as_strict_as_a_gpu(checks, check):
    assert checks[check] is None, checks[check]


@pytest.mark.parametrize("case", CASES)
def test_an_update_of_every_family_stays_on_the_gpu(checks, case):
    """No tensor on the wrong device, no wait between the first forward pass and the optimizer, the CPU's values."""
    here, there = checks[case]
    for result in (here, there):
        assert isinstance(result, dict), result
    assert there["waits"] == {}
    assert len(here["numbers"]) > 10
    for mine, theirs in zip(here["numbers"], there["numbers"], strict=True):
        torch.testing.assert_close(theirs, mine, rtol=2e-3, atol=2e-4)


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("letters") / "policy"
    write_letters(folder)
    return str(folder)


def gpu_run(env, letters, folder, num_processes, *more):
    """``fit`` by the command line on so many processes with a GPU each; who waited for them, by process."""
    args = arguments(letters, folder, "ddp", 1, *more, "--trainer.max_steps", "4", "--checkpoint.every", "1")
    args[args.index("--trainer.accelerator") + 1] = "gpu"
    at = args.index("--trainer.strategy")
    if num_processes == 1:
        args[at + 1] = "auto"
    else:
        args[at + 1 : at + 2] = ["DDPStrategy", "--trainer.strategy.process_group_backend", "cuda:gloo"]
        args += ["--trainer.num_nodes", str(num_processes)]
    folder.mkdir(exist_ok=True)
    port, running = str(free_port()), []
    for rank in range(num_processes):
        ranks = {"NODE_RANK": str(rank), "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        command = [sys.executable, "-m", "helpers.standin_run", str(folder / f"waits{rank}.json"), *args]
        with (folder / f"rank{rank}.log").open("w") as log:
            variables = env | (ranks if num_processes > 1 else {})
            running.append(subprocess.Popen(command, env=variables, cwd=folder, stdout=log, stderr=log))
    for process in running:
        process.wait(600)
    logs = "\n".join((folder / f"rank{rank}.log").read_text()[-5000:] for rank in range(num_processes))
    assert [process.returncode for process in running] == [0] * num_processes, logs
    return [json.loads((folder / f"waits{rank}.json").read_text()) for rank in range(num_processes)]


EVERY_TERM = (*KL, "--model.entropy_coef", "0.01", "--model.loss", "KLCovLoss", "--model.loss.share", "0.2")


@pytest.fixture(scope="module")
def single(env, letters, tmp_path_factory):
    folder = tmp_path_factory.mktemp("single")
    return folder, gpu_run(env, letters, folder, 1, *EVERY_TERM)


@pytest.mark.parametrize("num_processes", [1, 2])
def test_fit_with_validations_and_checkpoints(env, letters, single, tmp_path, num_processes):
    """On two processes metrics, random states and weights are gathered over a group that knows CUDA alone.

    So is what ``KLCovLoss`` looks at: it penalises the same tokens on one process and on two.
    """
    folder, waits = single
    if num_processes == 2:
        folder, waits = tmp_path, gpu_run(env, letters, tmp_path, 2, *EVERY_TERM)
    for noted in waits:
        assert noted, "sampling waits for every token"
        assert [who for who in noted if who.startswith(INNER)] == []
    alone, run = torch.load(single[0] / "run.pt"), torch.load(folder / "run.pt")
    assert {"val/pass@1", "val/pass@2", "train/loss/kl"} <= run["metrics"].keys()
    assert run["metrics"]["train/loss/penalised"] > 0
    for name, weight in alone["weights"].items():
        torch.testing.assert_close(run["weights"][name], weight, rtol=1e-3, atol=1e-5)


def test_resume(env, letters, single, tmp_path):
    """From a checkpoint in the middle to the same weights, to the bit."""
    whole = torch.load(single[0] / "run.pt")["weights"]
    checkpoint = single[0] / "checkpoints" / "step=1.ckpt"
    gpu_run(env, letters, tmp_path, 1, *EVERY_TERM, "--ckpt_path", str(checkpoint))
    resumed = torch.load(tmp_path / "run.pt")["weights"]
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_adapters(env, letters, tmp_path):
    loss = ("--model.loss", "SimKOLoss", "--model.loss.entropy_quantile", "0.5")
    (noted,) = gpu_run(env, letters, tmp_path, 1, *KL, *LORA, *loss, "--model.correction", "TIS")
    assert [who for who in noted if who.startswith(INNER)] == []
