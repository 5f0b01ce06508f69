"""Training and adapters of models that are padded, hold a state or stack their experts, against the stock model."""

import copy

import pytest
from helpers import family_checks
from helpers.tiny_families import FAMILIES, tiny_model

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


def test_what_peft_will_not_adapt_is_said_in_its_words():
    pytest.importorskip("peft")
    with pytest.raises(Refusal, match=r"no adapters to LlamaForCausalLM .*nowhere.*`model.lora.target_modules`"):
        add_adapter(tiny_model("llama"), LoRA(target_modules=["nowhere"]))
