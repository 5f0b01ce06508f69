"""Tiny random models of many families, by the name that transformers gives them."""

from __future__ import annotations

from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

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
SHARED_EXPERTS = {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
SHARED_EXPERTS |= {"first_k_dense_replace": 1, "n_group": 1, "topk_group": 1}
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
    "gpt_neox": {key: SIZES[key] for key in SIZES if key != "num_key_value_heads"},
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
    "glm4_moe": HEADS | SHARED_EXPERTS,
    "gpt_oss": HEADS | {"num_local_experts": 4, "num_experts_per_tok": 2},
    # recurrent, alone or between attention
    "mamba": RECURRENT | {"state_size": 8},
    "mamba2": RECURRENT | {"state_size": 8, "head_dim": 32, "num_heads": 4, "n_groups": 1, "chunk_size": 16},
    "recurrent_gemma": SIZES | {"num_hidden_layers": 3, "lru_width": 64, "attention_window_size": 16, "head_dim": 32},
    "qwen3_next": HEADS | EXPERTS | {"shared_expert_intermediate_size": 32} | DELTA,
    "qwen3_5_text": HEADS | DELTA,
    "bamba": SIZES | MAMBA | {"attn_layer_indices": [1]},
    "falcon_h1": HEADS | {**MAMBA, "mamba_n_heads": 2, "mamba_d_ssm": 64},
    "lfm2": SIZES | {"layer_types": ["conv", "full_attention"], "conv_dim": 64, "block_dim": 64},
    "rwkv": RECURRENT | {"attention_hidden_size": 64, "intermediate_size": 96},
}

