"""Where a policy comes from: its folder or hub id, its configuration, its end tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lit_passk.errors import Refusal
from lit_passk.hub import not_given, use_hub
from lit_passk.inputs import check_file, expanded

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_OTHER_ARCHITECTURES = ("MaskedLM", "Classification", "QuestionAnswering", "RewardModel", "EmbeddingModel")


def resolve_policy(path: str | Path) -> str:
    """A folder's path with ``~`` expanded, or a hub id as it is, after a look whether the hub answers.

    Raises:
        Refusal: If it can only be a folder and there is none, it is a checkpoint or a run, or a pipe or a device lies
            in it in the place of a file.
    """
    folder = expanded(path)
    no_model = folder.is_dir() and not (folder / "config.json").exists()
    if folder.is_file() or (no_model and (folder.suffix == ".ckpt" or (folder / "checkpoints").is_dir())):
        raise Refusal(
            f"{str(path)!r} is no folder with a model's config.json, weights and tokenizer. Of a checkpoint, or of a "
            f"run's last, `lit-passk export --ckpt_path {path} --out FOLDER` makes one."
        )
    if folder.is_dir():
        for file in folder.iterdir():
            if not file.is_dir():
                check_file(file)
        return str(folder)
    if str(path).startswith((".", "~", "/", "runs/")) or len(folder.parts) > 2:  # `runs` is where trainings write
        raise Refusal(
            f"No model at {str(path)!r}: there is no such folder. `lit-passk sft --config maze_sft_cpu --out {path}` "
            "makes the shipped maze cold start."
        )
    use_hub()
    return str(path)


def load_config(path: str) -> PreTrainedConfig:
    """The configuration of a policy as it was published.

    Raises:
        Refusal: If the hub does not give it, or is not there.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(path, trust_remote_code=False)
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise cannot_load(path, error) from error
        raise Refusal(
            f"The policy {path!r} brings program code of its own (`auto_map` of its config.json), which is never run. "
            "Take a model whose architecture transformers has by itself."
        ) from None
    except OSError as error:
        if Path(path).is_dir():
            raise cannot_load(path, error) from error
        raise not_given(path, "model", error) from error
    except Exception as error:  # of values that are none, transformers raises nearly everything
        raise cannot_load(path, error) from error


def cannot_load(path: str, error: Exception) -> Refusal:
    """The refusal of a folder that is there and holds no whole model, or another than its configuration says."""
    reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
    reason = f"{type(error).__name__} {reason}" if isinstance(error, LookupError) or not reason else reason
    return Refusal(f"The policy {path!r} cannot be loaded as a causal language model: {reason}")


def policy_config(path: str) -> PreTrainedConfig:
    """The configuration of a policy, with everything switched off that makes a forward pass random in training.

    Dropout, jitter of a router and skipped layers add noise to the log-probabilities that training compares with the
    sampled ones; as TRL does, they are set to 0. What ``export`` writes has them as they were.
    """
    config = load_config(path)
    _refuse_other_models(path, config)
    for part in [config, *(getattr(config, name, None) for name in config.sub_configs)]:
        for name, value in vars(part or object).items() if part is not None else ():
            if isinstance(value, float) and any(word in name for word in ("drop", "jitter")):
                setattr(part, name, 0.0)
    return config


def _refuse_other_models(path: str, config: PreTrainedConfig) -> None:
    """Refuse models that do not write text token by token; some would load, and be trained on noise."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    others = [name for name in config.architectures or () if name.endswith(_OTHER_ARCHITECTURES)]
    if others or config.is_encoder_decoder or type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        what = ", ".join(others or config.architectures or [config.model_type])
        raise Refusal(
            f"The policy {path!r} is no causal language model, but {what}. Give a decoder-only model that continues "
            "text (`...ForCausalLM` in its config.json)."
        )


def refuse_quantized(path: str) -> None:
    """Refuse to train a policy whose checkpoint is quantised: its weights are codes, which have no gradient.

    Raises:
        Refusal: With what to give instead.
    """
    found = getattr(load_config(path), "quantization_config", None)
    if found:
        method = found.get("quant_method") if isinstance(found, dict) else getattr(found, "quant_method", None)
        raise Refusal(
            f"The policy {path!r} is quantised ({method or 'see its config.json'}), and such weights cannot be trained."
            " Give the checkpoint it was made from; the engine may quantise: `rollout.engine` VLLMEngine with "
            "engine_args: {quantization: fp8}."
        )


def end_token_ids(path: str) -> set[int]:
    """What ends a text of the model, as transformers knows it: by its generation config, else by its configuration.

    Raises:
        Refusal: If its generation config is broken: the configuration may know fewer end tokens.
    """
    from transformers import GenerationConfig
    from transformers.utils import GENERATION_CONFIG_NAME

    try:
        generation = GenerationConfig.from_pretrained(path)
    except OSError as error:
        if (Path(path) / GENERATION_CONFIG_NAME).exists():
            raise cannot_load(path, error) from error
        generation = GenerationConfig.from_model_config(load_config(path))
    except Exception as error:
        raise cannot_load(path, error) from error
    ids = generation.eos_token_id
    found = {ids} if isinstance(ids, int) else set(ids or ())
    if not all(isinstance(token, int) for token in found):
        raise Refusal(
            f"The policy {path!r} has {ids!r} as `eos_token_id`, which must be the number of a token or a list."
        )
    return found


def generation_settings(path: str) -> str | None:
    """The text of the policy's ``generation_config.json``; None without one."""
    from transformers.utils import GENERATION_CONFIG_NAME, cached_file

    file = cached_file(path, GENERATION_CONFIG_NAME, _raise_exceptions_for_missing_entries=False)
    return None if file is None else Path(file).read_text(encoding="utf-8")
