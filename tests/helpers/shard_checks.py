"""What each of two ranks asserts about sharded policies; run by tests/processes/test_sharding.py."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from lit_passk.policy.checkpoint_names import CheckpointNames
from lit_passk.policy.lora import LoRA, adapter_off, is_adapter
from lit_passk.policy.model import load_policy
from lit_passk.policy.packing import pack
from lit_passk.policy.sharding import clip_gradients, full_tensors, gradient_sync, load_sharded_policy, whole


def _mesh():
    dist.init_process_group("gloo", rank=int(os.environ["LOCAL_RANK"]), world_size=2)
    return init_device_mesh("cpu", (2,), mesh_dim_names=("data_parallel",))


def _batches(rank: int, count: int):
    """Micro-batches that differ by rank; the second rank's last one is empty."""
    generator = torch.Generator().manual_seed(rank)
    prompts = [torch.randint(3, 14, (5,), generator=generator) for _ in range(count)]
    completions = [torch.randint(3, 14, (7,), generator=generator) for _ in range(2 * count)]
    group = torch.arange(2 * count) // 2
    batches = [pack(prompts, completions, group, group == i, 99)[0] for i in range(count)]
    if rank == 1:
        batches[-1] = pack([], [], torch.zeros(0, dtype=torch.int64), None, 99)[0]
    return batches


def whole_tensors_and_memory(args: Sequence[str]) -> None:
    """A sharded policy is the folder's, and this rank holds half of it."""
    mesh = _mesh()
    for path in args:
        peak = _peak_of(lambda path=path: load_sharded_policy(path, mesh))
        policy, kept = peak
        expected = load_policy(path).model.state_dict()
        tensors = dict(full_tensors(policy.model))
        assert tensors.keys() == expected.keys()
        assert all(torch.equal(tensors[name], expected[name]) for name in expected)
        parameters = list(policy.parameters())
        assert all(isinstance(p, DTensor) for p in parameters)
        total = sum(p.numel() for p in parameters)
        local = sum(p.to_local().numel() for p in parameters)
        assert abs(local - total / 2) <= 0.05 * total, (local, total)
        assert kept < 0.9 * total, f"{kept} numbers were read at once for a policy of {total}"


def same_as_loaded_whole(args: Sequence[str]) -> None:
    """State, buffers, names in a checkpoint and log-probabilities are those of a policy loaded in one process."""
    mesh = _mesh()
    for path in args:
        policy, alone = load_sharded_policy(path, mesh), load_policy(path)
        expected = alone.model.state_dict()
        if "glm4_moe" in path:
            assert any(name.endswith("e_score_correction_bias") for name in expected)
        tensors = dict(full_tensors(policy.model))
        assert tensors.keys() == expected.keys()
        for name, tensor in expected.items():
            assert torch.equal(tensors[name], tensor), f"{path}: {name}"
        names, others = CheckpointNames(policy.model), CheckpointNames(alone.model)
        assert names.tied == others.tied
        translated = dict(names.translate(tensors.items()))
        for name, tensor in others.translate(expected.items()):
            assert torch.equal(translated.pop(name), tensor), f"{path}: {name}"
        assert not translated
        batch = _batches(dist.get_rank(), 2)[0]
        torch.testing.assert_close(policy(batch)[0], alone(batch)[0], rtol=1e-4, atol=1e-5)


def _peak_of(load):
    """The most numbers that one unit's parameters had values for, whole, while loading."""
    import lit_passk.policy.sharding as sharding

    sizes = []
    shard = sharding.fully_shard

    def watching(unit, **kwargs):
        real = [p for p in unit.parameters() if p.device.type != "meta" and not isinstance(p, DTensor)]
        sizes.append(sum(p.numel() for p in real))
        return shard(unit, **kwargs)

    sharding.fully_shard = watching
    try:
        return load(), max(sizes)
    finally:
        sharding.fully_shard = shard


