"""The policy and the reference: built, sharded, and asked for log-probabilities of whole steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from lit_passk.distributed import all_max
from lit_passk.errors import Refusal
from lit_passk.memory import memory_for
from lit_passk.modules.training_batch import TrainingBatch
from lit_passk.policy.lora import LoRA, adapter_off
from lit_passk.policy.model import CausalPolicy
from lit_passk.policy.packing import PackedBatch, pack
from lit_passk.policy.sharding import load_on_ranks
from lit_passk.types import RolloutBatch

FEWER_TOKENS = ("lower `model.compute.token_budget`", "lower `rollout.sampling.max_tokens`")
"""What needs less memory in a forward pass: a micro-batch holds one completion at least."""
ROOM = ("lower `rollout.engine.gpu_memory_utilization` where the engine shares the device",)
UPDATE = (
    FEWER_TOKENS[0],
    "set `model.compute.activation_checkpointing: true`",
    "lower `model.compute.max_saved_logits_mib`",
    *FEWER_TOKENS[1:],
    *ROOM,
)
"""What needs less memory in forward and backward pass."""
WEIGHTS = (
    "set `model.lora`",
    "shard it by `trainer.strategy: ModelParallelStrategy` over more devices",
    "set `model.compute.dtype: bfloat16`",
)
"""What needs less memory for weights, gradients and the optimizer's moments."""


@dataclass(frozen=True, kw_only=True)  # no slots: jsonargparse reads the defaults from __dict__
class Compute:
    """What trades memory for speed; nothing in it changes what is computed, but for rounding.

    Args:
        token_budget: Most tokens of one forward pass; bounds the memory.
        dtype: Parameters' dtype: ``float32`` (under ``trainer.precision: bf16-mixed`` master weights) or ``bfloat16``.
        activation_checkpointing: Keep each block's input only and compute the rest again in the backward pass.
        compile_blocks: Compile the decoder blocks, which takes the first step about a minute; on a CPU it gains little.
        max_saved_logits_mib: Logits of a micro-batch up to this size are kept for the backward pass (tokens x
            vocabulary x 4 bytes; adds to the memory that ``token_budget`` bounds), larger ones are computed twice, in
            pieces.
        gradient_sync: Under sharding, reduce gradients over ranks in the ``last`` micro-batch of an update (little
            traffic, but until then each rank holds whole gradients) or in ``every`` one (no rank ever does).
        kernels: ``fast``, or ``plain`` for stock operations of torch without custom gradients: slower and the same up
            to rounding, for when a loss looks wrong.
    """

    token_budget: int = 16384
    dtype: Literal["float32", "bfloat16"] = "float32"
    activation_checkpointing: bool = False
    compile_blocks: bool = False
    max_saved_logits_mib: int = 256
    gradient_sync: Literal["last", "every"] = "last"
    kernels: Literal["fast", "plain"] = "fast"

    def __post_init__(self) -> None:
        if self.token_budget < 1 or self.max_saved_logits_mib < 0:
            raise Refusal(
                "`model.compute` needs token_budget of at least 1 and max_saved_logits_mib of at least 0, "
                f"but got {self.token_budget} and {self.max_saved_logits_mib}."
            )


@memory_for("loading the policy", WEIGHTS)
def build_policy(
    path: str, compute: Compute, mesh: DeviceMesh | None, precision: str, lora: LoRA | None = None
) -> CausalPolicy:
    """Load a policy, sharded where there is a mesh, ready to train.

    Args:
        path: Folder or hub id.
        compute: Its dtype and how it computes.
        mesh: Of ``ModelParallelStrategy``; None loads it whole.
        precision: ``trainer.precision``.
        lora: Adapters to add; the rest is then frozen.
    """
    return _build(path, compute, mesh, precision, lora)


def _build(
    path: str, compute: Compute, mesh: DeviceMesh | None, precision: str, lora: LoRA | None = None
) -> CausalPolicy:
    compute_dtype = torch.bfloat16 if precision == "bf16-mixed" else None
    policy = load_on_ranks(path, mesh, getattr(torch, compute.dtype), compute_dtype, lora)
    policy.max_saved_logits_mib = compute.max_saved_logits_mib
    policy.kernels = compute.kernels
    if compute.activation_checkpointing:
        policy.checkpoint_activations()
    if compute.compile_blocks:
        policy.compile_blocks()
    return policy


@memory_for("loading the reference", ["set `model.kl_coef: 0`, which needs none", *WEIGHTS])
def build_reference(path: str, compute: Compute, mesh: DeviceMesh | None, precision: str) -> CausalPolicy:
    """Load the initial policy a second time, frozen and in evaluation mode."""
    return _build(path, compute, mesh, precision).eval().requires_grad_(False)


def pack_step(
    policy: CausalPolicy,
    step: TrainingBatch | RolloutBatch,
    keep: Tensor | None,
    token_budget: int,
    **ranks: int,
) -> list[PackedBatch]:
    """Cut a step into micro-batches as this policy wants them; ``keep`` and ``ranks`` as in ``pack``."""
    return pack(
        step.prompt_ids,
        step.completion_ids,
        step.prompt_index,
        keep,
        token_budget,
        trained=step.trained or None,
        costs=policy.token_costs,
        share_prompts=policy.packs,
        **ranks,
    )


@torch.no_grad()
@memory_for("the log-probabilities of a step", [*FEWER_TOKENS, *ROOM])
def step_logprobs(
    policy: CausalPolicy, packed: list[PackedBatch], temperature: float, device: torch.device
) -> list[Tensor]:
    """The policy's log-probs of each micro-batch's trained tokens, ``(T,)`` each, on ``device``."""
    return [policy(micro.to(device), temperature, with_entropy=False)[0] for micro in packed]


@torch.no_grad()
@memory_for("the reference's log-probabilities", [*FEWER_TOKENS, *ROOM, "set `model.kl_coef: 0`"])
def reference_logprobs(
    policy: CausalPolicy, reference: CausalPolicy | None, micro: PackedBatch, temperature: float
) -> Tensor:
    """The initial policy's log-probs of the trained tokens, shape ``(T,)``; with LoRA that of the adapters off."""
    with adapter_off(policy):  # nothing to switch off without adapters
        return (reference or policy)(micro, temperature, with_entropy=False)[0]


def completion_logprobs(
    policy: CausalPolicy, rollouts: RolloutBatch, token_budget: int, device: torch.device
) -> list[Tensor]:
    """The policy's log-probabilities of trained tokens, at the sampling temperature; every rank must call this.

    Args:
        policy: The policy.
        rollouts: This rank's completions.
        token_budget: Most tokens of one forward pass.
        device: Where the policy is.

    Returns:
        N tensors, one value per trained token, float32, on the CPU.
    """
    packed = pack_step(policy, rollouts, None, token_budget)
    most = int(all_max(torch.tensor(len(packed)), "micro-batch counts"))
    if most > len(packed):  # every forward pass of a sharded policy is a collective
        packed = pack_step(policy, rollouts, None, token_budget, num_batches=most)
    found = [torch.zeros(0)] * len(rollouts.completion_ids)  # a completion without a trained token has none
    for micro, logprobs in zip(
        packed, step_logprobs(policy, packed, rollouts.sampling.temperature, device), strict=True
    ):
        for i, values in zip(micro.completions, micro.split(logprobs.cpu()), strict=True):  # (T,) -> ragged
            found[i] = values
    return found
