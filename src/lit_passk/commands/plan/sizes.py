"""What a plan is computed from: the model's sizes, the machines, and what a configuration decides."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import AutoModelForCausalLM, PreTrainedConfig

from lit_passk.policy.model import decoder_blocks
from lit_passk.policy.sharding import parameters_on_meta


@dataclass(frozen=True)
class Architecture:
    """The sizes of a model."""

    params: int
    block_params: int
    blocks: int
    hidden: int
    inner: int
    kv_width: int
    """Key numbers of one token in one block; there are as many value numbers."""

    @classmethod
    def of(cls, config: PreTrainedConfig) -> Architecture:
        """Count, on a model that has shapes and no values."""
        with parameters_on_meta():
            model = AutoModelForCausalLM.from_config(config)
        text = config.get_text_config()
        blocks = decoder_blocks(model)
        inner = getattr(text, "intermediate_size", None) or getattr(text, "n_inner", None) or 4 * text.hidden_size
        return cls(
            params=sum(p.numel() for p in model.parameters()),
            block_params=sum(p.numel() for p in blocks[0].parameters()),
            blocks=len(blocks),
            hidden=text.hidden_size,
            inner=inner,
            kv_width=max(_kv_width(layer) for layer in getattr(text, "per_layer_config", [text])),
        )

    @property
    def rest(self) -> int:
        """Parameters outside the blocks: embeddings, last norm, head."""
        return self.params - self.blocks * self.block_params


def _kv_width(layer: PreTrainedConfig) -> int:
    heads = getattr(layer, "num_attention_heads", 0)
    head_dim = getattr(layer, "head_dim", None) or layer.hidden_size // max(1, heads)
    return (getattr(layer, "num_key_value_heads", None) or heads) * head_dim


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the arithmetic assumes of the machines and of the completions; the defaults are nodes of eight H100 SXM.

    Args:
        gpus_per_node: GPUs that NVLink joins; also what ``trainer.devices: auto`` stands for.
        memory_gb: Memory of a GPU, 10**9 bytes.
        reserved_gb: What CUDA, NCCL and fragmentation take of it.
        tflops: Dense bfloat16 arithmetic of a GPU, 10**12 operations a second.
        memory_gbs: Bandwidth of a GPU's memory, 10**9 bytes per second.
        link_gbs: What a GPU receives from its node's others, 10**9 bytes per second.
        network_gbs: What a GPU's network card receives from other nodes.
        disk_gbs: What a node writes to the checkpoints' file system.
        train_share: Share of ``tflops`` that training and prefill reach.
        sample_share: Share of ``memory_gbs`` that sampling reaches.
        link_share: Share of the links' bandwidth that collectives reach.
        prompt_tokens: Mean tokens of a prompt.
        completion_tokens: Mean tokens of a completion; None takes half of ``rollout.sampling.max_tokens``.
        with_advantage: Share of completions whose advantage is not 0; without a KL or entropy term only they are
            computed.
        server_gpus: GPUs of the vLLM servers, when ``rollout.engine`` samples there.
    """

    gpus_per_node: int = 8
    memory_gb: float = 80.0
    reserved_gb: float = 4.0
    tflops: float = 989.0
    memory_gbs: float = 3350.0
    link_gbs: float = 450.0
    network_gbs: float = 50.0
    disk_gbs: float = 2.0
    train_share: float = 0.35
    sample_share: float = 0.5
    link_share: float = 0.7
    prompt_tokens: int = 200
    completion_tokens: int | None = None
    with_advantage: float = 0.5
    server_gpus: int | None = None

    def link(self, ranks: int) -> float:
        """Bytes a second that each rank receives in a collective over so many ranks.

        Over nodes, the cards of a node bring in together what its GPUs then pass around.
        """
        across = self.link_gbs if ranks <= self.gpus_per_node else self.network_gbs * self.gpus_per_node
        return self.link_share * min(self.link_gbs, across) * 1e9


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a configuration decides."""

    ranks: int
    """Processes, which are GPUs."""
    shards: int
    """Ranks that the parameters are sharded over; 1 without sharding."""
    param_bytes: int
    compute_bytes: int
    adapter_rank: int | None
    """Rank of LoRA's matrices; None trains everything."""
    kept_terms: bool
    """Whether a KL or entropy term needs completions without an advantage too."""
    kl: bool
    checkpointing: bool
    sync_last: bool
    token_budget: int
    max_saved_logits_mib: int
    prompts: int
    group_size: int
    max_tokens: int
    minibatches: int
    epochs: int
    engine_tp: int
    engine_bytes: int
    """Bytes of a parameter in the engine."""
    engine_share: float | None
    """Share of a GPU for a vLLM engine beside the policy; None samples elsewhere."""

    def trained(self, a: Architecture) -> int:
        """Trained parameters: all, or two matrices beside each of a block's seven (Llama-like)."""
        if self.adapter_rank is None:
            return a.params
        ends = 2 * a.hidden * 2 + 2 * (a.hidden + a.kv_width) + 3 * (a.hidden + a.inner)
        return a.blocks * self.adapter_rank * ends
