"""The arithmetic of `lit-passk plan` against published sizes, against autograd, and against itself."""

import json
import re

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

from lit_passk.cli import main
from lit_passk.commands.plan import num_devices
from lit_passk.commands.plan.estimate import Estimate
from lit_passk.commands.plan.sizes import Architecture, Machine, Setup
from lit_passk.policy.model import CausalPolicy
from lit_passk.policy.packing import pack

QWEN_7B = {
    "model_type": "qwen2",
    "vocab_size": 152064,
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "tie_word_embeddings": False,
}
LLAMA_70B = {
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
}
SETUP = {
    "ranks": 8,
    "shards": 8,
    "param_bytes": 4,
    "compute_bytes": 2,
    "adapter_rank": None,
    "kept_terms": False,
    "kl": False,
    "checkpointing": True,
    "sync_last": True,
    "token_budget": 16384,
    "max_saved_logits_mib": 256,
    "prompts": 128,
    "group_size": 32,
    "max_tokens": 8192,
    "minibatches": 4,
    "epochs": 1,
    "engine_tp": 1,
    "engine_bytes": 2,
    "engine_share": 0.6,
}


def estimate(machine=None, **changes):
    architecture = Architecture.of(AutoConfig.for_model(**QWEN_7B))
    return Estimate(architecture, machine or Machine(), Setup(**(SETUP | changes))).value


@pytest.mark.parametrize(("fields", "published"), [(QWEN_7B, 7_615_616_512), (LLAMA_70B, 70_553_706_496)])
def test_parameters_are_those_of_the_model_cards(fields, published):
    architecture = Architecture.of(AutoConfig.for_model(**fields))
    assert architecture.params == published
    assert architecture.blocks == fields["num_hidden_layers"]
    assert architecture.rest < 0.2 * published


@pytest.mark.parametrize("inner", [512, 1536])
def test_activations_are_what_autograd_saves(inner):
    """Two depths, so that what lies outside the blocks cancels."""

    def saved(blocks, checkpointing):
        config = LlamaConfig(
            vocab_size=64,
            hidden_size=256,
            intermediate_size=inner,
            num_hidden_layers=blocks,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
        policy = CausalPolicy(AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)).train()
        if checkpointing:
            policy.checkpoint_activations()
        tokens = torch.arange(1, 50)
        (batch,) = pack([tokens, tokens], [tokens] * 6, torch.arange(6) // 3, None, 10_000)
        own = {p.untyped_storage().data_ptr() for p in policy.parameters()}
        sizes = {}

        def keep(tensor):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own and tensor.numel() > len(batch.input_ids):
                sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            policy(batch, with_entropy=False)
        return sum(sizes.values()) / len(batch.input_ids)

    planned = 2 * (12 * 256 + 4 * inner)
    assert (saved(3, False) - saved(1, False)) / 2 == pytest.approx(planned, rel=0.15)
    assert (saved(3, True) - saved(1, True)) / 2 == pytest.approx(2 * 256, rel=0.05)


def test_memory_by_hand():
    value = estimate()
    shard = 7.615616512 / 8
    assert value["weights"] == pytest.approx(4 * shard)
    assert value["Adam's moments"] == pytest.approx(8 * shard)
    assert value["gradients"] == pytest.approx(4 * shard)
    assert value["whole gradients"] == pytest.approx(4 * 7.615616512)
    assert "whole gradients" not in estimate(sync_last=False)
    assert value["training needs"] - value["between steps"] > 34
    assert estimate(kl=True, kept_terms=True)["reference"] == pytest.approx(4 * shard)
    assert "reference" not in estimate(kl=True, kept_terms=True, adapter_rank=16)


def test_time_by_hand():
    machine = Machine(tflops=1000, train_share=0.5, prompt_tokens=0, completion_tokens=1000, with_advantage=1.0)
    value = estimate(machine, minibatches=1, checkpointing=False)
    flops = 6 * 7_615_616_512 + 3 * 4 * 28 * 3584 * 500
    assert value["arithmetic of training"] == pytest.approx(128 * 32 * 1000 * flops / (8 * 1000e12 * 0.5))
    assert value["weights for the engine"] == pytest.approx(4 * 7.615616512 * 7 / 8)
    assert value["tokens per second, all GPUs"] == pytest.approx(128 * 32 * 1000 / value["a step"])


def test_the_command_reads_a_configuration_and_says_what_does_not_fit(configs, capsys):
    args = ["plan", "--config", str(configs / "math_fsdp.yaml"), "--architecture", json.dumps(QWEN_7B)]
    main(args)
    told = capsys.readouterr().out
    assert "7.62 billion parameters in 28 blocks; 8 ranks, 8 shards" in told
    assert told.rstrip().endswith("It fits.")
    main([*args, "--config", str(configs / "scaling" / "32b_32gpus.yaml"), "--model.compute.gradient_sync", "last"])
    assert "32 ranks, 32 shards" in capsys.readouterr().out
    main([*args, "--plan.memory_gb", "40"])
    told = capsys.readouterr().out
    needed = float(re.search(r"training needs +([\d.]+)", told)[1])
    assert f"Training does not fit: {needed:.0f} GB" in told
    assert needed > 40
    assert "`model.compute.gradient_sync: every`" in told


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("plan.gpus_per_node", "0", "a number above 0 for gpus_per_node of --plan, but got 0"),
        ("plan.tflops", "-5", "above 0 for tflops"),
        ("plan.memory_gb", "1e400", "above 0 for memory_gb"),
        ("plan.train_share", "35", "above 0, at most 1 for train_share"),
        ("plan.with_advantage", "1.5", "0 or more, at most 1 for with_advantage"),
        ("plan.reserved_gb", "-1", "0 or more for reserved_gb"),
        ("rollout.group_size", "0", "above 0 for group_size of the configuration"),
        ("data.prompts_per_step", "0", "above 0 for prompts of the configuration"),
        ("model.compute.token_budget", "0", "above 0 for token_budget of the configuration"),
        ("trainer.devices", "0", "above 0 for ranks of the configuration"),
        ("trainer.devices", "many", "`trainer.devices` must be a number, a list of some, or auto, but is 'many'"),
    ],
)
def test_numbers_that_nothing_can_be_computed_with(configs, capsys, option, value, said):
    with pytest.raises(SystemExit):
        main(
            [
                "plan",
                "--config",
                str(configs / "maze_cpu.yaml"),
                "--architecture",
                json.dumps(QWEN_7B),
                f"--{option}",
                value,
            ]
        )
    assert said in capsys.readouterr().err


def test_a_policy_that_cannot_be_read(configs, capsys):
    with pytest.raises(SystemExit):
        main(["plan", "--config", str(configs / "maze_cpu.yaml"), "--model.policy", "./nowhere"])
    assert "--architecture" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("devices", "expected"),
    [(2, 2), ("2", 2), ([0, 1, 5], 3), ("0,1", 2), ("3,", 1), ("auto", 8), (-1, 8), ("-1", 8)],
)
def test_devices_are_counted_as_lightning_does(devices, expected):
    assert num_devices(devices, gpus_per_node=8) == expected
