"""Small policies of every packable type and a ragged step, computed packed and by the stock model in padded rows."""

import copy

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from lit_passk.policy.model import CausalPolicy
from lit_passk.policy.packing import pack

VOCAB = 61
WINDOW = 5  # shorter than most sequences below
SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
GPT2 = {
    "vocab_size": VOCAB,
    "n_embd": 64,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
}
SLIDING = {"sliding_window": WINDOW, "use_sliding_window": True, "max_window_layers": 1}
FAMILIES = {
    "llama": {"model_type": "llama", **SIZES, "tie_word_embeddings": False},
    "llama tied": {"model_type": "llama", **SIZES, "tie_word_embeddings": True},
    "smollm2": {"model_type": "llama", **SIZES, "num_attention_heads": 3, "num_key_value_heads": 3, "head_dim": None}
    | {"hidden_size": 48, "tie_word_embeddings": True, "rope_interleaved": False},
    "smollm3": {"model_type": "smollm3", **SIZES, "no_rope_layers": [1, 0, 1]},
    "mistral": {"model_type": "mistral", **SIZES, "sliding_window": WINDOW},
    "qwen2": {"model_type": "qwen2", **SIZES, "use_sliding_window": False},
    "qwen2 with windows": {"model_type": "qwen2", **SIZES, **SLIDING},
    "qwen3": {"model_type": "qwen3", **SIZES, **SLIDING, "tie_word_embeddings": True},
    "olmo2": {"model_type": "olmo2", **SIZES, "head_dim": None},
    "gemma": {"model_type": "gemma", **SIZES},
    "gemma2": {"model_type": "gemma2", **SIZES, "sliding_window": WINDOW, "query_pre_attn_scalar": 12}
    | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    "gemma3": {"model_type": "gemma3_text", **SIZES, "sliding_window": WINDOW, "query_pre_attn_scalar": 12}
    | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    "gpt2": {"model_type": "gpt2", **GPT2},
    "gpt2 scaled by layer": {"model_type": "gpt2", **GPT2, "scale_attn_by_inverse_layer_idx": True},
}
WIDE_HEADS = {name: config | ({"head_dim": 16} if config.get("head_dim") else {}) for name, config in FAMILIES.items()}
"""Wide enough for FlexAttention on CUDA."""


def build(config, dtype=torch.float32, kernels="fast"):
    """A policy whose distributions are far from uniform, and the untouched stock model with equal weights."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(**{k: v for k, v in config.items() if v is not None})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return CausalPolicy(copy.deepcopy(model), kernels).train(), model.train()


def make_step(vocab=VOCAB):
    """Three groups of ragged completions, one-token ones, a group of one and the padding token among them."""
    generator = torch.Generator().manual_seed(1)
    prompts = [torch.randint(3, vocab, (n,), generator=generator) for n in (7, 1, 12)]
    lengths = [5, 1, 9, 2, 14, 3, 3, 8, 1]
    completions = [torch.randint(3, vocab, (n,), generator=generator) for n in lengths]
    prompts[0][3] = completions[4][6] = SIZES["pad_token_id"]
    return prompts, completions, torch.tensor([0, 0, 0, 0, 1, 2, 2, 2, 2])


def upstream(completion):
    """Two arbitrary weights for every token of every completion."""
    tokens = torch.arange(20.0)
    return torch.sin(completion + tokens), 0.3 * torch.cos(2.0 * completion + tokens)


def packed(policy, step, temperature=0.7, keep=None, token_budget=40, trained=None):
    """Log-probs and entropies by completion, gradients left on the policy's parameters."""
    prompts, completions, group = step
    found = {}
    for batch in pack(prompts, completions, group, keep, token_budget, trained=trained):
        batch = batch.to(policy.model.device)
        logprobs, entropy, _ = policy(batch, temperature)
        weights = [upstream(i) for i in range(len(completions))]
        loss = sum(
            (x * batch.gather([w[kind][: len(c)] for w, c in zip(weights, completions, strict=True)])).sum()
            for kind, x in enumerate((logprobs, entropy))
        )
        loss.backward()
        both = zip(batch.split(logprobs.detach().cpu()), batch.split(entropy.detach().cpu()), strict=True)
        found |= dict(zip(batch.completions, both, strict=True))
    return found


def padded(model, step, temperature=0.7, rows=None, trained=None, **kwargs):
    """The same by one right-padded batch through the stock model, every completion in full."""
    prompts, completions, group = step
    rows = range(len(completions)) if rows is None else rows
    sequences = [torch.cat([prompts[group[i]], completions[i]]) for i in rows]
    ids = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(s) for s in sequences], batch_first=True)
    logits = model(input_ids=ids, attention_mask=mask, **kwargs).logits
    found, loss = {}, 0.0
    for at, i in enumerate(rows):
        before, length = len(prompts[group[i]]), len(completions[i])
        logp = (logits[at, before - 1 : before + length - 1].double() / temperature).log_softmax(-1)
        logprobs, entropy = logp[torch.arange(length), completions[i]], -(logp.exp() * logp).sum(1)
        weight = upstream(i)
        mask = torch.ones(length, dtype=torch.bool) if trained is None else trained[i]
        loss = loss + (logprobs * weight[0][:length] + entropy * weight[1][:length])[mask].sum()
        if mask.any():
            found[i] = logprobs.detach()[mask], entropy.detach()[mask]
    loss.backward()
    return found


def assert_same(policy, model, found, expected, tolerance=2e-5):
    assert found.keys() == expected.keys()
    for i in expected:
        torch.testing.assert_close(found[i], expected[i], rtol=tolerance, atol=tolerance, check_dtype=False)
    gradients = dict(policy.model.named_parameters())
    for name, parameter in model.named_parameters():
        scale = parameter.grad.abs().max().item()
        assert scale > 0, name
        gradient = gradients[name].grad.cpu()
        torch.testing.assert_close(gradient, parameter.grad, rtol=0, atol=tolerance * scale, msg=name)


def make_masks(step, seed):
    """Which tokens are trained: at random, but not the first of one completion, one of another, none of a third."""
    generator = torch.Generator().manual_seed(seed)
    masks = [torch.rand(len(c), generator=generator) < 0.5 for c in step[1]]
    masks[0][0] = False
    masks[1][0] = True  # the only token of its completion
    masks[2][:] = torch.arange(len(masks[2])) == 6
    masks[4][:] = False  # the only completion of its prompt
    masks[5][:] = False
    return masks
