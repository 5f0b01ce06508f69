"""What is tried on the stand-in for CUDA without a command line: ``-m helpers.standin_checks FILE`` writes results."""

from __future__ import annotations

import copy
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from helpers.policies import WIDE_HEADS, build, make_step
from helpers.standin import CUDA, StandIn, stand_in, waits

from lit_passk.distributed import all_cat, all_max, all_objects, all_sum
from lit_passk.functional.kl import kl_estimate
from lit_passk.losses import (
    TIS,
    CISPOLoss,
    ClipCovLoss,
    ClippedLoss,
    GMPOLoss,
    GSPOLoss,
    KLCovLoss,
    LossInputs,
    OffPolicyMask,
    SAPOLoss,
    SimKOLoss,
)
from lit_passk.losses.correction import correct
from lit_passk.metrics import PassAtK
from lit_passk.policy.lora import LoRA, adapter_off, add_adapter
from lit_passk.policy.packing import pack
from lit_passk.policy.sharding import clip_gradients

LOSSES = {
    "clipped": ClippedLoss(dual_clip=3.0),
    "gspo": GSPOLoss(),
    "cispo": CISPOLoss(),
    "gmpo": GMPOLoss(),
    "sapo": SAPOLoss(),
    "simko": SimKOLoss(alpha=0.3, entropy_quantile=0.5),
    "clip-cov": ClipCovLoss(),
    "kl-cov": KLCovLoss(),
}


def update(config: dict[str, Any], device: torch.device, lora: bool, loss: str, level: str) -> dict[str, Any]:
    """One optimizer step on two micro-batches, with every term of the loss; what came out, and who waited for it."""
    policy, _ = build(config)
    if lora:
        add_adapter(policy.model, LoRA(rank=2))
    reference = None if lora else copy.deepcopy(policy).requires_grad_(False).to(device)
    policy.to(device)
    trained = [p for p in policy.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, fused=True)
    micros = [micro.to(device) for micro in pack(*make_step(), None, 40)]
    generator = torch.Generator().manual_seed(0)
    advantages = torch.randn(9, generator=generator).to(device)
    engine = [torch.randn(len(m.labels), generator=generator).sub(3).to(device) for m in micros]
    waits.clear()
    losses = []
    for micro, sampled in zip(micros, engine, strict=True):
        logprobs, entropy, top_logprobs = policy(micro, 0.9, num_top=LOSSES[loss].num_top)
        with torch.no_grad(), adapter_off(policy):
            ref_logprobs, *_ = (reference or policy)(micro, 0.9, with_entropy=False)
        weights = torch.full_like(logprobs, 0.1).detach()
        inputs = LossInputs(
            logprobs=logprobs,
            old_logprobs=logprobs.detach() - 0.01,
            advantages=advantages[micro.completion_index],
            weights=weights,
            completion_index=micro.completion_index,
            rollout_logprobs=sampled,
            entropy=entropy,
            top_logprobs=top_logprobs,
            selected=micro.labels % 3 == 0,
        )
        importance, stats = correct([TIS(level=level), OffPolicyMask()], inputs)
        output = LOSSES[loss](replace(inputs, importance=importance))
        total = output.loss + (weights * (0.1 * kl_estimate(logprobs, ref_logprobs, "k3") - 0.01 * entropy)).sum()
        total.backward()
        losses += [total.detach(), *stats.values()]
    norm = clip_gradients(trained, 0.5)
    gradients = [p.grad.clone() for p in trained]  # Adam's first step would blow up what rounding leaves of a zero
    optimizer.step()
    noted = dict(waits)
    numbers = [x.cpu() for x in [*losses, norm, *gradients]]
    return {"numbers": [x.held if isinstance(x, StandIn) else x for x in numbers], "waits": noted}


def strictness() -> None:
    """The stand-in refuses what CUDA refuses and notices what makes the host wait."""
    here = torch.arange(4.0).to(CUDA)
    assert here.is_cuda
    assert (here + torch.tensor(1.0)).device == CUDA
    for wrong in (lambda: here + torch.ones(4), lambda: torch.cat([here, torch.ones(4)]), lambda: torch.ones(4) @ here):
        refused(wrong, "same device")
    waits.clear()
    for waiting in (
        lambda: here.sum().item(),
        lambda: bool(here[0] > 1),
        here.cpu,
        here.nonzero,
        lambda: here[here > 1],
    ):
        before = sum(waits.values())
        waiting()
        assert sum(waits.values()) > before, waiting
    assert torch.where(here > 1, here, 0).tolist() == [0, 0, 2, 3]


def collectives() -> None:
    """A group for CUDA alone refuses tensors of the CPU; the package's own collectives do not care where theirs are."""
    dist.init_process_group("cuda:gloo", store=dist.HashStore(), rank=0, world_size=1)
    refused(lambda: dist.all_reduce(torch.ones(2)), "No backend type associated with device type cpu")
    total = torch.ones(2).to(CUDA)
    dist.all_reduce(total)
    assert total.tolist() == [1, 1]
    for values in (torch.tensor([1, 2]), torch.tensor([1, 2]).to(CUDA)):
        for collective in (all_sum, all_max, all_cat):
            found = collective(values)
            assert found.device == values.device
            assert found.tolist() == [1, 2]
    assert all_objects("a") == ["a"]
    metric = PassAtK(ks=[1])
    metric.update(torch.tensor([[True, False]]))
    assert float(metric.compute()["pass@1"]) == 0.5
    dist.destroy_process_group()


def refused(call: Any, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        call()


CASES = {f"{name}, {kind}": (name, kind) for name in WIDE_HEADS for kind in ("full", "lora")}


def attempt(call: Any, *args: Any) -> Any:
    try:
        return call(*args)
    except Exception:
        return traceback.format_exc()


def main() -> None:
    results: dict[str, Any] = {}
    with stand_in():
        for check in (strictness, collectives):
            results[check.__name__] = attempt(check)
    for number, (case, (name, kind)) in enumerate(CASES.items()):
        loss, level = list(LOSSES)[number % len(LOSSES)], ("token", "sequence")[number % 2]
        results[case] = [attempt(update, WIDE_HEADS[name], torch.device("cpu"), kind == "lora", loss, level)]
        with stand_in():
            results[case].append(attempt(update, WIDE_HEADS[name], CUDA, kind == "lora", loss, level))
    torch.save(results, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
