"""Whether a checkpoint fits the run that is to go on from it: said in a sentence before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from lit_passk import __version__
from lit_passk.checkpointing.fingerprint import policy_fingerprint
from lit_passk.errors import Refusal
from lit_passk.inputs import parse_yaml
from lit_passk.policy.lora import LoRA
from lit_passk.printable import printable
from lit_passk.results.record import settings_differences

PARTS = ("rl_step", "random_states", "policy", "dtype", "lora", "config", "metrics")
"""What ``RunState.write`` writes."""
_MOST_SAID = 10
"""Settings that are named one by one: a task of another class alone differs in as many."""


def check_fits(
    checkpoint: Mapping[str, Any],
    own: Mapping[str, Tensor],
    *,
    policy: str,
    lora: LoRA | None,
    training: bool,
) -> None:
    """Refuse a checkpoint of another version, of another policy or of other adapters.

    Args:
        checkpoint: What was read; of one in shards everything but weights and optimizer state.
        own: The run's weights, as its checkpoints hold them.
        policy: The run's policy.
        lora: The run's adapters.
        training: Whether optimizer state is needed too.

    Raises:
        Refusal: With what differs and what to set.
    """
    if lacks := [part for part in PARTS if part not in checkpoint]:
        raise Refusal(
            f"The checkpoint holds no {', '.join(lacks)}: it was written by lit-passk "
            f"{checkpoint.get('lit_passk', 'of an earlier version')}, this is {__version__}. Export it by that version "
            "(`lit-passk export`), then begin a new run with the folder as `model.policy`."
        )
    whose = f"The checkpoint is of the policy {checkpoint['policy']!r}"
    its, ours = checkpoint["lora"], None if lora is None else asdict(lora)
    if its != ours:
        raise Refusal(
            f"{whose} with `model.lora` {its}, but this run has {ours}. Set `model.lora` to what that run had."
        )
    if (weights := checkpoint.get("state_dict")) is None:  # in shards, which the strategy compares itself
        return
    if difference := _difference(weights, own):
        raise Refusal(
            f"{whose}, which does not fit `model.policy` {policy!r}: {difference}. Set `model.policy` to what that run "
            "had, or begin a new run, in a new folder, without `--ckpt_path`."
        )
    if training and not checkpoint.get("optimizer_states"):
        raise Refusal(
            f"{whose} and holds weights alone, no optimizer state: there is nothing to go on from. Name one of "
            "`checkpoints/`, or begin a new run from it: `lit-passk export`, then `model.policy`."
        )


def check_base(checkpoint: Mapping[str, Any], policy: str, setting: str) -> None:
    """Refuse other weights in the policy's folder than a run began with, where its checkpoint needs them.

    Args:
        checkpoint: Of a run with adapters, which belong to those weights, or with a KL term, which compares with them.
        policy: Where they are now.
        setting: What says so.

    Raises:
        Refusal: If they are others; nothing else would show it, as they have the same shapes.
    """
    before, now = checkpoint.get("policy_weights"), policy_fingerprint(policy)
    if before is not None and now is not None and before != now:
        raise Refusal(
            f"The files of weights in {policy!r} are not those that the run began with, which its adapters are of, or "
            f"its KL term compares with. Put the files back as they were, or name by {setting} where they are now."
        )


def say_changes(before: str, now: str) -> None:
    """Say which settings of a resumed run differ from its checkpoint's; those of the optimizer are said elsewhere.

    Args:
        before: The configuration as YAML; empty where there was no command line.
        now: That of this run.

    Raises:
        Refusal: If the checkpoint's is no YAML.
    """
    old, new = (parse_yaml(text, "The checkpoint's configuration") for text in (before, now))
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return
    different = settings_differences(old, new, "the checkpoint")
    shaping = ("seed_everything:", "model.", "data.", "rollout.", "trainer.precision:")
    if said := [line for line in different if line.startswith(shaping) and not line.startswith("model.optimizer")]:
        more = f"; {len(said) - _MOST_SAID} more" if len(said) > _MOST_SAID else ""
        shown = "; ".join(printable(line)[:200] for line in said[:_MOST_SAID])
        rank_zero_info("Settings differ from the checkpoint's: %s%s.", shown, more)


def check_optimizers(before: Sequence[str], now: Sequence[str]) -> None:
    """Refuse to go on with optimizers of other classes: their state means something else.

    Raises:
        Refusal: With both.
    """
    if before != now:
        raise Refusal(
            f"The checkpoint has the state of {', '.join(before)}, but `model.optimizer` is {', '.join(now)}. Set "
            "`model.optimizer` to what that run had, or begin a new run from its weights (`lit-passk export`)."
        )


def _difference(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> str:
    """The first thing in which weights differ, empty when nothing does."""
    for name in ours.keys() & theirs.keys():
        if ours[name].shape != theirs[name].shape:
            return f"{name} has shape {tuple(theirs[name].shape)} there, {tuple(ours[name].shape)} here"
    for names, where in ((theirs.keys() - ours.keys(), "there"), (ours.keys() - theirs.keys(), "here")):
        if names:
            return f"only {where} is a weight {min(names)}"
    return ""
