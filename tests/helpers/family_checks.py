"""What has to hold of any family of models: asserted of a tiny one and the folder it was saved in.

``scripts/sweep_policy_families.py`` tries it on every family that transformers has.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch.distributed.device_mesh import init_device_mesh
from transformers import AutoModelForCausalLM

from lit_passk.engines.transformers_engine import TransformersEngine
from lit_passk.policy.checkpoint_names import CheckpointNames
from lit_passk.policy.lora import LoRA, adapter_off, add_adapter, is_adapter
from lit_passk.policy.model import load_policy
from lit_passk.policy.packing import pack
from lit_passk.policy.sharding import full_tensors, load_sharded_policy
from lit_passk.types import Sampling

TOLERANCE = 1e-4


def sequences() -> list[torch.Tensor]:
    """Prompt and completion of each sample of a ragged step."""
    prompts, completions, owner = step()
    return [torch.cat([prompts[p], c]) for p, c in zip(owner.tolist(), completions, strict=True)]


def step() -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
    """Two groups of ragged completions, some sequences longer than the tiny models' windows and chunks."""
    generator = torch.Generator().manual_seed(1)
    prompts = [torch.randint(3, 90, (n,), generator=generator) for n in (7, 21)]
    completions = [torch.randint(3, 90, (n,), generator=generator) for n in (5, 1, 19, 3, 12)]
    return prompts, completions, torch.tensor([0, 0, 0, 1, 1])


def alone(model: torch.nn.Module) -> list[torch.Tensor]:
    """Log-probabilities of each completion by a forward pass of its sequence alone, float32."""
    found = []
    for ids, completion in zip(sequences(), step()[1], strict=True):
        logits = model(input_ids=ids[None], use_cache=False).logits[0, -len(completion) - 1 : -1].float()
        found.append(logits.log_softmax(-1).gather(1, completion[:, None])[:, 0])
    return found


def of_policy(policy: torch.nn.Module) -> list[torch.Tensor]:
    """The same by micro-batches."""

    found: dict[int, torch.Tensor] = {}
    for batch in pack(*step(), None, 90, share_prompts=policy.packs):
        found |= dict(zip(batch.completions, batch.split(policy(batch)[0]), strict=True))
    return [found[i] for i in sorted(found)]


def loss(logprobs: list[torch.Tensor]) -> torch.Tensor:
    """With another weight for every token."""
    flat = torch.cat(logprobs)
    return (flat * torch.cos(torch.arange(len(flat)))).sum()


def near(found: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    """Raise if log-probabilities differ."""
    worst = (torch.cat(found) - torch.cat(expected)).abs().max().item()
    assert worst < TOLERANCE, f"log-probabilities off by {worst:.1e}"


def causal(model: torch.nn.Module, folder: str) -> None:
    """A token's log-probability does not depend on later ones."""
    ids = torch.arange(5, 40)[None]
    other = ids.clone()
    other[0, 20:] += 7
    with torch.no_grad():
        a, b = (model(input_ids=x, use_cache=False).logits[0, :20] for x in (ids, other))
    assert (a - b).abs().max() < TOLERANCE, f"off by {(a - b).abs().max():.1e}"


def training(model: torch.nn.Module, folder: str) -> None:
    """Log-probabilities and gradients of ragged micro-batches are those of the stock model on each sequence alone."""

    policy = load_policy(folder)
    found, expected = of_policy(policy), alone(model)
    near(found, expected)
    loss(found).backward()
    loss(expected).backward()
    mine = dict(policy.model.named_parameters())
    for name, parameter in model.named_parameters():
        theirs, its = (torch.zeros_like(p) if p.grad is None else p.grad for p in (parameter, mine[name]))
        worst = (its - theirs).abs().max().item() / max(1e-3, theirs.abs().max().item())
        assert worst < 1e-3, f"gradient of {name} off by {worst:.0e} of it"


def engine(model: torch.nn.Module, folder: str) -> None:
    """``TransformersEngine`` reports the log-probabilities of such a forward pass."""

    prompts = [[5, 6, 7], list(range(10, 35)), [4]]
    samples = TransformersEngine()
    samples.start("", copy.deepcopy(model), [2])
    samples.load_weights([], version=1)
    for p, group in samples.generate(prompts, Sampling(n=2, max_tokens=24), [0, 100, 200]):
        for completion in group:
            ids = torch.tensor([prompts[p] + list(completion.token_ids)])
            with torch.no_grad():
                logits = model(input_ids=ids, use_cache=False).logits[0, len(prompts[p]) - 1 : -1].float()
            near(
                [torch.tensor(completion.logprobs)],
                [logits.log_softmax(-1).gather(1, ids[0, len(prompts[p]) :, None])[:, 0]],
            )


def names(model: torch.nn.Module, folder: str) -> None:
    """The tensors that go to an engine are those that ``save_pretrained`` writes."""

    saved = load_file(Path(folder) / "model.safetensors")
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    for policy in (model, loaded):
        mapping = CheckpointNames(policy)
        tensors = dict(mapping.translate(policy.state_dict().items()))
        odd = (tensors.keys() - mapping.tied.keys()) ^ (saved.keys() - mapping.tied.keys())
        assert not odd, f"names differ: {sorted(odd)[:4]}"
        assert all(torch.equal(tensors[name], saved[name]) for name in saved), "values differ"


@contextmanager
def one_process() -> Iterator[None]:
    """A process group of this process alone, which ends with the block."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


@one_process()
def sharded(model: torch.nn.Module, folder: str) -> None:
    """``load_sharded_policy`` (FSDP2, one rank) has the folder's tensors and the same log-probabilities."""

    mesh = init_device_mesh("cpu", (1,), mesh_dim_names=("data_parallel",))
    policy, whole = load_sharded_policy(folder, mesh), load_policy(folder)
    tensors, state = dict(full_tensors(policy.model)), whole.model.state_dict()
    assert tensors.keys() == state.keys(), f"{sorted(tensors.keys() ^ state.keys())[:4]}"
    wrong = [name for name in state if not torch.equal(tensors[name], state[name])]
    assert not wrong, f"values of {wrong[:4]} differ"
    for (name, mine), theirs in zip(policy.named_buffers(), whole.buffers(), strict=True):
        assert torch.equal(mine, theirs), f"buffer {name} differs"
    found = of_policy(policy)
    near(found, of_policy(whole))
    loss(found).backward()


def lora(model: torch.nn.Module, folder: str) -> None:
    """Adapters start as a no-op, train alone and merge into the tensors of the model."""

    policy = load_policy(folder)
    names_before = policy.model.state_dict().keys()
    with torch.no_grad():
        before = of_policy(policy)
        add_adapter(policy.model, LoRA(rank=2))
        near(of_policy(policy), before)
    loss(of_policy(policy)).backward()
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if ".lora_B." in name and parameter.grad is not None:  # what has no effect stays 0
                parameter.add_(0.05)
        changed = of_policy(policy)
        assert (torch.cat(changed) - torch.cat(before)).abs().max() > 1e-3, "adapters change nothing"
        with adapter_off(policy):
            near(of_policy(policy), before)
        merged = load_policy(folder)
        tensors = dict(full_tensors(policy.model))
        assert tensors.keys() == names_before, f"{sorted(tensors.keys() ^ names_before)[:4]}"
        merged.model.load_state_dict(tensors)
        near(of_policy(merged), changed)
    assert not [n for n, p in policy.named_parameters() if not is_adapter(n) and p.grad is not None]


CHECKS = {check.__name__: check for check in (causal, training, engine, names, sharded, lora)}
