"""Random models that are small enough to build in a test and sharp enough to show wrong weights."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

VOCAB_SIZE = 96
EOS = 2


def tiny_policy(tied: bool, seed: int = 0) -> PreTrainedModel:
    """A random model of two layers whose next token is far from uniform, so that wrong weights show."""
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 256,
        "tie_word_embeddings": tied,
        "bos_token_id": 1,
        "eos_token_id": EOS,
    }
    policy = Qwen2ForCausalLM(Qwen2Config(**sizes)) if tied else LlamaForCausalLM(LlamaConfig(**sizes, head_dim=32))
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.12)
    return policy.eval()


def write_policy(policy: PreTrainedModel, folder: Path) -> str:
    """Save with a generation config full of defaults that must not leak into rollouts."""
    policy.generation_config.update(do_sample=True, temperature=0.1, top_k=3, top_p=0.5, repetition_penalty=2.0)
    policy.generation_config.eos_token_id = [EOS, 7, 8, 9]
    policy.save_pretrained(folder)
    return str(folder)


@torch.no_grad()
def logprobs_of(policy: PreTrainedModel, prompt: list[int], completion: list[int], temperature: float) -> torch.Tensor:
    """Log-probability of each completion token by a plain forward pass, shape (T,), float32."""
    ids = torch.tensor([[*prompt, *completion]])
    logits = policy(ids).logits[0, len(prompt) - 1 : -1].float() / temperature
    return torch.log_softmax(logits, -1).gather(1, ids[0, len(prompt) :, None])[:, 0]
