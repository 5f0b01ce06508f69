"""Collectives: called in one file, on the group's device, and blamed on other ranks only when these are lost."""

import ast
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from helpers.gathering import gather_everything
from helpers.ranks import Ranks

import lit_passk
from lit_passk.distributed import all_cat, all_objects, lost_others, named

PACKAGE = Path(lit_passk.__file__).parent
COLLECTIVES = {name for name in dir(dist) if name.startswith(("all_", "reduce", "gather", "scatter", "broadcast"))} | {
    "barrier",
    "monitored_barrier",
    "send",
    "recv",
    "isend",
    "irecv",
    "gather_all_tensors",  # of torchmetrics
}


def collectives_of(source):
    """Names of torch's and torchmetrics' collectives that a file imports or takes from a module."""
    tree, modules, found = ast.parse(source), set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {a.asname or a.name for a in node.names if a.name.startswith("torch.distributed")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("torch", "torchmetrics"):
            modules |= {a.asname or a.name for a in node.names if a.name == "distributed"}
            found |= {a.name for a in node.names} & COLLECTIVES
            found |= {node.module} if node.module.startswith("torch.distributed._functional") else set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in COLLECTIVES:
            owner = ast.unparse(node.value)
            if owner in modules or owner.startswith("torch.distributed") or "all_gather" in f"{owner}.{node.attr}":
                found.add(node.attr)
    return found


@pytest.mark.parametrize("source", ["import torch.distributed as d\nd.all_reduce(x)", "self.all_gather(x)"])
def test_a_collective_is_seen(source):
    assert collectives_of(source)


def test_collectives_are_called_in_one_file():
    """Any other place would have to know again which device the process group can communicate on."""
    calls = {str(path.relative_to(PACKAGE)): collectives_of(path.read_text()) for path in PACKAGE.rglob("*.py")}
    assert {path: found for path, found in calls.items() if found and path != "distributed.py"} == {}
    assert calls["distributed.py"] == {"all_gather", "all_reduce"}


def test_ragged_tensors_and_objects_on_two_ranks(tmp_path):
    Ranks([], 2, tmp_path, target=gather_everything).succeed()


def test_one_process_gets_back_what_it_gives():
    values = torch.ones(2)
    assert all_cat(values) is values
    assert all_objects({"a": values})[0]["a"].equal(values)


OTHERS_LOST = [
    dist.DistBackendError("NCCL communicator was aborted"),
    dist.DistNetworkError("The client socket has timed out"),
    RuntimeError("[/pytorch/third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 3000ms"),
    RuntimeError("Application timeout caused pair closure"),
]
OWN_FAULTS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    torch.AcceleratorError("CUDA error: device-side assert triggered"),
    RuntimeError("shape mismatch in gloo, nccl, closed by peer"),
    ValueError("gloo"),
]


@pytest.mark.parametrize("error", OTHERS_LOST, ids=str)
def test_what_was_waited_for_is_named(error):
    with (
        pytest.raises(RuntimeError, match=r"waited for the others in the sum of lengths.*`timeout`") as caught,
        named("the sum of lengths"),
    ):
        raise error
    assert str(error) in str(caught.value)
    assert lost_others(caught.value), "seen through the cause"


@pytest.mark.parametrize("error", OWN_FAULTS, ids=str)
def test_a_fault_of_this_rank_is_not_blamed_on_others(error):
    with pytest.raises(type(error)) as caught, named("the sum of lengths"):
        raise error
    assert caught.value is error
    assert not lost_others(error)
