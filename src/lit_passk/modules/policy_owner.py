"""The policy and the reference: loaded, sharded, placed, and asked for log-probabilities."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor

from lit_passk.distributed import all_max, rank, use_group, world_size
from lit_passk.modules.training_batch import TrainingBatch
from lit_passk.policy.lora import LoRA, adapter_off
from lit_passk.policy.model import CausalPolicy
from lit_passk.policy.packing import PackedBatch, pack
from lit_passk.policy.sharding import load_on_ranks
from lit_passk.types import RolloutBatch


class PolicyOwner(L.LightningModule):
    """What a ``PassKRLModule`` is to its models; the settings are that class's."""

    policy: CausalPolicy
    policy_path: str
    dtype_name: str
    lora: LoRA | None
    kl_coef: float
    activation_checkpointing: bool
    compile_blocks: bool
    kept_logits_mib: int
    token_budget: int
    reference: CausalPolicy | None = None
    """The initial policy, where the KL penalty needs it. Unregistered: it belongs in no checkpoint and no optimizer."""
    policy_needed: bool = True
    """False skips loading the policy: set before ``configure_model`` when an engine evaluates by itself."""

    def configure_model(self) -> None:
        """Load the policy, and the reference when the KL penalty needs one, sharded where the strategy shards."""
        use_group(self.device_mesh["data_parallel"].get_group() if self.device_mesh is not None else None)
        if not self.policy_needed or hasattr(self, "policy"):
            return
        dtype = getattr(torch, self.dtype_name)
        compute_dtype = torch.bfloat16 if self.trainer.precision == "bf16-mixed" else None
        self.policy = load_on_ranks(self.policy_path, self.device_mesh, dtype, compute_dtype, self.lora)
        self.policy.kept_logits_mib = self.kept_logits_mib
        if self.activation_checkpointing:
            self.policy.checkpoint_activations()
        if self.compile_blocks:
            self.policy.compile_blocks()
        if self.kl_coef != 0 and self.lora is None:
            reference = load_on_ranks(self.policy_path, self.device_mesh, dtype, compute_dtype)
            object.__setattr__(self, "reference", reference.eval().requires_grad_(False))

    def on_fit_start(self) -> None:
        """Leave evaluation mode, in which Hugging Face loads models, and place the reference."""
        self.policy.train()
        if self.reference is not None:
            self.reference.to(self.device)

    @torch.no_grad()
    def ref_logprobs(self, micro: PackedBatch, temperature: float) -> Tensor:
        """The initial policy's log-probs of the trained tokens, shape ``(T,)``."""
        with adapter_off(self.policy):  # nothing to switch off without adapters
            return (self.reference or self.policy)(micro, temperature, with_entropy=False)[0]

    def share_of(self, batch: TrainingBatch, part: int) -> list[PackedBatch]:
        """This rank's micro-batches of one mini-batch; of equal number on every rank, and the n-th of all alike."""
        return self._pack(batch, batch.part == part, world_size=world_size(), rank=rank())

    def _pack(self, step: TrainingBatch | RolloutBatch, keep: Tensor | None, **ranks: Any) -> list[PackedBatch]:
        return pack(
            step.prompt_ids,
            step.completion_ids,
            step.group,
            keep,
            self.token_budget,
            costs=self.policy.token_costs,
            share_prompts=self.policy.packs,
            **ranks,
        )

    @torch.no_grad()
    def logprobs(self, packed: list[PackedBatch], temperature: float) -> list[Tensor]:
        """The policy's log-probs of each micro-batch's trained tokens, ``(T,)`` each, on the policy's device."""
        return [self.policy(micro.to(self.device), temperature, with_entropy=False)[0] for micro in packed]

    def completion_logprobs(self, rollouts: RolloutBatch) -> list[Tensor]:
        """The policy's log-probabilities of sampled tokens, at the sampling temperature; every rank must call this.

        Args:
            rollouts: This rank's completions.

        Returns:
            N tensors, float32, on the CPU.
        """
        packed = self._pack(rollouts, None)
        most = int(all_max(torch.tensor(len(packed)), "micro-batch counts"))
        if most > len(packed):
            packed = self._pack(rollouts, None, num_batches=most)
        found = [torch.zeros(0)] * len(rollouts.completion_ids)
        for micro, logprobs in zip(packed, self.logprobs(packed, rollouts.sampling.temperature), strict=True):
            for i, values in zip(micro.completions, micro.split(logprobs.cpu()), strict=True):
                found[i] = values
        return found
