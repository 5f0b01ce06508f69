"""How long a prompt and its completion may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lit_passk.errors import Refusal
from lit_passk.types import Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def position_limit(config: PreTrainedConfig) -> int | None:
    """Most tokens a prompt and its completion may have together; None where the model sets no limit.

    Positions stretched by YaRN reach further than ``max_position_embeddings``, which Qwen's folders leave as it was.
    """
    text = config.get_text_config()
    limits = [getattr(text, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len")]
    limit = next((int(limit) for limit in limits if limit), None)
    if limit is None:
        return None
    reach = [
        int(rope["factor"] * rope["original_max_position_embeddings"])
        for rope in rope_settings(config)
        if rope["rope_type"] == "yarn" and rope.get("factor") and rope.get("original_max_position_embeddings")
    ]
    return max(limit, *reach) if reach else limit


def rope_settings(config: PreTrainedConfig) -> list[dict[str, Any]]:
    """How a model's rotary positions are scaled, once for all layers or once for each type of layer."""
    settings = getattr(config.get_text_config(), "rope_parameters", None) or {}
    several = [settings] if "rope_type" in settings else [part for part in settings.values() if isinstance(part, dict)]
    return [part for part in several if "rope_type" in part]


def length_of_short_positions(config: PreTrainedConfig) -> int | None:
    """Tokens up to which a LongRoPE model takes its ``short_factor``; None where all lengths are computed alike.

    Past that length transformers takes the ``long_factor`` for the whole sequence, its first token included.
    """
    text = config.get_text_config()
    for rope in rope_settings(config):
        if rope["rope_type"] == "longrope" and rope.get("short_factor") != rope.get("long_factor"):
            original = rope.get("original_max_position_embeddings")
            original = original or getattr(text, "original_max_position_embeddings", None)
            return int(original or text.max_position_embeddings)
    return None


def check_fits(longest: int, sampling: Sampling, config: PreTrainedConfig) -> None:
    """Raise a Refusal if a model cannot compute a prompt of so many tokens with its completion, or not in one way."""
    check_length(longest, sampling, position_limit(config))
    short = length_of_short_positions(config)
    if short is not None and longest + sampling.max_tokens > short:
        raise Refusal(
            f"A prompt of {longest} tokens and a completion of max_tokens={sampling.max_tokens} may pass the {short} "
            f"tokens up to which this model ({config.model_type}, LongRoPE) takes its `short_factor`. One token more, "
            "and transformers computes the whole text with `long_factor`: what was sampled before came from other "
            "probabilities. Lower `max_tokens` or `data.max_prompt_tokens`; or, in a copy of the policy's folder, set "
            "`short_factor` in config.json to the values of `long_factor`, as vLLM does for every length once "
            f"`max_model_len` is above {short}."
        )


def check_lengths(prompt_ids: Sequence[Sequence[int]], sampling: Sampling, limit: int | None) -> None:
    """Raise a Refusal if the longest of P prompts leaves no room for ``sampling.max_tokens``; see ``check_length``."""
    check_length(longest_of(prompt_ids), sampling, limit)


def longest_of(prompt_ids: Sequence[Sequence[int]]) -> int:
    """Tokens of the longest of P prompts."""
    return max((len(prompt) for prompt in prompt_ids), default=0)


def check_length(longest: int, sampling: Sampling, limit: int | None) -> None:
    """Raise a Refusal if a prompt leaves no room for ``sampling.max_tokens``.

    Args:
        longest: Tokens of the prompt.
        sampling: ``max_tokens`` is read.
        limit: Most tokens of the two together; None allows any number.
    """
    if limit is not None and longest + sampling.max_tokens > limit:
        raise Refusal(
            f"A prompt of {longest} tokens and a completion of max_tokens={sampling.max_tokens} do not fit in {limit} "
            "tokens. Lower `max_tokens` of the sampling or `data.max_prompt_tokens`, or raise the engine's "
            "`max_model_len` as far as the model allows."
        )
