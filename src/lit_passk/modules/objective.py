"""What one update minimises: policy loss, importance weights, entropy bonus, KL penalty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from lit_passk.errors import Refusal
from lit_passk.functional.kl import kl_estimate
from lit_passk.logged import Logged
from lit_passk.losses import TIS, LossInputs, PolicyLoss, RolloutCorrection
from lit_passk.losses.correction import check_together, correct
from lit_passk.modules.policies import reference_logprobs
from lit_passk.modules.step_metrics import CORRECTION
from lit_passk.modules.training_batch import TrainingBatch
from lit_passk.policy.model import CausalPolicy
from lit_passk.policy.packing import PackedBatch

LOGGED = (
    Logged(
        "train/loss/total",
        means="What was minimised, mean over the step's updates.",
        healthy="Near 0, of either sign. It need not fall: advantages are centred, so it says nothing about success.",
    ),
    Logged(
        "train/loss/kl",
        means="Distance to the initial policy, nats per token, by `model.kl_estimator`; with `model.kl_coef` above 0.",
        healthy="Grows slowly.",
        otherwise="Jumps: lower the learning rate. Stays at 0 while the reward does not rise: `kl_coef` is too large.",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """The loss of a micro-batch; the fields are ``PassKRLModule``'s arguments of the same names."""

    loss: PolicyLoss
    correction: RolloutCorrection | Sequence[RolloutCorrection] | Literal["auto", "off"]
    kl_coef: float
    kl_estimator: Literal["k1", "k2", "k3"]
    entropy_coef: float

    def __post_init__(self) -> None:
        if not 0 <= self.kl_coef < math.inf:
            raise Refusal(f"`model.kl_coef` must be at least 0, but got {self.kl_coef}.")
        if not math.isfinite(self.entropy_coef):
            raise Refusal(f"`model.entropy_coef` must be a finite number, but got {self.entropy_coef}.")
        check_together(self._corrections(mismatch=True))

    @property
    def selects(self) -> bool:
        """Whether the policy loss wants to see all tokens of an update before it."""
        return type(self.loss).select is not PolicyLoss.select

    @property
    def only_policy_loss(self) -> bool:
        """Whether nothing but the policy loss is minimised: then an advantage of 0 means a gradient of 0."""
        return self.kl_coef == 0 and self.entropy_coef == 0

    def __call__(
        self,
        policy: CausalPolicy,
        reference: CausalPolicy | None,
        training: TrainingBatch,
        mismatch: bool,
        micro: PackedBatch,
        old_logprobs: Tensor | None,
        selected: Tensor | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of one micro-batch of T trained tokens, a weighted sum over them.

        Args:
            policy: The policy; called once.
            reference: The initial policy; None is the policy with its adapters off.
            training: The step's N completions.
            mismatch: Whether the engine's log-probabilities differ from the policy's (older weights, coarser
                precision), so that ``auto`` corrects for it.
            micro: Some of the completions, on the policy's device.
            old_logprobs: The policy's before the step's first update, shape ``(T,)``; None are those of now.
            selected: Tokens that the policy loss has singled out, shape ``(T,)``, bool.

        Returns:
            Scalar with gradient, and sums to log.
        """
        device, temperature = micro.input_ids.device, training.temperature
        with_entropy = self.entropy_coef != 0 or self.loss.needs_entropy
        logprobs, entropy, top_logprobs = policy(micro, temperature, with_entropy, self.loss.num_top)  # (T,) each
        old_logprobs = logprobs.detach() if old_logprobs is None else old_logprobs  # (T,)
        ref_logprobs = reference_logprobs(policy, reference, micro, temperature) if self.kl_coef != 0 else None  # (T,)
        rollout_logprobs = micro.gather(training.rollout_logprobs)  # N ragged -> (T,)
        weights = training.weights.to(device)[micro.completion_index]  # (N,) -> (T,)
        inputs = LossInputs(
            logprobs=logprobs,
            old_logprobs=old_logprobs,
            advantages=training.advantages.to(device)[micro.completion_index],  # (N,) -> (T,)
            weights=weights,
            completion_index=micro.completion_index,
            prompt_index=training.prompt_index.to(device)[micro.completion_index],  # (N,) -> (T,)
            rollout_logprobs=rollout_logprobs,
            ref_logprobs=ref_logprobs,
            entropy=entropy if with_entropy else None,
            top_logprobs=top_logprobs if self.loss.num_top else None,
            selected=selected,
        )
        sums: dict[str, Tensor] = {}
        if corrections := self._corrections(mismatch):
            importance, sums = correct(corrections, inputs)
            inputs = replace(inputs, importance=importance)
        output = self.loss(inputs)
        loss, metrics = output.loss, {**output.metrics, **{CORRECTION + name: value for name, value in sums.items()}}
        if self.entropy_coef != 0:
            loss = loss - self.entropy_coef * (weights * entropy).sum()  # (T,) -> ()
        if ref_logprobs is not None:
            kl = (weights * kl_estimate(logprobs, ref_logprobs, self.kl_estimator)).sum()  # (T,) -> ()
            loss, metrics["kl"] = loss + self.kl_coef * kl, kl.detach()
        return loss, {**metrics, "total": loss.detach()}

    def _corrections(self, mismatch: bool) -> Sequence[RolloutCorrection]:
        """What corrects for the engine's log-probabilities; nothing when not needed."""
        if isinstance(self.correction, str):
            return [TIS()] if self.correction == "auto" and mismatch else []
        return [self.correction] if isinstance(self.correction, RolloutCorrection) else self.correction


def mismatch_of(training: TrainingBatch, rl_step: int, compute_dtype: torch.dtype) -> bool:
    """Whether the engine that sampled a step had other weights than the policy has, or either computed coarsely."""
    same = training.version == rl_step and training.full_precision and compute_dtype == torch.float32
    return not same
