"""What a vLLM server answers to a sampling request, believed only as far as it fits the request."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import msgspec

from lit_passk.types import Completion

LARGEST = 1e-3
"""Log-probability above 0 that is still rounding."""


class _Token(msgspec.Struct):
    logprob: float


class _Logprobs(msgspec.Struct):
    content: list[_Token]


class _Weights(msgspec.Struct):
    version: str


class _Choice(msgspec.Struct):
    index: int
    finish_reason: str | None
    token_ids: list[int]
    logprobs: _Logprobs
    weight_versions: list[_Weights]


class _Answer(msgspec.Struct):
    choices: list[_Choice]


def read_group(
    answer: Any, n: int, max_tokens: int, eos_token_ids: Collection[int], vocab_size: int | None
) -> list[tuple[str, Completion]]:
    """Translate the answer to a request for n completions of one prompt.

    Args:
        answer: The JSON.
        n: Completions asked for.
        max_tokens: Most tokens of each.
        eos_token_ids: Tokens that end one.
        vocab_size: Token ids of the policy lie below it; None is any.

    Returns:
        Name of the weights (``several`` for more than one) and completion, in the order of the seeds.

    Raises:
        ValueError: What the answer is instead, to follow "answered with".
    """
    try:
        choices = msgspec.convert(answer, _Answer).choices
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter of half a surrogate pair in a name
        raise ValueError(f"something else than completions ({error}): {str(answer)[:300]!r}") from error
    choices.sort(key=lambda choice: choice.index)
    if [choice.index for choice in choices] != list(range(n)):
        numbers = ", ".join(str(choice.index) for choice in choices[:20])
        raise ValueError(f"{len(choices)} completions of {n}, numbered {numbers[:200] or 'not at all'}")
    return [_read(choice, max_tokens, eos_token_ids, vocab_size) for choice in choices]


def _read(
    choice: _Choice, max_tokens: int, eos_token_ids: Collection[int], vocab_size: int | None
) -> tuple[str, Completion]:
    tokens, logprobs = choice.token_ids, [token.logprob for token in choice.logprobs.content]
    reason = choice.finish_reason
    if reason not in ("stop", "length"):
        raise ValueError(f"a completion that ended with {repr(reason)[:40]}, not with stop or length")
    if len(tokens) != len(logprobs):
        raise ValueError(f"a completion of {len(tokens)} tokens and {len(logprobs)} log-probabilities")
    if not 0 < len(tokens) <= max_tokens or (reason == "length" and len(tokens) < max_tokens):
        raise ValueError(f"a completion of {len(tokens)} tokens that ended with {reason!r} at max_tokens={max_tokens}")
    ends = [position for position, token in enumerate(tokens) if token in eos_token_ids]
    if ends[:1] != ([len(tokens) - 1] if reason == "stop" else []):
        raise ValueError(f"a completion of {len(tokens)} tokens, ended by {reason!r}, with end tokens at {ends[:5]}")
    wrong = [token for token in tokens if token < 0 or (vocab_size is not None and token >= vocab_size)]
    if wrong:
        raise ValueError(
            f"token {str(wrong[0])[:40]}, which the policy's vocabulary of {vocab_size} tokens does not have"
        )
    bad = [value for value in logprobs if not math.isfinite(value) or value > LARGEST]
    if bad:
        raise ValueError(f"a log-probability of {bad[0]}")
    versions = {weights.version for weights in choice.weight_versions}
    completion = Completion(token_ids=tokens, logprobs=logprobs, finish_reason=reason)
    return versions.pop() if len(versions) == 1 else "several", completion
