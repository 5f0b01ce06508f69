"""What decides what a run samples, for the headers of the files it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lightning as L

from lit_passk.data.module import PromptDataModule
from lit_passk.engines.base import RolloutEngine
from lit_passk.results import run_settings
from lit_passk.types import Sampling

if TYPE_CHECKING:
    from lit_passk.modules import PassKRLModule


def run_description(
    trainer: L.Trainer,
    pl_module: PassKRLModule,
    engine: RolloutEngine,
    sampling: Sampling,
    seed: int,
    policy: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Settings of a run as a result file stores and compares them.

    Args:
        trainer: Whose data module renders the prompts; replayed rollouts were rendered before.
        pl_module: Its policy.
        engine: What samples.
        sampling: How.
        seed: Seed of the run.
        policy: What is sampled from; the module's path by default.
        more: Whatever else decides what is sampled, as JSON values.
    """
    data = trainer.datamodule  # type: ignore[attr-defined]
    if isinstance(data, PromptDataModule):
        more |= {"chat_template": data.renderer.chat_template, "system_prompt": data.renderer.system_prompt}
        if data.renderer.template_kwargs:
            more["chat_template_kwargs"] = data.renderer.template_kwargs
    return run_settings(
        policy or pl_module.policy_path,
        sampling,
        seed,
        engine=type(engine).__name__,
        dtype=pl_module.compute.dtype,
        precision=str(trainer.precision),
        **more,
    )
