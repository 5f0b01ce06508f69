"""What a running ``vllm serve`` serves and how, and whether rollouts can come from it."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from lit_passk.engines.server import RequestRefused, Server, ServerError
from lit_passk.engines.vllm_protocol import ask
from lit_passk.errors import CannotRun

UNNAMED_VERSION = "default"
"""What a server calls the weights it started with."""

SERVE_COMMAND = (
    "VLLM_SERVER_DEV_MODE=1 vllm serve POLICY --tokens-only --logprobs-mode processed_logprobs --generation-config vllm"
)
ON_CPU = " --no-enable-chunked-prefill --max-num-batched-tokens MAX_MODEL_LEN --block-size 32"

SECONDS_OF_A_LOOK = 30.0
"""That a server may take for a question about itself, at most."""


_Count = Annotated[int, msgspec.Meta(ge=1)]
_Floats = Annotated[str, msgspec.Meta(pattern=r"^(?:torch\.)?(?:bfloat16|float16|float32|float64)$")]


class _Model(msgspec.Struct):
    model: str
    logprobs_mode: str
    max_model_len: _Count
    dtype: _Floats
    served_model_name: str | list[Any] | None = None
    quantization: str | None = None


class _Scheduler(msgspec.Struct):
    enable_chunked_prefill: bool
    max_num_batched_tokens: int


class _Device(msgspec.Struct):
    device: Any


class _Cache(msgspec.Struct):
    cache_dtype: str


class _Transfer(msgspec.Struct):
    backend: str


class _Config(msgspec.Struct):
    model_config: _Model
    scheduler_config: _Scheduler
    device_config: _Device
    cache_config: _Cache
    weight_transfer_config: _Transfer | None


class _Said(msgspec.Struct):
    config: _Config
    version: str | int
    workers: _Count


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """What matters of a server's configuration."""

    address: str
    model: str
    """Folder or hub id, as the server was given it."""
    names: Collection[str]
    """The same, and what it is served as."""
    max_model_len: int
    weight_transfer: str | None
    """A backend's name."""
    num_workers: int
    version: str
    """Of its weights."""
    dtype: str
    quantization: str | None
    """A method's name."""
    cache_dtype: str

    def is_named(self, policy_path: str) -> bool:
        """Whether it says that it serves this folder or hub id, or a folder that may hold the same."""
        cached = f"models--{policy_path.replace('/', '--')}"
        paths = [Path(name) for name in self.names]
        return any(path.name == Path(policy_path).name or cached in path.parts for path in paths)

    def is_like(self, other: Served) -> bool:
        """Whether another description can be of the same server, started anew."""
        return (self.model, self.dtype, self.quantization) == (other.model, other.dtype, other.quantization)


def describe(server: Server, timeout: float) -> Served:
    """Look at how a server runs, within ``timeout`` seconds a call and half a minute at most.

    Raises:
        CannotRun: If it runs without what rollouts need; the message holds the command to start it with.
    """
    timeout = min(timeout, SECONDS_OF_A_LOOK)
    try:
        config = ask(server, "GET", "/server_info?config_format=json", timeout, "vllm_config")
        version = ask(server, "GET", "/weight_info", timeout, "weight_version")
        workers = ask(server, "GET", "/get_world_size", timeout, "world_size")
    except RequestRefused as error:
        if error.status not in (404, 405):
            raise
        raise CannotRun(f"{error}. Start the server as `{SERVE_COMMAND}` (on CPU with `{ON_CPU.strip()}`).") from error
    try:
        said = msgspec.convert({"config": config, "version": version, "workers": workers}, _Said)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter of half a surrogate pair in a name
        raise CannotRun(
            f"{server.address} describes itself otherwise than the vLLM this was written for (0.32): {error}. Start "
            f"another release there, as `{SERVE_COMMAND}`."
        ) from error
    model, scheduler, transfer = (
        said.config.model_config,
        said.config.scheduler_config,
        said.config.weight_transfer_config,
    )
    served = model.served_model_name
    found = Served(
        address=server.address,
        model=model.model,
        names={model.model, *map(str, [served] if isinstance(served, str) else served or ())},
        max_model_len=model.max_model_len,
        weight_transfer=None if transfer is None else transfer.backend,
        num_workers=said.workers,
        version=str(said.version),
        dtype=model.dtype.removeprefix("torch."),
        quantization=model.quantization,
        cache_dtype=said.config.cache_config.cache_dtype,
    )
    if model.logprobs_mode != "processed_logprobs":
        raise CannotRun(
            f"{server.address} reports {model.logprobs_mode[:100]}, before the temperature is applied. Start it as "
            f"`{SERVE_COMMAND}`."
        )
    split = scheduler.enable_chunked_prefill or scheduler.max_num_batched_tokens < model.max_model_len
    if said.config.device_config.device == "cpu" and split:
        raise CannotRun(
            f"{server.address} may prefill a prompt in two steps, which vLLM on CPU cannot do for seeded sampling. "
            f"Start it with `{ON_CPU.strip()}`, MAX_MODEL_LEN being {model.max_model_len}."
        )
    return found


def wait_for(server: Server, timeout: float, patience: float) -> Served:
    """Look at how a server runs, waiting until it answers.

    Args:
        server: The server.
        timeout: Seconds any one call may take.
        patience: Seconds to wait.

    Raises:
        CannotRun: If it does not answer, or runs without what rollouts need.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return describe(server, timeout)
        except ServerError as error:
            if time.monotonic() > deadline:
                raise CannotRun(
                    f"{server.address} does not answer within {patience:.0f} s ({error}). Start it as "
                    f"`{SERVE_COMMAND}`."
                ) from error
            time.sleep(1.0)


def weights_to_replace(served: Sequence[Served], policy_path: str, can_replace: bool) -> str:
    """What of the servers' weights is not the policy's as its folder has it, by what they say; empty for nothing.

    Args:
        served: What each serves.
        policy_path: The policy's folder or hub id.
        can_replace: Whether weights can be sent.

    Raises:
        CannotRun: If there is something and it cannot be replaced.
    """
    trained = sorted({each.version for each in served} - {UNNAMED_VERSION, "0"})
    if trained and not can_replace:
        raise CannotRun(
            f"The servers hold weights {trained} of an earlier run, but those of {policy_path} are wanted. Restart "
            "them."
        )
    others = [f"{each.address} serves {each.model!r}" for each in served if not each.is_named(policy_path)]
    if others and not can_replace:
        raise CannotRun(
            f"{'; '.join(others)}, but {policy_path!r} is to be sampled. Start the servers with it; if it is the same "
            f"under another name, with `--served-model-name {policy_path}` too."
        )
    return "; ".join(others) or ("weights of an earlier run" if trained else "")
