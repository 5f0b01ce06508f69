"""Models that vLLM cannot run, or computes otherwise than transformers does: mended, or said before a token is sampled.

Like ``vllm_compat.py``, this depends on the version of vLLM and was run with 0.32.
"""

from __future__ import annotations

import dataclasses
import functools
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lit_passk.engines.limits import length_of_short_positions
from lit_passk.errors import CannotRun

if TYPE_CHECKING:
    from transformers import PreTrainedConfig
    from vllm import EngineArgs, LLMEngine

WHOLE_DTYPES = ("float32", "bfloat16", "float16")
"""Types of a KV cache that are no quantisation of weights of as many bits."""


def cannot_run(error: Exception, path: str) -> CannotRun:
    """A sentence for whatever stopped vLLM while it built an engine or sampled: its own words and where they are from.

    Args:
        error: What vLLM raised.
        path: The policy's folder or hub id.
    """
    import vllm

    words = " ".join(str(error).split())
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "vllm" in Path(frame.filename).parts]
    where = f" ({_inside_vllm(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    return CannotRun(
        f"vLLM {vllm.__version__} cannot run the model of {path!r} here: {type(error).__name__}: {words[:1000]}{where}."
        " If that is about the model, its sizes or its dtype, take another `dtype` of the engine, TransformersEngine, "
        "which runs what transformers runs, or another release of vLLM."
    )


def fit_to_model(args: EngineArgs) -> EngineArgs:
    """Leave out prefix caching where vLLM on a CPU refuses it: states are cached only if prompts may be split."""
    if args.enable_chunked_prefill is not False or args.enable_prefix_caching is not None:  # a GPU, or the user's word
        return args
    config = args.create_model_config()
    return dataclasses.replace(args, enable_prefix_caching=False) if config.has_inner_state else args


def rotate_every_head() -> None:
    """Let vLLM's CPU code give positions to queries and keys whose heads are an axis of their own (LFM2); safe twice.

    The CPU kernel of vLLM 0.32 takes the last axis for all heads of a token, where CUDA's looks at the number of axes:
    of ``(T, H, D)`` it rotates the first T rows, and the rest has no position.
    """
    from vllm.model_executor.layers.rotary_embedding.base import RotaryEmbedding

    rotate: Any = RotaryEmbedding.forward_cpu
    if hasattr(rotate, "__wrapped__"):
        return

    @functools.wraps(rotate)
    def rotate_heads(self: Any, positions: Tensor, query: Tensor, key: Tensor | None = None) -> Any:
        flat = [_heads_side_by_side(tensor, positions) for tensor in (query, key)]
        rotated = rotate(self, positions, *flat)
        pairs = zip(rotated, (query, key), strict=True)
        return tuple(None if new is None or old is None else new.view(old.shape) for new, old in pairs)

    setattr(RotaryEmbedding, "forward_cpu", rotate_heads)  # noqa: B010 - a method, which mypy lets nobody assign


def _heads_side_by_side(tensor: Tensor | None, positions: Tensor) -> Tensor | None:
    """``(T, H, D)`` as ``(T, H D)``, what is side by side already as it is."""
    return tensor.flatten(-2) if tensor is not None and tensor.dim() == positions.dim() + 2 else tensor


def _inside_vllm(file: str) -> str:
    parts = Path(file).parts
    return "/".join(parts[len(parts) - parts[::-1].index("vllm") - 1 :])


def check_routers(model: nn.Module) -> None:
    """Raise CannotRun for a mixture of experts whose router vLLM's CPU code does not compute as the model defines it.

    Some models choose experts by their scores plus a bias per expert (``e_score_correction_bias``). vLLM 0.32 adds it
    on a CPU only where experts come in groups, and leaves it out otherwise: other experts, other tokens, no error.
    """
    for name, module in model.named_modules():
        router: Any = getattr(module, "router", None)
        bias = getattr(router, "e_score_correction_bias", None)
        if type(router).__name__ != "CPURouter" or bias is None or router.use_grouped_topk:
            continue
        if router.scoring_func == "softmax" and router.custom_routing_function is None and bias.any():
            raise CannotRun(
                f"vLLM on a CPU computes another {type(model).__name__} than transformers: it chooses the experts of "
                f"{name} without their bias (`e_score_correction_bias`), which is not 0 in this policy. Sample with "
                "TransformersEngine, or on a GPU."
            )


def check_positions(config: PreTrainedConfig, max_model_len: int) -> None:
    """Raise CannotRun where vLLM gives the tokens of short texts other rotary positions than transformers does.

    Args:
        config: The model's.
        max_model_len: Most tokens of a prompt with its completion in the engine.
    """
    short = length_of_short_positions(config)
    if short is not None and max_model_len > short:
        raise CannotRun(
            f"With `max_model_len` {max_model_len} vLLM computes every text of this model ({config.model_type}, "
            f"LongRoPE) with its `long_factor`, transformers those of up to {short} tokens with its `short_factor`. "
            f"Set `rollout.engine.max_model_len` to {short} at most; or, in a copy of the policy's folder, set "
            "`short_factor` in config.json to the values of `long_factor`."
        )


def leave_classes_of_transformers_usable(model: nn.Module) -> None:
    """Let the policy run, whose class vLLM changes for a model that it runs through transformers (OLMo 2, StarCoder 2).

    Its ``__call__`` then asks for an attribute that only the models built by vLLM have.
    """
    for module in model.modules():
        kind = type(module)
        if kind.__module__.startswith("transformers.") and "do_not_compile" in vars(module):
            kind.do_not_compile = True  # type: ignore[attr-defined]


def is_quantized(quantization: str | None, cache_dtype: str, dtype: torch.dtype) -> bool:
    """Whether weights or KV cache are stored in fewer bits than the model's dtype, by vLLM's own settings.

    Args:
        quantization: vLLM's method, from its arguments or from the checkpoint's configuration; None for none.
        cache_dtype: Of keys and values; ``auto`` is the model's.
        dtype: The model's.
    """
    cache = cache_dtype.removeprefix("torch.")
    if quantization is not None or cache not in ("auto", *WHOLE_DTYPES):
        return True
    return cache != "auto" and getattr(torch, cache).itemsize < dtype.itemsize


def quantized(engine: LLMEngine) -> bool:
    """The same of a running engine."""
    config = engine.vllm_config
    model = config.model_config
    assert isinstance(model.dtype, torch.dtype)  # a name in its arguments alone
    return is_quantized(model.quantization, str(config.cache_config.cache_dtype), model.dtype)
