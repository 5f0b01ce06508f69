"""The reinforcement-learning step: a batch with rollouts in, one or several optimizer steps out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import lightning as L
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from lit_passk.advantages import AdvantageStrategy, PassKAnalytic
from lit_passk.checkpointing.files import CheckpointFiles
from lit_passk.distributed import world_size
from lit_passk.errors import Refusal
from lit_passk.losses import ClippedLoss, PolicyLoss, RolloutCorrection
from lit_passk.memory import memory_for
from lit_passk.metrics import EvaluationMetric
from lit_passk.modules.advantage import compute_advantages
from lit_passk.modules.callback_checks import check_callbacks, check_configured
from lit_passk.modules.guards import guard
from lit_passk.modules.objective import Objective, mismatch_of
from lit_passk.modules.optimization import Optimization
from lit_passk.modules.policies import UPDATE, Compute, build_policy, build_reference, completion_logprobs
from lit_passk.modules.run_state import RunState, constructor_settings
from lit_passk.modules.saved_steps import stopped
from lit_passk.modules.schedules import WarmupLR
from lit_passk.modules.skipped import SkippedUpdates, nothing_scored
from lit_passk.modules.step_log import log_step
from lit_passk.modules.trainer_checks import check_gradient_settings, check_trainer, refuse_spawn, whole_trial
from lit_passk.modules.training_batch import TrainingBatch, collect
from lit_passk.modules.updates import Part, Updates
from lit_passk.modules.validation import ValidationMetrics
from lit_passk.policy.lora import LoRA
from lit_passk.policy.model import CausalPolicy
from lit_passk.policy.sharding import gradient_sync
from lit_passk.policy.source import refuse_quantized, resolve_policy
from lit_passk.types import PromptBatch, RolloutBatch


class PassKRLModule(L.LightningModule):
    """Trains a policy on the rollouts of one step at a time; validates by pass@k.

    One Lightning batch is one RL step: ``RolloutCallback`` fills ``batch.rollouts`` before ``training_step`` or
    ``validation_step`` gets the batch (or a loader fills it, as ``ReplayDataModule`` does). One RL step takes
    ``num_epochs * num_minibatches`` optimizer steps, and Lightning's ``max_steps`` counts optimizer steps.

    Args:
        policy: Folder or hub id of a Hugging Face causal language model.
        advantage: Advantage strategy; None is ``PassKAnalytic(k=4)``.
        loss: Policy loss; None is ``ClippedLoss(clip_low=0.2, clip_high=0.28)``.
        correction: What is done about completions of an engine whose log-probabilities differ from the policy's: one
            or a list of ``TIS``, ``IcePop``, ``GeometricMask``, ...; ``auto`` does nothing when both compute in float32
            with the same weights, else ``TIS()``.
        optimizer: Optimizer class and its settings.
        lr_scheduler: Learning-rate schedule, stepped once per optimizer step.
        aggregation: ``token`` averages over all completion tokens of the global batch (DAPO, the paper), ``sequence``
            over completions of their token means (GRPO), ``constant`` divides by completions times ``max_tokens``
            (Dr. GRPO).
        kl_coef: Weight of the KL penalty towards the initial policy; at 0 no reference is built.
        kl_estimator: ``k1``, ``k2`` or ``k3``, per token (Schulman's estimators).
        entropy_coef: Weight of the entropy bonus, nats per token.
        num_minibatches: Optimizer steps one pass over the rollouts is cut into, by prompts.
        num_epochs: Passes over the rollouts of a step.
        max_grad_norm: Gradients are scaled down to this norm; 0 switches it off.
        max_skipped_steps: RL steps in a row of which updates may be skipped. One is, and counted in
            ``train/skipped_updates``, where its loss or gradient is not finite or nothing could be scored. After more
            steps the run stops, and leaves the last to ``lit-passk replay``.
        lora: Train low-rank adapters instead of the weights; the reference is then the policy without them.
        ks: Values of k that validation reports.
        val_metrics: What validation reports besides pass@k: ``MajorityAtK``, ``MaxRewardAtK``, ``GPassAtK``, ...
        compute: What trades memory for speed: token budget, dtype, activation checkpointing, compilation, ...
    """

    policy: CausalPolicy
    """The policy, a submodule from ``configure_model`` on."""
    reference: CausalPolicy | None
    """The initial policy, where the KL penalty needs it. Unregistered: it belongs in no checkpoint and no optimizer."""

    def __init__(
        self,
        policy: str,
        advantage: AdvantageStrategy | None = None,
        loss: PolicyLoss | None = None,
        correction: RolloutCorrection | Sequence[RolloutCorrection] | Literal["auto", "off"] = "auto",
        optimizer: OptimizerCallable = lambda p: torch.optim.AdamW(p, lr=1e-6, weight_decay=0.0, fused=True),
        lr_scheduler: LRSchedulerCallable = lambda o: WarmupLR(o, warmup_steps=10),
        aggregation: Literal["token", "sequence", "constant"] = "token",
        kl_coef: float = 0.0,
        kl_estimator: Literal["k1", "k2", "k3"] = "k3",
        entropy_coef: float = 0.0,
        num_minibatches: int = 1,
        num_epochs: int = 1,
        max_grad_norm: float = 1.0,
        max_skipped_steps: int = 3,
        lora: LoRA | None = None,
        ks: Sequence[int] = (1, 2, 4, 8),
        val_metrics: Sequence[EvaluationMetric] = (),
        compute: Compute = Compute(),
    ) -> None:
        super().__init__()
        if num_minibatches < 1 or num_epochs < 1:
            raise Refusal(
                f"`num_minibatches` and `num_epochs` must be at least 1, but got {num_minibatches} and {num_epochs}."
            )
        self.policy_path = policy
        self.advantage = advantage if advantage is not None else PassKAnalytic(k=4)
        self.objective = Objective(
            loss=loss if loss is not None else ClippedLoss(),
            correction=correction,
            kl_coef=kl_coef,
            kl_estimator=kl_estimator,
            entropy_coef=entropy_coef,
        )
        self.optimization = Optimization(optimizer, lr_scheduler, max_grad_norm)
        self.skipped = SkippedUpdates(max_skipped_steps)
        self.aggregation = aggregation
        self.num_minibatches = num_minibatches
        self.num_epochs = num_epochs
        self.lora = lora
        self.compute = compute
        self.validation = ValidationMetrics(ks, val_metrics)
        self.rl_step = 0  # RL steps done so far; also the version of the policy's weights
        self.config_yaml = ""  # the command line's configuration, for checkpoints and model cards
        self.policy_needed = True  # RolloutCallback sets False where the engine evaluates with weights of its own
        self.run_state = RunState()
        object.__setattr__(self, "reference", None)  # past nn.Module's registration of submodules
        self.automatic_optimization = False
        self.strict_loading = lora is None  # the frozen weights are the policy's own, and in no checkpoint

    # --- set-up ------------------------------------------------------------------------------------------------------

    def configure_callbacks(self) -> list[L.Callback]:
        """Add none; refuse those that cannot work, in the first of all hooks."""
        check_gradient_settings(self.trainer)
        check_callbacks(self.trainer, self)
        return []

    def setup(self, stage: str) -> None:
        """Refuse a strategy that does not fit the length of the run, where that is known before the data is."""
        guard(self.trainer)
        check_trainer(self.trainer)
        check_callbacks(self.trainer, self)  # a subclass may have its own `configure_callbacks`
        if stage == "fit":
            refuse_quantized(resolve_policy(self.policy_path))
            whole_trial(self.trainer, self.updates_per_step)
        if stage == "fit" and (self.max_rl_steps > 0 or self.trainer.max_epochs in (None, -1)):
            self.advantage.check_run(self.max_rl_steps)

    def __getstate__(self) -> dict[str, Any]:
        """Refuse to be sent to spawned processes."""
        refuse_spawn()
        return super().__getstate__()

    def configure_model(self) -> None:
        """Load the policy, and the reference when the KL penalty needs one, sharded where the strategy shards."""
        mesh = self.device_mesh
        if not self.policy_needed or hasattr(self, "policy"):
            return
        precision = str(self.trainer.precision) if self._trainer is not None else "32-true"
        self.policy = build_policy(self.policy_path, self.compute, mesh, precision, self.lora)
        if self.objective.kl_coef != 0 and self.lora is None:
            reference = build_reference(self.policy_path, self.compute, mesh, precision)
            object.__setattr__(self, "reference", reference)

    def on_fit_start(self) -> None:
        """Leave evaluation mode, in which Hugging Face loads models, and place the reference."""
        check_configured(self.trainer)
        self.optimization.begin(self.optimizers())
        self.policy.train()
        if self.reference is not None:
            self.reference.to(self.device)

    def on_train_start(self) -> None:
        """Re-check the strategy: the number of RL steps is known only now. Go on from a checkpoint, if there is one."""
        self.advantage.check_run(self.max_rl_steps)
        self.run_state.start(self)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimizer over the trainable parameters, and its schedule."""
        return self.optimization.configure(self._trainable())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the number of RL steps, random numbers and what an export wants to know; a collective."""
        self.run_state.write(self, checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the number of RL steps; random numbers wait until training starts.

        Raises:
            Refusal: If the checkpoint is not of this run.
        """
        self.run_state.read(self, checkpoint)

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: str | Path, **settings: Any) -> Self:  # type: ignore[override]
        """Build a module with the weights of a checkpoint, whole or in shards, to use without a ``Trainer``.

        Args:
            checkpoint_path: What ``fit`` wrote.
            settings: Constructor arguments; ``policy``, ``lora`` and the dtype are the checkpoint's unless given.
        """
        checkpoint = CheckpointFiles().load_checkpoint(checkpoint_path)
        module = cls(**(constructor_settings(checkpoint) | settings))
        module.configure_model()
        module.on_load_checkpoint(checkpoint)
        module.load_state_dict(checkpoint["state_dict"], strict=module.strict_loading)
        return module

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

    def training_step(self, batch: PromptBatch, batch_idx: int) -> dict[str, Any]:
        """One RL step: advantages, then one optimizer step per mini-batch and epoch.

        Returns:
            For callbacks (``on_train_batch_end``): ``advantages`` of this rank's completions, shape ``(N,)``, and
            ``metrics``, the numbers of the step by name, those of steps that are not logged too; and ``loss``, this
            rank's share of the step's, the mean of its updates, scalar.
        """
        rollouts = batch.rollouts
        advantages = compute_advantages(self.advantage, rollouts, self.rl_step, self.max_rl_steps)  # (N,)
        keep = (advantages != 0) | (not self.objective.only_policy_loss)  # (N,) those with a gradient
        training = collect(rollouts, advantages, keep, self.num_minibatches, self.aggregation)
        mismatch = mismatch_of(training, self.rl_step, self.compute_dtype)
        sums = {name: torch.zeros(()) for name in ("num_updates", "skipped_updates", "grad_norm")}
        faults, unscored = [], nothing_scored(rollouts)
        for parts in self.updates(training):
            update, fault = self._update(training, parts, mismatch, unscored)
            sums |= {name: sums.get(name, 0) + value for name, value in update.items()}
            faults += [fault] if fault is not None else []
        if self.skipped.count(self.rl_step + 1, faults):
            raise stopped(self, rollouts, advantages, faults)
        self.rl_step += 1
        loss = sums.get("total", torch.zeros(())) / sums["num_updates"].clamp(min=1)
        return {"advantages": advantages, "metrics": log_step(self, rollouts, advantages, sums), "loss": loss}

    def completion_logprobs(self, rollouts: RolloutBatch) -> list[Tensor]:
        """The policy's log-probabilities of sampled tokens, N tensors on the CPU; every rank must call this."""
        return completion_logprobs(self.policy, rollouts, self.compute.token_budget, self.device)

    @property
    def compute_dtype(self) -> torch.dtype:
        """Precision in which the policy computes."""
        return torch.bfloat16 if "bf16" in str(self.trainer.precision) else self.policy.model.dtype

    def updates(self, training: TrainingBatch) -> Updates:
        """The updates that a step's completions are cut into; iterate while the policy is trained on them."""
        return Updates(
            policy=self.policy,
            objective=self.objective,
            training=training,
            num_minibatches=self.num_minibatches,
            num_epochs=self.num_epochs,
            token_budget=self.compute.token_budget,
            first=self.rl_step * self.updates_per_step,
            device=self.device,
        )

    @memory_for("the update", UPDATE)
    def _update(
        self, training: TrainingBatch, parts: Sequence[Part], mismatch: bool, fault: str | None
    ) -> tuple[dict[str, Tensor], str | None]:
        """One optimizer step on this rank's micro-batches; returns sums to log, and why it was skipped if it was."""
        sums: dict[str, Tensor] = {"num_updates": torch.ones((), dtype=torch.float32)}
        for number, part in enumerate(parts):
            now = self.compute.gradient_sync == "every" or number == len(parts) - 1
            with gradient_sync(self.policy, self.trainer.strategy, now):
                loss, metrics = self.objective(self.policy, self.reference, training, mismatch, *part.to(self.device))
                # Gradients are averaged over ranks, while the weights divide by global counts.
                self.manual_backward(loss * world_size())
            for name, value in metrics.items():
                sums[name] = sums.get(name, torch.zeros((), dtype=torch.float32, device=value.device)) + value
        sums = {name: value.cpu() for name, value in sums.items()}
        norm, fault = self._optimizer_step(sums.get("total", torch.zeros(())), fault)
        if fault is not None:  # what it came to is no number
            return {"skipped_updates": torch.ones(())}, fault
        return sums | {"grad_norm": norm}, None

    def _optimizer_step(self, loss: Tensor, fault: str | None) -> tuple[Tensor, str | None]:
        """One optimizer step with the gradients as they are; see ``Optimization.step``."""
        return self.optimization.step(self._trainable(), self.optimizers(), self.lr_schedulers(), loss, fault)

    def _trainable(self) -> list[nn.Parameter]:
        return [p for p in self.policy.parameters() if p.requires_grad]

    # --- validation --------------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Forget what the last validation counted."""
        self.validation.start()

    def validation_step(self, batch: PromptBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Count the correct completions of each problem."""
        self.validation.update(batch)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/<task>/pass@k`` with its interval, and ``val/pass@k``, the unweighted mean over the tasks."""
        self._log_validation("val")

    on_test_epoch_start = on_validation_epoch_start
    test_step = validation_step

    def on_test_epoch_end(self) -> None:
        """As after validation, under ``test/``."""
        self._log_validation("test")

    def predict_step(self, batch: PromptBatch, batch_idx: int, dataloader_idx: int = 0) -> int:
        """Return the number of completions; they are in the results file already."""
        return sum(len(group.texts) for group in batch.rollouts.groups)

    def _log_validation(self, stage: str) -> None:
        if self.trainer.state.fn == TrainerFn.FITTING:
            self.log("step", float(self.rl_step))
        shown = {f"pass@{k}" for k in (1, max(self.validation.ks))}
        for name, value in self.validation.compute().items():
            self.log(f"{stage}/{name}", value, prog_bar=name in shown)
