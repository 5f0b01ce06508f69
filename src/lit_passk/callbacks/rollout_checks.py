"""What a run with rollouts refuses once its parts are known to each other, before time is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lit_passk.data.module import PromptDataModule
from lit_passk.errors import Refusal
from lit_passk.modules.advantage import check_learns, warn_of_unused_rewards
from lit_passk.rollout.checks import check_lengths_fit, check_training_sampling
from lit_passk.rollout.source import RunSettings

if TYPE_CHECKING:
    from lit_passk.callbacks.rollout import RolloutCallback
    from lit_passk.modules import PassKRLModule


def check_setup(rollout: RolloutCallback, module: PassKRLModule, data: Any, stage: str) -> None:
    """Refuse what cannot work together.

    Args:
        rollout: Engine, source, group size and sampling.
        module: Strategy, policy and values of k.
        data: The trainer's data module, or None.
        stage: Lightning's: ``fit``, ``validate``, ``test`` or ``predict``.

    Raises:
        Refusal: With what was given and what to set instead.
    """
    if data is None:
        raise Refusal(
            "RolloutCallback needs a data module, with the tasks that score and the tokenizer that decodes: give "
            "the trainer `datamodule=PromptDataModule(...)` instead of loaders."
        )
    if stage == "fit":
        check_training_sampling(rollout.sampling)
        module.advantage.check_group_size(rollout.group_size)
        check_learns(module.advantage, rollout.group_size)
        if getattr(data, "rewards", None):
            warn_of_unused_rewards(module.advantage, rollout.group_size)
        check_run(rollout, module, data)
    if stage in ("validate", "test") or (stage == "fit" and data.val):
        module.validation.check_samples(rollout.val_sampling.n or 0, training=stage == "fit")
    if isinstance(data, PromptDataModule):
        train = rollout.sampling if stage == "fit" else None
        check_lengths_fit(data, module.policy_path, train, rollout.val_sampling)


def check_run(rollout: RolloutCallback, module: PassKRLModule, data: Any) -> None:
    """Have source and sampler refuse what they cannot serve; again when the length of the run is known.

    Raises:
        Refusal: With what was given and what to set instead.
    """
    settings = RunSettings(
        samples_beside_training=rollout.engine.samples_beside_training,
        engine=type(rollout.engine).__name__,
        group_size=rollout.group_size,
        corrected=module.objective.correction != "off",
        first_step=module.rl_step,
        max_steps=module.max_rl_steps,
    )
    rollout.source.check(settings)
    if isinstance(data, PromptDataModule) and data.sampler is not None:
        data.sampler.prepare(module.advantage, rollout.group_size, module.max_rl_steps)
