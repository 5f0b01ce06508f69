"""The policy: a stock Hugging Face causal language model behind one forward that returns log-probabilities."""

from __future__ import annotations

import ctypes
import logging
import re
import sys
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch.utilities import rank_zero_warn
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from lit_passk.errors import Refusal
from lit_passk.hub import not_given
from lit_passk.policy.attention import ATTENTION, PackedLayout
from lit_passk.policy.head import Chunk, HeadOutput
from lit_passk.policy.logprobs import logits_to_logprobs, token_logprobs
from lit_passk.policy.packing import PackedBatch, TokenCosts
from lit_passk.policy.plain import plain_token_logprobs
from lit_passk.policy.source import cannot_load, policy_config, resolve_policy

log = logging.getLogger(__name__)

PACKABLE = frozenset(
    {"gemma", "gemma2", "gemma3_text", "gpt2", "llama", "mistral", "olmo2", "qwen2", "qwen3", "smollm3"}
)
"""Model types (of the text part) proven equal to their padded computation, by ``tests/policy/test_model.py``."""

CHUNKS = {"cpu": Chunk(512, 4096)}
"""Pieces in which logits are recomputed: on a CPU they should fit its cache."""


class CausalPolicy(nn.Module):
    """Root module of the policy: everything FSDP2 must unshard happens inside its forward.

    Args:
        model: A Hugging Face causal language model; stays reachable as ``model``. It should have no dropout (see
            ``policy_config``): log-probabilities in training are compared with sampled ones. Its attention is replaced
            by ``packed_attention``, which without a packed micro-batch computes what the model did before.
        kernels: ``fast``, or ``plain`` for the stock operations of ``plain.py``: slower, and in float32 with the same
            numbers up to rounding. May be set later as the attribute ``kernels``.
    """

    def __init__(self, model: PreTrainedModel, kernels: Literal["fast", "plain"] = "fast") -> None:
        super().__init__()
        if kernels not in ("fast", "plain"):
            raise Refusal(f"CausalPolicy needs kernels 'fast' or 'plain', but got {kernels!r}.")
        self.model = model
        self.kernels = kernels
        self.max_saved_logits_mib = 256
        """Logits of a micro-batch beyond this size are made twice, in pieces, and not kept for the backward pass."""
        config = model.config.get_text_config()
        self.softcap: float | None = getattr(config, "final_logit_softcapping", None)
        self.packs = config.model_type in PACKABLE
        """Whether prompts are shared; if not, ``pack`` must be told (``share_prompts``) to keep to its budget."""
        self.token_costs = _token_costs(model)  # before anything shards the parameters
        if self.packs:
            model.set_attn_implementation(ATTENTION)
        else:
            _warn_of_padding(config.model_type)

    def forward(
        self,
        batch: PackedBatch,
        temperature: float = 1.0,
        with_entropy: bool = True,
        num_top: int = 0,
    ) -> HeadOutput:
        """Log-probabilities and entropies at a micro-batch's trained tokens.

        Args:
            batch: The micro-batch, on the policy's device. An empty one takes part in every collective and gives
                zero gradients.
            temperature: Divides the logits, as in sampling.
            with_entropy: False returns zeros for the entropy.
            num_top: How many of the likeliest tokens at each position to tell of.

        Returns:
            ``logprobs`` and ``entropy``, shape ``(T,)``, and ``top_logprobs``, shape ``(T, num_top)``.
        """
        if not self.packs:
            return self._padded(batch, temperature, with_entropy, num_top)
        plain = self.kernels == "plain"
        hidden = self.model.get_decoder()(
            input_ids=batch.input_ids[None],
            position_ids=batch.position_ids[None],
            # Models take a four-dimensional mask as it is, so none is built. Our attention reads the layout instead.
            attention_mask=torch.zeros(1, 1, 1, 1, dtype=torch.bool, device=batch.input_ids.device),
            use_cache=False,
            packed_layout=PackedLayout(batch, plain),
        ).last_hidden_state[0]  # (1, S, H) -> (S, H)
        head = self.model.get_output_embeddings()
        if plain or type(head) is not nn.Linear:  # an adapter around it: its weight alone would be the wrong matrix
            return plain_token_logprobs(head, hidden, batch, temperature, self.softcap, with_entropy, num_top)
        keeps = 4 * len(batch.labels) * len(head.weight) <= self.max_saved_logits_mib * 2**20
        return token_logprobs(
            hidden,
            head.weight,
            batch.labels,
            bias=head.bias,
            temperature=temperature,
            softcap=self.softcap,
            with_entropy=with_entropy,
            chunk=None if keeps else CHUNKS.get(hidden.device.type, Chunk(4096, 16384)),
            predictor_index=batch.predictor_index,
            num_top=num_top,
        )

    def _padded(self, batch: PackedBatch, temperature: float, with_entropy: bool, num_top: int) -> HeadOutput:
        """The same by whole padded rows and the model's own logits, whatever the model does inside."""
        rows, mask, predictor_index = batch.padded()
        logits = self.model(input_ids=rows, attention_mask=mask.long(), use_cache=False).logits  # (n, L, V)
        chosen = logits.flatten(0, 1)[predictor_index]  # (T, V)
        return logits_to_logprobs(chosen, batch.labels, temperature, with_entropy, num_top)

    def checkpoint_activations(self) -> None:
        """Keep only the inputs of decoder blocks for the backward pass and compute the rest again (about +33 %)."""
        self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    def compile_blocks(self) -> None:
        """Compile each decoder block, attention excepted, in place: fuses its element-wise operations."""
        for block in decoder_blocks(self.model):
            block.compile(dynamic=True)


