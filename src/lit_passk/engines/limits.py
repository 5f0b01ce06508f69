"""How long a prompt and its completion may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lit_passk.errors import Refusal
from lit_passk.types import Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def position_limit(config: PreTrainedConfig) -> int | None:
    """Most tokens a prompt and its completion may have together; None where the model sets no limit."""
    text = config.get_text_config()
    limits = [getattr(text, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len")]
    return next((int(limit) for limit in limits if limit), None)


def check_lengths(prompt_ids: Sequence[Sequence[int]], sampling: Sampling, limit: int | None) -> None:
    """Raise a Refusal if the longest of P prompts leaves no room for ``sampling.max_tokens``; see ``check_length``."""
    check_length(max((len(prompt) for prompt in prompt_ids), default=0), sampling, limit)


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
