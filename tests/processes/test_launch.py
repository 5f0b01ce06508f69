"""The ways to start several processes: Lightning's own, torchrun on two nodes, SLURM on two nodes."""

import os
import subprocess
import sys

import pytest
import torch
from helpers.ports import free_port
from helpers.ranks import Ranks
from helpers.runs import KL, Run, arguments

SHORT = ("--trainer.max_steps", "4", "--trainer.limit_val_batches", "0")
NODES = ("--trainer.num_nodes", "2", "--trainer.devices", "1")


@pytest.fixture(scope="module")
def expected(train):
    return train("fsdp2", 2, (*KL, *SHORT)).weights


def check(folder, expected):
    weights = Run(folder, "", 2).weights
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert (folder / "checkpoints" / "step=2.ckpt" / "files.json").is_file()


def test_lightning_starts_the_others(policy, tmp_path, expected):
    args = arguments(policy, tmp_path, "fsdp2", 2, *KL, *SHORT)
    env = os.environ | {"MASTER_PORT": str(free_port())}  # Lightning's own choice could be taken by another test
    subprocess.run([sys.executable, "-m", "lit_passk.cli", *args], check=True, timeout=300, cwd=tmp_path, env=env)
    check(tmp_path, expected)


def test_torchrun_on_two_nodes(policy, tmp_path, expected):
    args = arguments(policy, tmp_path, "fsdp2", 2, *KL, *SHORT, *NODES)
    port = str(free_port())
    nodes = []
    for node in ("0", "1"):
        agent = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1", f"--node_rank={node}"]
        agent += ["--master_addr=127.0.0.1", f"--master_port={port}", "-m", "lit_passk.cli"]
        nodes.append(subprocess.Popen([sys.executable, *agent, *args], cwd=tmp_path))
    assert [node.wait(300) for node in nodes] == [0, 0]
    check(tmp_path, expected)


def test_slurm_on_two_nodes(policy, tmp_path, expected):
    def srun(rank):
        return {
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NAME": "train",
            "SLURM_NNODES": "2",
            "SLURM_NTASKS": "2",
            "SLURM_NTASKS_PER_NODE": "1",
            "SLURM_PROCID": str(rank),
            "SLURM_NODEID": str(rank),
            "SLURM_LOCALID": "0",
            "LOCAL_RANK": "0",
        }

    Ranks(arguments(policy, tmp_path, "fsdp2", 2, *KL, *SHORT, *NODES), 2, tmp_path, env=srun).succeed()
    check(tmp_path, expected)
