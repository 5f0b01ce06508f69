"""The policy: a stock Hugging Face causal language model behind one forward that returns log-probabilities."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from lit_passk.attention import ATTENTION, PackedLayout
from lit_passk.functional.logprobs import token_logprobs
from lit_passk.functional.packing import PackedBatch

log = logging.getLogger(__name__)

PACKABLE = frozenset(
    {"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "gpt2", "smollm3", "olmo2", "phi3"}
)
"""Model types whose tokens meet in attention only, and whose attention goes through transformers' interface."""


class CausalPolicy(nn.Module):
    """Root module of the policy: everything FSDP2 must unshard happens inside its forward.

    Args:
        model: A Hugging Face causal language model; stays reachable as ``model``.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        self.packs = model.config.model_type in PACKABLE
        if self.packs:
            model.set_attn_implementation(ATTENTION)
        else:
            log.warning(
                "Models of type %r are not known to be packable: every completion is computed with its own padded copy "
                "of the prompt, which is slower.",
                model.config.model_type,
            )

    def forward(self, batch: PackedBatch, temperature: float = 1.0, with_entropy: bool = True) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies of a micro-batch's trained tokens.

        Args:
            batch: The micro-batch, on the policy's device.
            temperature: Divides the logits, as in sampling.
            with_entropy: False returns zeros for the entropy.

        Returns:
            Two tensors of shape ``(T,)``, float32, both differentiable.
        """
        decoder, head = self.model.get_decoder(), self.model.get_output_embeddings()
        # A four-dimensional mask is taken as it is by every model, so none is built; the attention ignores it.
        unused = batch.input_ids.new_zeros((1, 1, 1, 1), dtype=torch.bool)
        hidden = decoder(
            input_ids=batch.input_ids[None],
            position_ids=batch.position_ids[None],
            attention_mask=unused,
            use_cache=False,
            packed_layout=PackedLayout(batch),
        ).last_hidden_state[0]
        return token_logprobs(
            hidden[batch.source],
            head.weight,
            batch.target,
            bias=getattr(head, "bias", None),
            temperature=temperature,
            softcap=getattr(self.model.config, "final_logit_softcapping", None),
            with_entropy=with_entropy,
        )


def decoder_blocks(model: nn.Module) -> list[nn.Module]:
    """The transformer blocks of a policy: what FSDP2 shards and what activation checkpointing wraps."""
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) and all(type(m) is type(module[0]) for m in module):
            return list(module)
    raise ValueError(f"{type(model).__name__} has no list of equal blocks to shard. Pass a decoder-only model.")


def load_policy(path: str | Path, dtype: torch.dtype = torch.float32, **kwargs: Any) -> CausalPolicy:
    """Load a policy from a folder or the hub, ready to train.

    Args:
        path: Local folder in Hugging Face format, or hub id.
        dtype: Parameters' dtype.
        **kwargs: Handed to ``from_pretrained``.

    Raises:
        ValueError: If a local path does not exist.
    """
    path = str(path)
    if _looks_local(path) and not Path(path).is_dir():
        raise ValueError(
            f"No model at {path!r}. Give a folder in Hugging Face format or a hub id; "
            f"`lit-passk sft --config configs/maze_sft_cpu.yaml --out {path}` makes the shipped maze cold start."
        )
    model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, **kwargs)
    return CausalPolicy(model).train()


def policy_from_config(config: PreTrainedConfig | dict[str, Any], dtype: torch.dtype = torch.float32) -> CausalPolicy:
    """Build a policy with random weights from a configuration (a mapping names its ``model_type``)."""
    if not isinstance(config, PreTrainedConfig):
        config = AutoConfig.for_model(**config)
    return CausalPolicy(AutoModelForCausalLM.from_config(config, dtype=dtype)).train()


def _looks_local(path: str) -> bool:
    return path.startswith((".", "/", "~")) or path.count("/") != 1 or Path(path.split("/")[0]).is_dir()
