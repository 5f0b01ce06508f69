"""Rollouts by running ``vllm serve`` processes, on this machine or others."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from lit_passk.distributed import all_objects, rank
from lit_passk.engines import vllm_protocol
from lit_passk.engines.base import RolloutEngine
from lit_passk.engines.server import Server, ServerError
from lit_passk.engines.server_pool import ServerPool
from lit_passk.engines.server_weights import ServerWeights
from lit_passk.engines.vllm_models import is_quantized
from lit_passk.engines.vllm_requests import check_request, group_size
from lit_passk.engines.vllm_served import Served, describe, wait_for, weights_to_replace
from lit_passk.engines.vllm_transfer import WeightBroadcast
from lit_passk.errors import CannotRun, Refusal
from lit_passk.policy.checkpoint_names import CheckpointNames, skeleton
from lit_passk.policy.source import policy_config
from lit_passk.types import Completion, Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 60.0
"""Without a finished group, before the log says what is being waited for."""


class VLLMServerEngine(RolloutEngine):
    """Samples with servers that run beside the training, started by hand or by a job script.

    Start each as ``VLLM_SERVER_DEV_MODE=1 vllm serve POLICY --tokens-only --logprobs-mode processed_logprobs
    --generation-config vllm``; add ``--weight-transfer-config '{"backend": "nccl"}'`` to take weights over NCCL.
    The development routes can replace the weights: keep the servers off public networks.

    A prompt's group is one request. It goes to the server with the least to do; if that one dies, answers nonsense or
    nothing at all, it goes to another, and because every completion has its own seed the result is the same. A server
    that comes back is brought up to date before it is used.

    Args:
        addresses: ``http://host:port`` or ``https://host/path`` of each server. An API key is read from the environment
            variable ``VLLM_API_KEY``, where the server reads it too; no configuration holds it.
        request_timeout: Seconds without an answer after which a request is tried elsewhere; more than the longest group
            takes.
        patience: Seconds without any working server after which the run stops; also how long ``start`` waits.
        max_in_flight: Prompts sent at once, over all servers.
        weight_transfer: ``auto`` broadcasts over NCCL where this process has a GPU and all servers were started for it,
            and writes files otherwise; ``path`` always writes files.
        weights_dir: Folder for these files that all servers can see; None is a temporary one, for servers on this
            machine.
    """

    needs_policy = False

    def __init__(
        self,
        addresses: list[str],
        request_timeout: float = 600.0,
        patience: float = 300.0,
        max_in_flight: int = 64,
        weight_transfer: Literal["auto", "path"] = "auto",
        weights_dir: str | None = None,
    ) -> None:
        if not addresses:
            raise Refusal("VLLMServerEngine needs at least one address, for example http://localhost:8000.")
        self.servers = [Server(address) for address in addresses]
        self.request_timeout = request_timeout
        self.patience = patience
        self.max_in_flight = max_in_flight
        self.weight_transfer = weight_transfer
        self.weights_dir = weights_dir
        self._pool: ServerPool | None = None
        self._eos_token_ids: list[int] = []
        self._max_model_len = 0
        self._vocab_size: int | None = None
        self._served: dict[str, Served] = {}
        self._weights: ServerWeights | None = None

    @property
    def samples_beside_training(self) -> bool:
        """The servers do."""
        return True

    def start(self, policy_path: str, policy: PreTrainedModel | None, eos_token_ids: Sequence[int]) -> None:
        """Wait for the servers and look at how they run. A second call is ignored."""
        if self._pool is not None:
            return
        facts = [wait_for(server, self.request_timeout, self.patience) for server in self.servers]
        replaced = weights_to_replace(facts, policy_path, can_replace=policy is not None)
        if replaced:
            logger.info("The policy's weights are sent before the first rollouts: %s.", replaced)
        self._served = {server.address: fact for server, fact in zip(self.servers, facts, strict=True)}
        self._max_model_len = min(fact.max_model_len for fact in facts)
        self._eos_token_ids = [int(token) for token in eos_token_ids]
        config = policy.config if policy is not None else policy_config(policy_path)
        self._vocab_size = config.get_text_config().vocab_size
        dtypes = [getattr(torch, fact.dtype) for fact in facts]
        self.dtype = min(dtypes, key=lambda dtype: torch.finfo(dtype).bits)
        self.quantized = any(
            is_quantized(fact.quantization, fact.cache_dtype, dtype) for fact, dtype in zip(facts, dtypes, strict=True)
        )
        self.version = -1 if replaced else 0
        if not replaced:
            for server in self.servers:
                vllm_protocol.name_version(server, 0, self.request_timeout)
        names = CheckpointNames(policy if policy is not None else skeleton(policy_path))
        self._weights = ServerWeights(names, self.request_timeout, self.weights_dir, self._broadcast(facts))
        self._pool = ServerPool(self.servers, self.patience)

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Bring every server that works to these weights; the others follow when they come back."""
        pool = self._started()
        assert self._weights is not None
        if version == self.version:
            return
        error = ""
        if rank() == 0:
            try:
                self._weights.send(pool, named_tensors, version)
            except (ServerError, RuntimeError) as problem:
                error = str(problem)
        else:
            for _ in named_tensors:  # gathering a tensor is a collective
                pass
        error = all_objects(error, "an error of the servers")[0]  # also the point before which no rank may sample
        if error:
            raise CannotRun(f"The weights of version {version} did not reach the servers: {error}")
        self.version = version

    def generate(
        self, prompt_ids: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Sample ``sampling.n`` completions of each prompt; see ``RolloutEngine.generate``."""
        pool = self._started()
        if self.version < 0:
            raise RuntimeError("The servers hold weights of an earlier run: call `load_weights(...)` first.")
        check_request(prompt_ids, sampling, seeds, self._max_model_len)
        return self._generate(pool, prompt_ids, sampling, seeds)

    def interrupt(self) -> None:
        """Break off the requests of a ``generate`` that runs in another thread; it raises."""
        if self._pool is not None:
            self._pool.give_up()
        for server in self.servers:
            server.hang_up()

    def close(self) -> None:
        """Hang up and remove the files; the servers go on running. Safe to call twice."""
        for server in self.servers:
            server.hang_up()
        if self._weights is not None:
            self._weights.close()
        self._weights = self._pool = None
        self.version = -1

    def _generate(
        self, pool: ServerPool, prompt_ids: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> Iterator[tuple[int, list[Completion]]]:
        threads = ThreadPoolExecutor(max_workers=self.max_in_flight, thread_name_prefix="vllm-server")
        pool.open()
        requests = {
            threads.submit(self._sample, pool, prompt, sampling, seed): index
            for index, (prompt, seed) in enumerate(zip(prompt_ids, seeds, strict=True))
        }
        try:
            waiting = set(requests)
            while waiting:
                done, waiting = wait(waiting, PROGRESS_SECONDS, FIRST_COMPLETED)
                if not done:
                    logger.warning("Waiting for %d of %d prompts. %s", len(waiting), len(requests), pool.describe())
                for request in done:
                    yield requests[request], request.result()
        finally:
            pool.give_up()
            threads.shutdown(wait=False, cancel_futures=True)
            if any(not request.done() for request in requests):
                for server in self.servers:
                    server.hang_up()
            threads.shutdown(wait=True)

    def _sample(self, pool: ServerPool, prompt: Sequence[int], sampling: Sampling, seed: int) -> list[Completion]:
        """Sample one group on whichever server can."""
        # A greedy group is one completion n times, and vLLM refuses to compute it n times.
        num_samples = group_size(sampling) if sampling.temperature > 0 else 1
        while True:
            member = pool.acquire()
            try:
                if member.failures:
                    self._bring_up_to_date(member.server)
                answers = vllm_protocol.sample(
                    member.server,
                    prompt,
                    sampling,
                    self._eos_token_ids,
                    num_samples,
                    seed,
                    self.request_timeout,
                    self._vocab_size,
                )
                names = {name for name, _ in answers}
                if names != {str(self.version)}:
                    raise ServerError(f"{member.server.address} sampled with weights {names}, not {self.version}")
            except ServerError as error:
                pool.failed(member, error)
                continue
            except BaseException:
                pool.done(member)
                raise
            pool.done(member)
            group = [replace(completion, version=self.version) for _, completion in answers]
            return group if len(group) > 1 else group * group_size(sampling)

    def _bring_up_to_date(self, server: Server) -> None:
        """Give a server that failed, and may have been restarted, the weights in use."""
        assert self._weights is not None
        now, before = describe(server, self.request_timeout), self._served[server.address]
        if not now.is_like(before):
            raise ServerError(f"{now.address} came back with {now.model!r} in {now.dtype}, not as {before.model!r}")
        self._weights.bring_up_to_date(server, now.version, self.version)

    def _broadcast(self, facts: Sequence[Served]) -> WeightBroadcast | None:
        """How weights travel where files are not the way."""
        nccl = torch.cuda.is_available() and all(fact.weight_transfer == "nccl" for fact in facts)
        if not nccl or self.weight_transfer != "auto" or rank() != 0:
            return None
        workers = [(server, fact.num_workers) for server, fact in zip(self.servers, facts, strict=True)]
        return WeightBroadcast(workers, socket.gethostbyname(socket.gethostname()), self.request_timeout)

    def _started(self) -> ServerPool:
        if self._pool is None:
            raise RuntimeError("VLLMServerEngine was not started, or was closed: call `start(...)` first.")
        return self._pool
