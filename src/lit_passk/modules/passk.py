"""The reinforcement-learning step: rollouts in, one or several optimizer steps out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from lit_passk.advantages import AdvantageStrategy, PassKAnalytic
from lit_passk.distributed import world_size
from lit_passk.errors import Refusal
from lit_passk.functional.kl import kl_estimate
from lit_passk.losses import ClippedLoss, LossInputs, PolicyLoss
from lit_passk.losses.correction import RolloutCorrection
from lit_passk.modules.advantage import compute_advantages
from lit_passk.modules.guards import guard
from lit_passk.modules.policy_owner import PolicyOwner
from lit_passk.modules.resumable import Resumable
from lit_passk.modules.schedules import WarmupLR
from lit_passk.modules.step_metrics import CORRECTION_SUMS, step_metrics
from lit_passk.modules.trainer_checks import check_trainer, refuse_spawn
from lit_passk.modules.training_batch import TrainingBatch, collect
from lit_passk.modules.validation import PassAtKValidation
from lit_passk.policy.lora import LoRA
from lit_passk.policy.packing import PackedBatch
from lit_passk.policy.sharding import clip_gradients, gradient_sync
from lit_passk.types import PromptBatch


class PassKRLModule(Resumable, PolicyOwner, PassAtKValidation):
    """Trains a policy on the rollouts of one step at a time; validates by pass@k.

    One Lightning batch is one RL step: a callback puts a ``RolloutBatch`` on ``rollouts`` before ``training_step`` or
    ``validation_step`` reads it. One RL step takes ``num_epochs * num_minibatches`` optimizer steps, and Lightning's
    ``max_steps`` counts optimizer steps.

    Args:
        policy: Folder or hub id of a Hugging Face causal language model.
        advantage: Advantage strategy; None is ``PassKAnalytic(k=4)``.
        loss: Policy loss; None is ``ClippedLoss(clip_low=0.2, clip_high=0.28)``.
        optimizer: Optimizer class and its settings.
        lr_scheduler: Learning-rate schedule, stepped once an optimizer step.
        aggregation: ``token`` averages over all completion tokens of the global batch (DAPO, the paper), ``sequence``
            over completions of their token means (GRPO), ``constant`` divides by completions times ``max_tokens``
            (Dr. GRPO).
        kl_coef: Weight of the KL penalty towards the initial policy; at 0 no reference is built.
        kl_estimator: ``k1``, ``k2`` or ``k3``, a token (Schulman's estimators).
        entropy_coef: Weight of the entropy bonus, nats a token.
        num_minibatches: Optimizer steps one pass over the rollouts is cut into, by prompts.
        num_epochs: Passes over the rollouts of a step.
        max_grad_norm: Gradients are scaled down to this norm; 0 switches it off.
        token_budget: Most tokens of one forward pass; bounds the memory.
        dtype: Parameters' dtype: ``float32`` (under ``trainer.precision: bf16-mixed`` master weights) or ``bfloat16``.
        correction: Importance weights for completions of an engine that disagrees a little with the policy; ``auto``
            uses none when both compute in float32, else ``RolloutCorrection()``.
        lora: Train low-rank adapters instead of the weights; the reference is then the policy without them.
        activation_checkpointing: Keep each block's input only and compute the rest again in the backward pass.
        compile_blocks: Compile the decoder blocks, which takes the first step about a minute; on a CPU it gains little.
        kept_logits_mib: Logits of a micro-batch up to this size are kept for the backward pass (tokens x vocabulary x 4
            bytes; adds to the memory that ``token_budget`` bounds), larger ones are computed twice, in pieces.
        gradient_sync: Under sharding, reduce gradients over ranks in the ``last`` micro-batch of an update (little
            traffic, but until then each rank holds whole gradients) or in ``every`` one (no rank ever does).
        ks: Values of k that validation reports.
    """

    def __init__(
        self,
        policy: str,
        advantage: AdvantageStrategy | None = None,
        loss: PolicyLoss | None = None,
        optimizer: OptimizerCallable = lambda p: torch.optim.AdamW(p, lr=1e-6, weight_decay=0.0, fused=True),
        lr_scheduler: LRSchedulerCallable = lambda o: WarmupLR(o, warmup_steps=10),
        aggregation: Literal["token", "sequence", "constant"] = "token",
        kl_coef: float = 0.0,
        kl_estimator: Literal["k1", "k2", "k3"] = "k3",
        entropy_coef: float = 0.0,
        num_minibatches: int = 1,
        num_epochs: int = 1,
        max_grad_norm: float = 1.0,
        token_budget: int = 16384,
        dtype: Literal["float32", "bfloat16"] = "float32",
        correction: RolloutCorrection | Literal["auto", "off"] = "auto",
        lora: LoRA | None = None,
        activation_checkpointing: bool = False,
        compile_blocks: bool = False,
        kept_logits_mib: int = 256,
        gradient_sync: Literal["last", "every"] = "last",
        ks: Sequence[int] = (1, 2, 4, 8),
    ) -> None:
        super().__init__(ks)
        self.automatic_optimization = False
        self.policy_path = policy
        self.advantage = advantage if advantage is not None else PassKAnalytic(k=4)
        self.loss = loss if loss is not None else ClippedLoss()
        self.make_optimizer = optimizer
        self.make_lr_scheduler = lr_scheduler
        self.aggregation = aggregation
        self.kl_coef = kl_coef
        self.kl_estimator = kl_estimator
        self.entropy_coef = entropy_coef
        self.num_minibatches = num_minibatches
        self.num_epochs = num_epochs
        self.max_grad_norm = max_grad_norm
        self.token_budget = token_budget
        self.dtype_name = dtype
        self.correction = correction
        self.lora = lora
        self.activation_checkpointing = activation_checkpointing
        self.compile_blocks = compile_blocks
        self.kept_logits_mib = kept_logits_mib
        self.gradient_sync = gradient_sync
        if num_minibatches < 1 or num_epochs < 1:
            raise Refusal(
                f"`num_minibatches` and `num_epochs` must be at least 1, but got {num_minibatches} and {num_epochs}."
            )
        if kl_coef < 0 or max_grad_norm < 0 or token_budget < 1:
            raise Refusal(
                "`kl_coef` and `max_grad_norm` must be at least 0 and `token_budget` at least 1, "
                f"but got {kl_coef}, {max_grad_norm} and {token_budget}."
            )
        self.strict_loading = lora is None  # the frozen weights are the policy's own, and in no checkpoint

    # --- set-up ------------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Refuse a strategy that does not fit the length of the run, where that is known before the data is."""
        guard(self.trainer)
        check_trainer(self.trainer)
        if stage == "fit" and (self.max_rl_steps > 0 or self.trainer.max_epochs in (None, -1)):
            self.advantage.check_run(self.max_rl_steps)

    def __getstate__(self) -> dict[str, Any]:
        """Refuse to be sent to spawned processes."""
        refuse_spawn()
        return super().__getstate__()

    def on_train_start(self) -> None:
        """Look at the strategy again, now that the length of the run is known, and restore random numbers."""
        self.advantage.check_run(self.max_rl_steps)
        super().on_train_start()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimizer over the trainable parameters, and its schedule."""
        optimizer = self.make_optimizer([p for p in self.policy.parameters() if p.requires_grad])
        return {"optimizer": optimizer, "lr_scheduler": self.make_lr_scheduler(optimizer)}

    @property
    def updates_per_step(self) -> int:
        """Optimizer steps of one RL step."""
        return self.num_epochs * self.num_minibatches

    @property
    def max_rl_steps(self) -> int:
        """RL steps of the whole run, -1 when unknown."""
        # Rounded up: Lightning looks at `max_steps` between RL steps only.
        by_steps = -(-self.trainer.max_steps // self.updates_per_step) if self.trainer.max_steps > 0 else -1
        epochs, batches = self.trainer.max_epochs, self.trainer.num_training_batches
        by_epochs = int(epochs * batches) if epochs is not None and epochs > 0 and batches != float("inf") else -1
        known = [n for n in (by_steps, by_epochs) if n > 0]
        return min(known, default=-1)

    # --- training ----------------------------------------------------------------------------------------------------

    def training_step(self, batch: PromptBatch, batch_idx: int) -> None:
        """One RL step: advantages, then one optimizer step a mini-batch and epoch."""
        rollouts = self.take_rollouts()
        advantages = compute_advantages(self.advantage, rollouts, self.rl_step, self.max_rl_steps)
        silent = self.kl_coef == 0 and self.entropy_coef == 0  # then advantage 0 means gradient 0
        keep = advantages != 0 if silent else torch.ones(len(advantages), dtype=torch.bool)
        training = collect(rollouts, advantages, keep, self.num_minibatches, self.aggregation)
        parts = [self.share_of(training, number) for number in range(self.num_minibatches)]
        # With one update the ratio to the old policy is 1 by construction.
        old = [self.logprobs(packed, training.temperature) for packed in parts] if self.updates_per_step > 1 else None
        sums = {"num_updates": torch.zeros(())}
        for _ in range(self.num_epochs):
            for number, packed in enumerate(parts):
                update = self._update(training, packed, None if old is None else old[number])
                sums = {name: sums.get(name, torch.zeros(())) + value for name, value in update.items()}
        self.rl_step += 1
        metrics = step_metrics(rollouts, advantages, sums)
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if self.rl_step % every == 0:  # Lightning takes long over numbers it will not write
            self.log_dict({f"train/{name}": value for name, value in metrics.items()})
            self.log("train/lr", self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]
        self.log("rl_step", float(self.rl_step), prog_bar=True, logger=False)
        self.log("reward", metrics["reward"], prog_bar=True, logger=False)

    def _update(self, batch: TrainingBatch, packed: list[PackedBatch], old: list[Tensor] | None) -> dict[str, Tensor]:
        """One optimizer step on this rank's micro-batches; returns sums to log."""
        sums: dict[str, Tensor] = {"num_updates": torch.ones(())}
        for number, micro in enumerate(packed):
            micro = micro.to(self.device)
            now = self.gradient_sync == "every" or number == len(packed) - 1
            with gradient_sync(self.policy, self.trainer.strategy, now):
                loss, metrics = self._micro_loss(batch, micro, None if old is None else old[number])
                # Gradients are averaged over ranks, while the weights divide by global counts.
                self.manual_backward(loss * world_size())
            for name, value in {**metrics, "total": loss}.items():
                sums[name] = sums.get(name, torch.zeros((), device=value.device)) + value.detach()
        sums = {name: value.cpu() for name, value in sums.items()}
        sums["grad_norm"] = self._optimizer_step()
        return sums

    def _micro_loss(
        self, batch: TrainingBatch, micro: PackedBatch, old_logprobs: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of one micro-batch, a weighted sum over its tokens, and metric sums."""
        temperature = batch.temperature
        logprobs, entropy = self.policy(micro, temperature, self.entropy_coef != 0, add_to_grad=True)
        token_weight = batch.weights.to(self.device)[micro.completion_index]
        old_logprobs = logprobs.detach() if old_logprobs is None else old_logprobs
        importance, stats = self._importance(batch, micro, old_logprobs)
        output = self.loss(
            LossInputs(
                logprobs=logprobs,
                old_logprobs=old_logprobs,
                advantages=batch.advantages.to(self.device)[micro.completion_index],
                weights=token_weight,
                completion=micro.completion_index,
                importance=importance,
            )
        )
        loss, metrics = output.loss, {**output.metrics, **stats}
        if self.entropy_coef != 0:
            loss = loss - self.entropy_coef * (token_weight * entropy).sum()
        if self.kl_coef != 0:
            ref_logprobs = self.ref_logprobs(micro, temperature)
            kl = (token_weight * kl_estimate(logprobs, ref_logprobs, self.kl_estimator)).sum()
            loss, metrics["kl"] = loss + self.kl_coef * kl, kl.detach()
        return loss, metrics

    def _importance(
        self, batch: TrainingBatch, micro: PackedBatch, old_logprobs: Tensor
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Importance weights ``(T,)`` against the engine's log-probs, and sums for the log; None when not needed."""
        if self.correction == "off" or (self.correction == "auto" and batch.exact):
            return None, {}
        correction = RolloutCorrection() if self.correction == "auto" else self.correction
        assert isinstance(correction, RolloutCorrection)
        weights, stats = correction(old_logprobs, micro.gather(batch.rollout_logprobs), micro.completion_index)
        return weights, dict(zip(CORRECTION_SUMS, stats, strict=True))

    def _optimizer_step(self) -> Tensor:
        """Clip, step, schedule; returns the gradient norm before clipping."""
        optimizer, scheduler = self.optimizers(), self.lr_schedulers()
        parameters = [p for p in self.policy.parameters() if p.requires_grad]
        norm = clip_gradients(parameters, self.max_grad_norm)
        optimizer.step()  # type: ignore[union-attr]
        optimizer.zero_grad()  # type: ignore[union-attr]
        scheduler.step()  # type: ignore[union-attr]
        return norm.detach().cpu()
