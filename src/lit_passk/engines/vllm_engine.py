"""Rollouts by vLLM in the training process: one engine per rank, fed straight from the policy's tensors."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from lit_passk.engines import vllm_compat, vllm_models
from lit_passk.engines.base import RolloutEngine
from lit_passk.engines.vllm_requests import check_request, group_size
from lit_passk.errors import Refusal
from lit_passk.policy.checkpoint_names import CheckpointNames, skeleton
from lit_passk.types import Completion, Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

CPU_KV_CACHE_GIB = 1.0
GIB = 2**30


class VLLMEngine(RolloutEngine):
    """Samples with vLLM inside the training process.

    One request per prompt asks for the whole group, so that the prompt is computed once. Log-probabilities are those of
    the distribution that was sampled from (temperature applied). The model's generation config, its tokenizer and the
    global random states have no influence, and the latter are left untouched. With several processes every rank has its
    own engine and samples its own prompts.

    Args:
        dtype: Precision of vLLM's weights; ``auto`` takes the policy's.
        gpu_memory_utilization: Share of the GPU that vLLM may use for weights and KV cache together. Training gets
            all of it back while the engine sleeps.
        kv_cache_gib: Size of the KV cache in GiB; None is what ``gpu_memory_utilization`` leaves on a GPU, 1 on CPU.
        max_model_len: Most tokens of prompt and completion together; None takes the model's own limit.
        tensor_parallel_size: Training processes that share one engine, each holding a slice of the weights.
        enforce_eager: Run without CUDA graphs; None is True on CPU (where the alternative compiles for minutes).
        sleep_level: What ``sleep`` frees on a GPU: 0 nothing, 1 moves the weights to host memory and drops the KV
            cache, 2 drops both (the next ``load_weights`` brings the weights back).
        engine_args: Further fields of vLLM's ``EngineArgs``; they win over everything above.

    Example::

        rollout:
          engine:
            class_path: lit_passk.engines.vllm_engine.VLLMEngine
            init_args: {gpu_memory_utilization: 0.5, max_model_len: 4096}

    """

    needs_policy = False

    memory_settings = (
        "set `rollout.engine.max_model_len` to the longest prompt and completion",
        "lower `rollout.engine.gpu_memory_utilization` where training holds the memory, raise it where vLLM wants "
        "more (`rollout.engine.kv_cache_gib` sets its cache alone)",
        "set `rollout.engine.enforce_eager: true`",
        "lower `max_num_seqs` in `rollout.engine.engine_args`",
    )

    def __init__(
        self,
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
        gpu_memory_utilization: float = 0.5,
        kv_cache_gib: float | None = None,
        max_model_len: int | None = None,
        tensor_parallel_size: int = 1,
        enforce_eager: bool | None = None,
        sleep_level: Literal[0, 1, 2] = 2,
        engine_args: dict[str, Any] | None = None,
    ) -> None:
        self.dtype_name = dtype
        self.gpu_memory_utilization = gpu_memory_utilization
        self.kv_cache_gib = kv_cache_gib
        self.max_model_len = max_model_len
        self.tensor_parallel_size = tensor_parallel_size
        self.enforce_eager = enforce_eager
        self.sleep_level = sleep_level
        self.engine_args = dict(engine_args or {})
        self.dtype = torch.float32
        """Precision of the weights in use; known after ``start``."""
        self._llm: vllm_compat.LLMEngine | None = None  # not imported here: the parser runs such imports, for seconds
        self._eos_token_ids: list[int] = []
        self._names: CheckpointNames | None = None
        self._looked_closely = False
        self._loaded: int | None = None  # the version that `load_weights` brought last, None when it has to come again
        self._num_calls = 0
        self._asleep = False
        self._kv_cache_asleep = False
        self._interrupted = False

    @property
    def samples_beside_training(self) -> bool:
        """On a CPU, where nothing sleeps, unless ranks share the engine."""
        return self.tensor_parallel_size == 1 and vllm_compat.on_cpu()

    def start(self, policy_path: str, policy: PreTrainedModel | None, eos_token_ids: Sequence[int]) -> None:
        """Build the engine with the weights at ``policy_path``. A second call is ignored."""
        if self._llm is not None:
            return
        self.dtype = self._choose_dtype(policy_path, policy)
        self._check_processes()
        self._eos_token_ids = [int(token) for token in eos_token_ids]
        self._names = CheckpointNames(policy if policy is not None else skeleton(policy_path))
        self._looked_closely = False
        self._llm = vllm_compat.build_engine(self._all_engine_args(policy_path))
        self.quantized = vllm_models.quantized(self._llm)
        self.version = 0
        vllm_compat.set_version(self._llm, self.version)
        logger.info(
            "vLLM samples %s in %s, at most %d tokens per prompt with its completion.",
            policy_path,
            self.dtype,
            vllm_compat.max_model_len(self._llm),
        )

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Stream the tensors into vLLM, one layer at a time, and drop its prefix cache.

        Nothing happens when ``version`` was loaded last and is still ``self.version``; ``named_tensors`` is then not
        touched, on no rank.

        Raises:
            CannotRun: If vLLM did not use a tensor, or lacks one.
        """
        llm = self._started()
        if self._asleep:
            raise RuntimeError("VLLMEngine is asleep: call `wake()` before `load_weights`.")
        if version == self._loaded == self.version:
            return
        assert self._names is not None
        vllm_compat.reload_weights(llm, named_tensors, self._names, version, look_closely=not self._looked_closely)
        self._looked_closely = True
        self.version = self._loaded = version

    def generate(
        self, prompt_ids: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Sample ``sampling.n`` completions of each prompt; see ``RolloutEngine.generate``."""
        llm = self._started()
        if self._asleep or self.version < 0:
            raise RuntimeError("VLLMEngine has no weights: call `wake()` and `load_weights(...)` after `sleep()`.")
        check_request(prompt_ids, sampling, seeds, vllm_compat.max_model_len(llm))
        if self._kv_cache_asleep:
            llm.wake_up(tags=["kv_cache"])
            self._kv_cache_asleep = False
        if self.tensor_parallel_size > 1:
            return self._generate_together(prompt_ids, sampling, seeds)
        return self._generate(prompt_ids, [sampling] * len(prompt_ids), seeds)

    def sleep(self) -> None:
        """Free GPU memory for training; without effect on CPU."""
        llm = self._started()
        if self._asleep or self.sleep_level == 0 or vllm_compat.on_cpu():
            return
        llm.sleep(level=self.sleep_level)
        self._asleep = True
        if self.sleep_level == 2:
            self._loaded, self.version = None, -1

    def wake(self) -> None:
        """Take the memory of the weights back; the KV cache follows with ``generate``, after the weights came."""
        if not self._asleep:
            return
        self._started().wake_up(tags=["weights"])
        self._asleep, self._kv_cache_asleep = False, True

    def interrupt(self) -> None:
        """Let a ``generate`` that runs in another thread raise before its next token."""
        self._interrupted = True

    def close(self) -> None:
        """Free everything; safe to call twice and after an interrupted ``generate``."""
        if self._llm is None:
            return
        llm, self._llm = self._llm, None
        self._loaded, self.version, self._names = None, -1, None
        self._asleep = self._kv_cache_asleep = False
        vllm_compat.close_engine(llm)

    def _generate(
        self, prompt_ids: Sequence[Sequence[int]], samplings: Sequence[Sampling], seeds: Sequence[int]
    ) -> Iterator[tuple[int, list[Completion]]]:
        llm = self._started()
        self._num_calls += 1
        self._interrupted = False
        pending: dict[str, int] = {}
        try:
            for index, (prompt, sampling, seed) in enumerate(zip(prompt_ids, samplings, seeds, strict=True)):
                # A greedy group is one completion n times, and vLLM refuses to compute it n times.
                num_samples = group_size(sampling) if sampling.temperature > 0 else 1
                params = vllm_compat.sampling_params(sampling, self._eos_token_ids, num_samples, seed)
                request_id = f"{self._num_calls}-{index}"
                vllm_compat.add_request(llm, request_id, prompt, params)
                pending[request_id] = index
            while pending:
                if self._interrupted:
                    raise RuntimeError("The rollouts were interrupted.")
                for request_id, group in vllm_compat.step(llm, self.version):
                    index = pending.pop(request_id)
                    yield index, group if len(group) > 1 else group * group_size(samplings[index])
        finally:
            if pending and self._llm is not None:
                vllm_compat.abort(llm, list(pending))

    def _generate_together(
        self, prompt_ids: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Ranks that share an engine step it in lockstep over the prompts of all of them; each keeps its own."""
        shares, rank = vllm_compat.gather_over_tensor_parallel((prompt_ids, sampling, seeds))
        start = sum(len(prompts) for prompts, _, _ in shares[:rank])
        merged = self._generate(
            [prompt for prompts, _, _ in shares for prompt in prompts],
            [its for prompts, its, _ in shares for _ in prompts],
            [seed for _, _, its_seeds in shares for seed in its_seeds],
        )
        for index, group in merged:
            if start <= index < start + len(prompt_ids):
                yield index - start, group

    def _started(self) -> vllm_compat.LLMEngine:
        if self._llm is None:
            raise RuntimeError("VLLMEngine was not started, or was closed: call `start(...)` first.")
        return self._llm

    def _choose_dtype(self, policy_path: str, policy: PreTrainedModel | None) -> torch.dtype:
        if self.dtype_name != "auto":
            return getattr(torch, self.dtype_name)
        if policy is not None:
            return policy.dtype
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(policy_path).dtype or torch.float32

    def _check_processes(self) -> None:
        world_size = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
        if world_size % self.tensor_parallel_size:
            raise Refusal(
                f"VLLMEngine(tensor_parallel_size={self.tensor_parallel_size}) needs a number of training "
                f"processes that it divides, but got {world_size}. Set `trainer.devices` accordingly or lower it."
            )
        if world_size == 1 and not vllm_compat.on_cpu() and torch.cuda.current_device() != 0:
            raise Refusal(
                f"VLLMEngine would run on cuda:0, but the policy is on cuda:{torch.cuda.current_device()}. "
                "Choose the GPU with CUDA_VISIBLE_DEVICES instead of `trainer.devices`."
            )

    def _all_engine_args(self, policy_path: str) -> dict[str, Any]:
        cpu = vllm_compat.on_cpu()
        args: dict[str, Any] = {
            "model": policy_path,
            "skip_tokenizer_init": True,  # token ids go in and come out
            "generation_config": "vllm",
            "logprobs_mode": "processed_logprobs",
            "dtype": str(self.dtype).removeprefix("torch."),
            "tensor_parallel_size": self.tensor_parallel_size,
            "enforce_eager": cpu if self.enforce_eager is None else self.enforce_eager,
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
        }
        if self.max_model_len is not None:
            args["max_model_len"] = self.max_model_len
        kv_cache_gib = CPU_KV_CACHE_GIB if cpu and self.kv_cache_gib is None else self.kv_cache_gib
        if kv_cache_gib is not None:
            args["kv_cache_memory_bytes"] = int(kv_cache_gib * GIB)
        if cpu:
            args |= vllm_compat.cpu_args(policy_path, self.max_model_len)
        elif self.sleep_level > 0:
            args["enable_sleep_mode"] = True
        if self.engine_args.get("trust_remote_code"):
            logger.warning(
                "vLLM runs the program code that comes with %r (engine_args: trust_remote_code).", policy_path
            )
        return args | self.engine_args
