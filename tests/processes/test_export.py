"""From any checkpoint to a folder that transformers, peft and vLLM load, with the weights that were trained."""

import os
import shutil

import pytest
import torch
from helpers.runs import KL, LORA
from transformers import AutoModelForCausalLM, AutoTokenizer

from lit_passk.cli import main

PROMPT, COMPLETION = [3, 4, 5], [6, 3, 3, 9, 1]


def export(ckpt_path, out, *more):
    main(["export", "--ckpt_path", str(ckpt_path), "--out", str(out), *more])


def logprobs(model):
    """Of COMPLETION after PROMPT, by a plain forward pass."""
    ids = torch.tensor([[*PROMPT, *COMPLETION]])
    with torch.no_grad():
        logits = model(ids).logits[0, len(PROMPT) - 1 : -1].float()
    return logits.log_softmax(-1).gather(1, ids[0, len(PROMPT) :, None])[:, 0]


def trained(run, policy):
    """The final policy of a run by its own record, without the code under test."""
    model = AutoModelForCausalLM.from_pretrained(policy)
    model.load_state_dict(run.weights)
    return model


KINDS = {
    "shards": ("fsdp2", 2, KL),
    "a file": ("auto", 1, KL),
    "adapters in shards": ("fsdp2", 2, (*KL, *LORA)),
    "adapters in a file": ("auto", 1, (*KL, *LORA)),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_transformers_loads_what_was_trained(kind, train, policy, tmp_path):
    run = train(*kind)
    export(run.folder, tmp_path / "out")
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert exported.dtype == torch.float32
    expected = trained(run, policy)
    torch.testing.assert_close(logprobs(exported), logprobs(expected), rtol=0, atol=1e-6)
    assert not torch.allclose(logprobs(exported), logprobs(AutoModelForCausalLM.from_pretrained(policy)), atol=1e-3)
    assert exported.generation_config.eos_token_id == expected.generation_config.eos_token_id
    assert AutoTokenizer.from_pretrained(tmp_path / "out")("UDL")["input_ids"] == PROMPT
    card = (tmp_path / "out" / "README.md").read_text()
    for told in ("5 steps of reinforcement learning", "| val/pass@2 |", "prompts_per_step: 3", policy):
        assert told in card
    assert not [p for p in os.listdir(tmp_path) if p != "out"], "nothing else is left"
    assert not [p for p in os.listdir(tmp_path / "out") if p.startswith((".", "files"))]


def test_an_adapter_by_itself(train, policy, tmp_path):
    from peft import PeftModel

    run = train("fsdp2", 2, (*KL, *LORA))
    export(run.checkpoint(5), tmp_path / "adapter", "--adapter")
    base = AutoModelForCausalLM.from_pretrained(policy)
    adapted = PeftModel.from_pretrained(base, str(tmp_path / "adapter"))
    torch.testing.assert_close(logprobs(adapted), logprobs(trained(run, policy)), rtol=0, atol=1e-5)
    assert not list((tmp_path / "adapter").glob("model*")), "the base's weights are not in it"


def test_a_checkpoint_in_the_middle_and_another_dtype(train, policy, tmp_path):
    run = train("fsdp2", 2)
    export(run.checkpoint(2), tmp_path / "out", "--dtype", "bfloat16")
    export(run.checkpoint(5), tmp_path / "out", "--dtype", "bfloat16")  # replaces the first
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert exported.dtype == torch.bfloat16
    for name, values in run.weights.items():
        assert torch.equal(exported.state_dict()[name], values.bfloat16())


def test_all_or_nothing(train, policy, tmp_path, capsys):
    run = train("fsdp2", 2)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text('{"model_type": "llama"}')  # the model before
    half = tmp_path / "half"  # a tokenizer without a model: fails when part of the folder could be there already
    shutil.copytree(policy, half, ignore=shutil.ignore_patterns("config.json"))
    with pytest.raises((SystemExit, OSError, ValueError)):
        export(run.folder, tmp_path / "out", "--policy", str(half))
    with pytest.raises(SystemExit):
        export(run.folder, tmp_path / "out", "--policy", str(tmp_path / "nowhere"))
    assert "by `--policy`" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["half", "out"]
    assert os.listdir(tmp_path / "out") == ["config.json"]
    with pytest.raises(SystemExit):
        export(run.folder, tmp_path / "out", "--adapter")
    assert "is not of a run with LoRA" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export(tmp_path / "none.ckpt", tmp_path / "out")
    assert "There is no checkpoint" in capsys.readouterr().err


@pytest.mark.vllm
def test_vllm_loads_what_was_trained(train, tmp_path):
    pytest.importorskip("vllm")
    from lit_passk.engines.vllm_engine import VLLMEngine
    from lit_passk.types import Sampling

    export(train("fsdp2", 2).folder, tmp_path / "out")
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    engine = VLLMEngine(dtype="float32")
    engine.start(str(tmp_path / "out"), None, [1])
    try:
        ((_, (completion,)),) = engine.generate([PROMPT], Sampling(max_tokens=8, n=1), seeds=[0])
    finally:
        engine.close()
    ids = torch.tensor([[*PROMPT, *completion.token_ids]])
    with torch.no_grad():
        scores = exported(ids).logits[0, len(PROMPT) - 1 : -1].log_softmax(-1)
    expected = scores.gather(1, ids[0, len(PROMPT) :, None])[:, 0]
    torch.testing.assert_close(torch.tensor(completion.logprobs), expected, rtol=0, atol=1e-4)