def _of_all_outputs(policy, batch):
    """A number that depends on everything that a policy tells of its tokens."""
    logprobs, entropy, top = policy(batch, num_top=2)
    return logprobs.sum() + entropy.sum() + top.sin().sum()


def gradients_and_clipping(args: Sequence[str]) -> None:
    """Micro-batches with one reduction at the end, with one each, and all in one process give the same gradients."""
    mesh = _mesh()
    rank = dist.get_rank()
    for path in args:
        alone = load_policy(path)
        for other in (0, 1):
            for batch in _batches(other, 3):
                _of_all_outputs(alone, batch).backward()
        for parameter in alone.parameters():
            parameter.grad /= 2  # FSDP2 averages over ranks
        expected_norm = torch.nn.utils.clip_grad_norm_(alone.parameters(), 0.5)
        ways = [(last_only, checkpointing, "fast") for last_only in (True, False) for checkpointing in (False, True)]
        for last_only, checkpointing, kernels in [*ways, (True, False, "plain")]:
            policy = load_sharded_policy(path, mesh)
            policy.kernels = kernels
            if checkpointing:
                policy.checkpoint_activations()
            batches = _batches(rank, 3)
            for number, batch in enumerate(batches):
                with gradient_sync(policy, None, not last_only or number == 2):
                    _of_all_outputs(policy, batch).backward()
            norm = clip_gradients(policy.parameters(), 0.5)
            torch.testing.assert_close(norm, expected_norm)
            for (name, mine), theirs in zip(policy.named_parameters(), alone.parameters(), strict=True):
                torch.testing.assert_close(whole(mine.grad), theirs.grad, rtol=1e-4, atol=1e-6, msg=name)


def lower_precision(args: Sequence[str]) -> None:
    """bfloat16 arithmetic on float32 parameters; gradients come back in float32, reduced in float32."""
    mesh = _mesh()
    policy = load_sharded_policy(args[0], mesh, torch.float32, torch.bfloat16)
    reference = load_policy(args[0], torch.bfloat16)
    batch = _batches(dist.get_rank(), 2)[0]
    logprobs, *_ = policy(batch)
    torch.testing.assert_close(logprobs, reference(batch)[0], rtol=0, atol=1e-5)
    logprobs.sum().backward()
    assert {p.grad.dtype for p in policy.parameters()} == {torch.float32}
    half = load_sharded_policy(args[0], mesh, torch.bfloat16)
    half(batch)[0].sum().backward()
    assert {p.grad.dtype for p in half.parameters()} == {torch.bfloat16}


def adapters(args: Sequence[str]) -> None:
    """Only adapters are trained; switched off they leave the policy as it was; merged they are what an engine gets."""
    mesh = _mesh()
    for path in args:
        policy = load_sharded_policy(path, mesh, lora=LoRA(rank=4))
        before = load_policy(path)
        batch = _batches(dist.get_rank(), 2)[0]
        with torch.no_grad():
            torch.testing.assert_close(policy(batch)[0], before(batch)[0])  # B starts at 0
            for name, parameter in policy.named_parameters():
                assert parameter.requires_grad == is_adapter(name)
                if ".lora_B." in name:
                    parameter.add_(0.05)
            changed = policy(batch)[0]
            assert len(changed) == 0 or (changed - before(batch)[0]).abs().max() > 0.01
            with adapter_off(policy):
                torch.testing.assert_close(policy(batch)[0], before(batch)[0])
            merged = load_policy(path)
            merged.model.load_state_dict(dict(full_tensors(policy.model)))
            torch.testing.assert_close(policy(batch)[0], merged(batch)[0], rtol=1e-4, atol=1e-4)
        _of_all_outputs(policy, batch).backward()
        assert [n for n, p in policy.named_parameters() if p.grad is not None] == [
            n for n, p in policy.named_parameters() if is_adapter(n)
        ]
