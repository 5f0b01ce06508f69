"""Where a policy comes from: its folder or hub id, its configuration, its end tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lit_passk.errors import Refusal

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def resolve_policy(path: str | Path) -> str:
    """A folder's path with ``~`` expanded, or a hub id as it is.

    Raises:
        Refusal: If it can only be a folder and there is none, without asking the hub, which takes a minute where there
            is no network.
    """
    folder = Path(path).expanduser()
    looks_local = str(path).startswith((".", "~", "/")) or len(folder.parts) > 2
    if looks_local and not folder.is_dir():
        raise no_policy(path)
    return str(folder) if folder.is_dir() else str(path)


def no_policy(path: str | Path) -> Refusal:
    """The refusal of a path at which there is no policy."""
    return Refusal(
        f"No model at {str(path)!r}: there is no such folder, and the hub gives no model of that name. `lit-passk sft "
        f"--config configs/maze_sft_cpu.yaml --out {path}` makes the shipped maze cold start."
    )


def policy_config(path: str) -> PreTrainedConfig:
    """The configuration of a policy, with everything switched off that makes a forward pass random in training.

    Dropout, jitter of a router and skipped layers add noise to the log-probabilities that training compares with the
    sampled ones; as TRL does, they are set to 0. What ``export`` writes has them as they were.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path)
    for part in [config, *(getattr(config, name, None) for name in config.sub_configs)]:
        for name, value in vars(part or object).items() if part is not None else ():
            if isinstance(value, float) and any(word in name for word in ("drop", "jitter")):
                setattr(part, name, 0.0)
    return config


def refuse_quantized(path: str) -> None:
    """Refuse to train a policy whose checkpoint is quantised: its weights are codes, which have no gradient.

    Raises:
        Refusal: With what to give instead.
    """
    from transformers import AutoConfig

    found = getattr(AutoConfig.from_pretrained(path), "quantization_config", None)
    if found:
        method = found.get("quant_method") if isinstance(found, dict) else getattr(found, "quant_method", None)
        raise Refusal(
            f"The policy {path!r} is quantised ({method or 'see its config.json'}), and such weights cannot be trained."
            " Give the checkpoint it was made from; the engine may quantise: `rollout.engine` VLLMEngine with "
            "engine_args: {quantization: fp8}."
        )


def end_token_ids(path: str) -> set[int]:
    """What ends a text of the model, as transformers knows it: by its generation config, else by its configuration."""
    from transformers import AutoConfig, GenerationConfig

    try:
        generation = GenerationConfig.from_pretrained(path)
    except OSError:  # a folder without generation_config.json
        generation = GenerationConfig.from_model_config(AutoConfig.from_pretrained(path))
    ids = generation.eos_token_id
    return {ids} if isinstance(ids, int) else set(ids or ())


def generation_settings(path: str) -> str | None:
    """The text of the policy's ``generation_config.json``; None without one."""
    from transformers.utils import GENERATION_CONFIG_NAME, cached_file

    file = cached_file(path, GENERATION_CONFIG_NAME, _raise_exceptions_for_missing_entries=False)
    return None if file is None else Path(file).read_text(encoding="utf-8")
