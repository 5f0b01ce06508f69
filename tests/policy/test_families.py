"""Training and adapters of models that are padded, hold a state or stack their experts, against the stock model."""

import copy

import pytest
import transformers
from helpers import family_checks
from helpers.tiny_families import FAMILIES, MORE_FAMILIES, tiny_model

from lit_passk.errors import Refusal
from lit_passk.policy.lora import LoRA, add_adapter


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_training_computes_what_the_stock_model_does_on_each_sequence_alone(family, tmp_path):
    model = tiny_model(family)
    model.save_pretrained(tmp_path)
    family_checks.training(model, str(tmp_path))


@pytest.mark.parametrize(
    "family", sorted({"llama", "gpt2", "gpt_oss", "qwen3_moe", "mixtral", "qwen3_next"} & {*FAMILIES})
)
def test_adapters_train_alone_and_merge(family, tmp_path):
    pytest.importorskip("peft")
    model = tiny_model(family)
    model.save_pretrained(tmp_path)
    family_checks.lora(copy.deepcopy(model), str(tmp_path))


@pytest.mark.parametrize("family", sorted({"gemma3", "gemma4"} & {*MORE_FAMILIES}))
def test_text_beside_a_tower_of_images(family, tmp_path):
    model = tiny_model(family)
    model.save_pretrained(tmp_path)
    family_checks.training(model, str(tmp_path))
    family_checks.names(model, str(tmp_path))


@pytest.mark.skipif(transformers.__version__.startswith("5.4."), reason="transformers 5.4 refuses its own layer types")
def test_layers_that_share_their_weights_are_sharded_and_not_adapted(tmp_path):
    pytest.importorskip("peft")
    model = tiny_model("zamba2")
    model.save_pretrained(tmp_path)
    family_checks.sharded(model, str(tmp_path))
    add_adapter(copy.deepcopy(model), LoRA(target_modules=["in_proj"]))
    with pytest.raises(Refusal, match=r"layers.1.*is '.*layers.3.*' too.*`model.lora.target_modules`"):
        add_adapter(model, LoRA())


def test_a_router_that_returns_more_than_its_product_is_not_adapted(tmp_path):
    pytest.importorskip("peft")
    model = tiny_model("llama4_text")
    model.save_pretrained(tmp_path)
    family_checks.lora(copy.deepcopy(model), str(tmp_path))
    add_adapter(model, LoRA())
    adapted = {name.partition(".lora_A")[0] for name, _ in model.named_parameters() if ".lora_A." in name}
    assert adapted
    assert not [name for name in adapted if "router" in name]


def test_a_tied_head_is_not_adapted():
    pytest.importorskip("peft")
    with pytest.raises(Refusal, match=r"'model.embed_tokens.weight' of LlamaForCausalLM is 'lm_head.weight' too"):
        add_adapter(tiny_model("llama", tie_word_embeddings=True), LoRA(target_modules=["lm_head", "q_proj"]))


def test_what_peft_will_not_adapt_is_said_in_its_words():
    pytest.importorskip("peft")
    with pytest.raises(Refusal, match=r"no adapters to LlamaForCausalLM .*nowhere.*`model.lora.target_modules`"):
        add_adapter(tiny_model("llama"), LoRA(target_modules=["nowhere"]))