def _token_costs(model: PreTrainedModel) -> TokenCosts:
    """What attention and logits cost beside the blocks' matrix products; for ``pack``."""
    config = model.config.get_text_config()
    text = model.get_decoder()  # without a tower of images; of ModernBERT it is something else
    blocks = decoder_blocks(text if model.get_input_embeddings() in text.modules() else model)
    per_token = max(1, sum(p.numel() for block in blocks for p in block.parameters() if p.ndim > 1))
    widths = sum(_attention_width(config, index) for index in range(len(blocks)))
    return TokenCosts(pair=2 * widths / per_token, head=config.vocab_size * config.hidden_size / per_token)


def _attention_width(config: PreTrainedConfig, index: int) -> int:
    """Heads times their size in one layer; 0 in a model without attention."""
    layers = getattr(config, "per_layer_config", ())  # sizes may differ from layer to layer
    config = layers[index] if index < len(layers) else config
    heads = getattr(config, "num_attention_heads", 0)  # Mamba has none
    return heads * (getattr(config, "head_dim", None) or config.hidden_size // max(1, heads))


@cache
def _warn_of_padding(model_type: str) -> None:
    log.warning(
        "Models of type %r are not known to be packable: every completion is computed in a padded row with its own "
        "copy of the prompt, and all logits at once, which costs time and memory.",
        model_type,
    )


def decoder_blocks(model: nn.Module) -> list[nn.Module]:
    """The transformer blocks of a policy: what FSDP2 shards and what activation checkpointing wraps.

    Raises:
        ValueError: If the model has none.
    """
    blocks: list[nn.Module] = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    if not blocks:
        blocks = next((list(m) for m in model.modules() if isinstance(m, nn.ModuleList) and len(m)), [])
    if not blocks:
        raise Refusal(f"{type(model).__name__} has no list of blocks to shard. Pass a decoder-only language model.")
    return blocks


def load_policy(path: str | Path, dtype: torch.dtype = torch.float32, **kwargs: Any) -> CausalPolicy:
    """Load a policy from a folder or the hub, ready to train.

    Args:
        path: Local folder in Hugging Face format, or hub id.
        dtype: Parameters' dtype.
        **kwargs: Handed to ``from_pretrained``.

    Raises:
        ValueError: If there is no such folder and the hub gives no such model, it is not whole, or it is quantised by
            a method whose package is not installed.
    """
    keep_freed_memory()
    source = resolve_policy(path)
    config = policy_config(source)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source, config=config, dtype=dtype, output_loading_info=True, **kwargs
        )
    except (ImportError, OSError, ValueError, RuntimeError, SafetensorError, *OF_NO_MODEL) as error:
        if isinstance(error, OSError) and not Path(source).is_dir():
            raise not_given(source, "model", error) from error
        if isinstance(error, RuntimeError) and type(error) is not RuntimeError:  # no memory left, say
            raise
        raise cannot_load(source, error) from error
    model, found = loaded
    if missing := sorted(found["missing_keys"]):  # transformers draws them at random, and says so in a log
        raise Refusal(
            f"The weights of {source!r} lack {len(missing)} tensors of {type(model).__name__}, "
            f"{', '.join(missing[:3])} first: the folder's config.json and its weights do not belong together, or a "
            "file of it is missing."
        )
    _warn_of_layers(source, model, found["unexpected_keys"])
    return CausalPolicy(without_noise(model)).train()


def _warn_of_layers(source: str, model: PreTrainedModel, unused: Collection[str]) -> None:
    """Say where weights have layers, or experts, whose number is beyond those of config.json: a part of a model."""
    kinds = {_NUMBER.sub("#", name) for name in model.state_dict()}
    if beyond := sorted(name for name in unused if _NUMBER.sub("#", name) in kinds):
        rank_zero_warn(
            f"The weights of {source!r} hold {len(beyond)} tensors more than its config.json has layers for, "
            f"{', '.join(beyond[:3])} first: they are not used. Is the configuration that of these weights?"
        )


_NUMBER = re.compile(r"\d+")
OF_NO_MODEL = (LookupError, TypeError, AttributeError, ArithmeticError, AssertionError)
"""What transformers raises of a configuration whose values no model can have."""


def without_noise(model: PreTrainedModel) -> PreTrainedModel:
    """Switch off dropout layers that do not ask the configuration, so that training and sampling see one model."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    return model


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory for the next micro-batch instead of returning it to the system.

    Getting it back page by page cost 8 to 20 % of a training step on the CPU. Only blocks beyond 256 MiB (the gradient
    of a large vocabulary) are returned: few holes that others left are as large, so keeping them raised the peak.
    """
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return
    trim_threshold, mmap_threshold = -1, -3
    libc.mallopt(mmap_threshold, 2**28)
    libc.mallopt(trim_threshold, 2**31 - 1)
