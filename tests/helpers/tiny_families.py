"""Tiny random models of many families, by the name that transformers gives them."""

from __future__ import annotations

from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, PreTrainedModel

SIZES: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
HEADS = SIZES | {"head_dim": 32}
GPT2 = {"vocab_size": 96, "n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": 256}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
DELTA = {
    "linear_num_value_heads": 2,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
    "layer_types": ["linear_attention", "full_attention"],
}
MAMBA = {
    "mamba_n_heads": 4,
    "mamba_d_head": 32,
    "mamba_d_state": 8,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 16,
}
RECURRENT = {key: SIZES[key] for key in ("vocab_size", "hidden_size", "num_hidden_layers")}

FAMILIES: dict[str, dict[str, Any]] = {
    # dense, attention alone
    "gpt2": GPT2,
    "gemma3_text": HEADS | {"sliding_window": 16},
    "llama": HEADS,
    "mistral": HEADS | {"sliding_window": 16},
    "opt": {**SIZES, "ffn_dim": 96, "word_embed_proj_dim": 64},
    "bloom": {"vocab_size": 96, "hidden_size": 64, "n_layer": 2, "n_head": 2},
    "gpt_neox": SIZES,
    "gemma4_text": HEADS
    | {
        "global_head_dim": 64,
        "layer_types": ["sliding_attention", "full_attention"],
        "sliding_window": 16,
        "num_global_key_value_heads": 1,
        "hidden_size_per_layer_input": 0,
        "num_kv_shared_layers": 0,
    },
    # mixtures of experts
    "qwen3_moe": HEADS | EXPERTS,
    "mixtral": HEADS | {"num_local_experts": 4, "sliding_window": None},
    "olmoe": SIZES | {"num_experts": 4, "num_experts_per_tok": 2},
    "glm4_moe": HEADS
    | {
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "first_k_dense_replace": 1,
        "n_group": 1,
        "topk_group": 1,
    },
    "gpt_oss": HEADS | {"num_local_experts": 4, "num_experts_per_tok": 2},
    # recurrent, alone or between attention
    "mamba": RECURRENT | {"state_size": 8},
    "mamba2": RECURRENT | {"state_size": 8, "head_dim": 32, "num_heads": 4, "n_groups": 1, "chunk_size": 16},
    "recurrent_gemma": SIZES | {"num_hidden_layers": 3, "lru_width": 64, "attention_window_size": 16, "head_dim": 32},
    "qwen3_next": HEADS | EXPERTS | {"shared_expert_intermediate_size": 32} | DELTA,
    "qwen3_5_text": HEADS | DELTA,
    "bamba": SIZES | MAMBA | {"attn_layer_indices": [1]},
    "falcon_h1": HEADS | {**MAMBA, "mamba_n_heads": 2, "mamba_d_ssm": 64},
    "lfm2": SIZES | {"layer_types": ["conv", "full_attention"]},
    "rwkv": RECURRENT | {"attention_hidden_size": 64, "intermediate_size": 96},
}


FAMILIES = {name: settings for name, settings in FAMILIES.items() if name in CONFIG_MAPPING}  # those this version has


def tiny_model(family: str, seed: int = 0, **settings: Any) -> PreTrainedModel:
    """A random model whose next token is far from uniform, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = AutoConfig.for_model(family, **{**FAMILIES[family], **settings})
        config.bos_token_id, config.eos_token_id, config.pad_token_id = 1, 2, 0
        model = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(std=0.12)
    return model.eval()


@torch.no_grad()
def change_weights(model: PreTrainedModel, by: float = 0.05, seed: int = 1) -> None:
    """Move every parameter, as training would."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=by)
