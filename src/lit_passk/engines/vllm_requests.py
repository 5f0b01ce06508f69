"""Sampling requests to vLLM, in this process or in a server: their fields, and checks of what vLLM cannot do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lit_passk.engines.limits import check_lengths
from lit_passk.errors import Refusal
from lit_passk.types import Sampling

MAX_TEMPERATURE = 2.0
"""vLLM refuses more; below ``MIN_TEMPERATURE`` it silently raises the temperature to it."""
MIN_TEMPERATURE = 0.01


def sampling_fields(sampling: Sampling, eos_token_ids: Sequence[int], n: int, seed: int) -> dict[str, Any]:
    """Translate ``Sampling``, setting every field that shapes the distribution: vLLM's and the model's defaults differ.

    Args:
        sampling: Temperature, limits.
        eos_token_ids: The only tokens that end a completion; the model's own generation config has no say.
        n: Completions of the prompt; vLLM gives completion i the seed ``seed + i``.
        seed: Base seed, not negative.
    """
    return {
        "n": n,
        "seed": seed,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": 0.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "repetition_penalty": 1.0,
        "max_tokens": sampling.max_tokens,
        "min_tokens": 0,
        "ignore_eos": True,  # the tokenizer's EOS is not asked; ours stop the completion and stay in it
        "stop_token_ids": list(eos_token_ids),
        "logprobs": 0,  # of the sampled token alone
        "detokenize": False,
    }


def group_size(sampling: Sampling) -> int:
    """Return the completions per prompt, or say that they are missing."""
    if sampling.n is None:
        raise ValueError("`generate` needs `sampling.n`, the completions per prompt, but got None.")
    return sampling.n


def check_request(
    prompt_ids: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int], max_model_len: int
) -> None:
    """Raise a ValueError for what vLLM would refuse, cut short or silently change."""
    group_size(sampling)
    if len(seeds) != len(prompt_ids):
        raise ValueError(f"`generate` needs one seed per prompt, but got {len(seeds)} for {len(prompt_ids)} prompts.")
    if any(seed < 0 for seed in seeds):
        raise ValueError(f"`generate` needs seeds >= 0 (vLLM reads -1 as no seed at all), but got {min(seeds)}.")
    if 0 < sampling.temperature < MIN_TEMPERATURE or sampling.temperature > MAX_TEMPERATURE:
        raise Refusal(
            f"vLLM samples at temperature 0 or {MIN_TEMPERATURE} to {MAX_TEMPERATURE}, but got {sampling.temperature}."
        )
    check_lengths(prompt_ids, sampling, max_model_len)