LATENT = {"q_lora_rank": None, "kv_lora_rank": 32, "qk_rope_head_dim": 32, "qk_nope_head_dim": 32, "v_head_dim": 32}
SHARED_LAYERS = SIZES | {"num_hidden_layers": 4, "num_key_value_heads": 2, "mamba_d_state": 8, "n_mamba_heads": 2}
SHARED_LAYERS |= {"layer_types": ["mamba", "hybrid"] * 2, "use_mamba_kernels": False}
TOWER = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
TOKENS = {"image_token_id": 95, "boi_token_id": 93, "eoi_token_id": 94}
MORE_FAMILIES: dict[str, dict[str, Any]] = {
    # mostly for scripts/sweep_vllm_families.py alone: what most tests would show again
    "apertus": SIZES,
    "arcee": SIZES,
    "cohere": SIZES,
    "cohere2": HEADS,
    "dots1": HEADS | SHARED_EXPERTS,
    "deepseek_v2": SIZES | {"num_key_value_heads": 2} | SHARED_EXPERTS | LATENT,
    "deepseek_v3": SIZES | {"num_key_value_heads": 2, "topk_method": "noaux_tc"} | SHARED_EXPERTS | LATENT,
    "ernie4_5": HEADS,
    "ernie4_5_moe": HEADS
    | {"moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 32, "moe_num_shared_experts": 1}
    | {"moe_layer_start_index": 1},
    "exaone4": SIZES,
    "falcon": {key: SIZES[key] for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")},
    "falcon_mamba": RECURRENT | {"state_size": 8},
    "flex_olmo": SIZES | {"num_experts": 4, "num_experts_per_tok": 2},
    "gemma": HEADS,
    "gemma2": HEADS,
    "glm": HEADS,
    "glm4": HEADS,
    "gpt_bigcode": GPT2,
    "gptj": GPT2 | {"rotary_dim": 16},
    "granite": SIZES,
    "granitemoe": SIZES | {"num_local_experts": 4},
    "granitemoehybrid": SIZES
    | MAMBA
    | {"num_local_experts": 2, "num_experts_per_tok": 1, "shared_intermediate_size": 32}
    | {"layer_types": ["mamba", "attention"]},
    "hunyuan_v1_dense": HEADS,
    "hunyuan_v1_moe": HEADS | {"num_experts": 4, "moe_topk": 2},
    "jamba": SIZES
    | {"num_experts": 2, "num_experts_per_tok": 1, "mamba_d_state": 8, "use_mamba_kernels": False}
    | {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1},
    "lfm2_moe": SIZES
    | EXPERTS
    | {"layer_types": ["conv", "full_attention"], "conv_dim": 64, "block_dim": 64, "num_dense_layers": 1},
    "minimax_m2": HEADS | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "nemotron": SIZES,
    "nemotron_h": SIZES
    | {"mamba_num_heads": 4, "mamba_head_dim": 32, "ssm_state_size": 8, "n_groups": 1, "chunk_size": 16}
    | {"layers_block_type": ["mamba", "attention"]},
    "olmo": SIZES,
    "olmo2": SIZES,
    "olmo3": SIZES,
    "phi": SIZES,
    "phi3": SIZES,
    "phimoe": SIZES | {"num_local_experts": 4},
    "qwen2": SIZES,
    "qwen2_moe": SIZES | EXPERTS | {"shared_expert_intermediate_size": 32},
    "qwen3": HEADS,
    "seed_oss": HEADS,
    "smollm3": SIZES,
    "stablelm": SIZES,
    "starcoder2": SIZES,
    "minicpm3": SIZES | {"num_key_value_heads": 2} | LATENT | {"q_lora_rank": 32},
    "youtu": SIZES | {"num_key_value_heads": 2} | LATENT | {"q_lora_rank": 32},
    "diffllama": SIZES | {"num_key_value_heads": 2},
    "gpt_neo": {key: SIZES[key] for key in ("vocab_size", "hidden_size", "max_position_embeddings")}
    | {"num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]], "window_size": 16},
    "codegen": GPT2 | {"n_head": 4, "rotary_dim": 8},
    "gemma3n_text": HEADS
    | {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 16}
    | {"num_kv_shared_layers": 0, "hidden_size_per_layer_input": 16, "vocab_size_per_layer_input": 96, "laurel_rank": 8}
    | {"activation_sparsity_pattern": [0.0, 0.0]},
    "xlstm": {**RECURRENT, "num_blocks": 2, "num_heads": 2, "chunk_size": 16},
    "zaya": HEADS
    | {"num_attention_heads": 4, "num_key_value_heads": 2, "router_hidden_size": 16}
    | {**EXPERTS, "num_experts_per_tok": 1},
    "dbrx": {"vocab_size": 96, "d_model": 64, "n_heads": 2, "n_layers": 2, "max_seq_len": 256}
    | {"attn_config": {"kv_n_heads": 1, "rope_theta": 10000.0, "clip_qkv": 8}}
    | {"ffn_config": {"ffn_hidden_size": 32, "moe_num_experts": 4, "moe_top_k": 2, "hidden_size": 64}},
    "gemma4_unified_text": FAMILIES["gemma4_text"],
    # one block's weights in several layers
    "zamba": SHARED_LAYERS | {"attention_head_dim": 64, "attention_hidden_size": 128, "mamba_dt_rank": 8},
    "zamba2": SHARED_LAYERS
    | {"chunk_size": 16, "num_mem_blocks": 1, "use_shared_attention_adapter": True}
    | {"adapter_rank": 8, "hybrid_layer_ids": [1, 3]},
    # text beside a tower of images
    "gemma3": {"text_config": FAMILIES["gemma3_text"], "mm_tokens_per_image": 4, **TOKENS}
    | {"vision_config": TOWER | {"model_type": "siglip_vision_model", "image_size": 28, "patch_size": 14}},
    "gemma4": {"text_config": FAMILIES["gemma4_text"], "audio_config": None, **TOKENS}
    | {"vision_config": TOWER | {"num_key_value_heads": 2, "head_dim": 16, "patch_size": 4}},
}

OTHERS = HEADS | SHARED_EXPERTS | LATENT | {"q_lora_rank": 32, "num_key_value_heads": 2}
OTHERS |= {"num_experts": 4, "num_local_experts": 4, "n_layer": 2, "n_embd": 64, "n_head": 2}
"""For families that are not above: what of it their configurations know."""

# those that this version of transformers has
FAMILIES = {name: settings for name, settings in FAMILIES.items() if name in CONFIG_MAPPING}
MORE_FAMILIES = {name: settings for name, settings in MORE_FAMILIES.items() if name in CONFIG_MAPPING}


def all_families() -> list[str]:
    """Every kind of causal language model that transformers has."""
    return sorted({*FAMILIES, *MORE_FAMILIES, *MODEL_FOR_CAUSAL_LM_MAPPING_NAMES})


def tiny_model(family: str, seed: int = 0, **settings: Any) -> PreTrainedModel:
    """A random model whose next token is far from uniform, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(_config(family, **settings))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(std=0.12)
    return model.eval()


def num_parameters(family: str) -> int:
    """Of the model that ``tiny_model`` would build, which may not be tiny for a family whose sizes are not above."""
    with torch.device("meta"):
        return sum(p.numel() for p in AutoModelForCausalLM.from_config(_config(family)).parameters())


def _config(family: str, **settings: Any) -> PreTrainedConfig:
    sizes = (FAMILIES | MORE_FAMILIES).get(family)
    if sizes is None:
        known = AutoConfig.for_model(family)
        sizes = {key: value for key, value in OTHERS.items() if hasattr(known, key)}
    config = AutoConfig.for_model(family, **(sizes | settings))
    config.bos_token_id, config.eos_token_id, config.pad_token_id = 1, 2, 0
    return config


@torch.no_grad()
def change_weights(model: PreTrainedModel, by: float = 0.05, seed: int = 1) -> None:
    """Move every parameter, as training would."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=by)
